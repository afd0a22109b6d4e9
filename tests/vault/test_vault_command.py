"""`vaultd vault …` as a person types it: the result on stdout, the chatter on stderr, and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Vaultd = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def vault(home: dict[str, str]) -> Vaultd:
    def run(*words: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vaultd", "vault", *words]
        done = subprocess.run(command, env=home, input=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    return run


def planted(home: dict[str, str]) -> None:
    """A first secret, which makes the vault."""
    subprocess.run([sys.executable, "-m", "vaultd", "keys", "create", "first"], env=home, check=True)


def test_a_vaults_life(vault: Vaultd, home: dict[str, str], tmp_path: Path) -> None:
    assert "there is no vault" in vault("recovery", "add", code=78).stderr
    planted(home)
    before = json.loads(vault("status", "--json").stdout)
    assert before["recovery_keys"] == []
    made = vault("recovery", "add", "--out", str(tmp_path / "recovery.jwk"))
    assert made.stdout == ""
    jwk = json.loads((tmp_path / "recovery.jwk").read_text())
    assert vault("recovery", "list").stdout.split() == [jwk["kid"]]
    vault("recovery", "add", "--out", str(tmp_path / "recovery.jwk"), code=78)
    printed = json.loads(vault("recovery", "add").stdout)
    assert printed["crv"] == "P-256"
    assert "d" in printed
    vault("recovery", "remove", printed["kid"])
    assert "revoke the tokens" in vault("rotate", "--full").stderr
    vault("rekey")
    after = json.loads(vault("status", "--json").stdout)
    assert after["active_key"] != before["active_key"]
    assert (after["keys"], after["files_to_reseal"], after["rekey_unfinished"]) == (1, 0, False)
    assert "nothing was changed" in vault("rekey", "--passphrase", stdin="short\n", code=2).stderr
    vault("rekey", "--passphrase", stdin="a CANARY passphrase\n")
    assert "nobody is there to ask" in vault("status", code=78).stderr


def test_p4_a_lost_root_key_is_exit_78_and_one_line(vault: Vaultd, home: dict[str, str]) -> None:
    planted(home)
    (Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "root.key").unlink()
    lost = vault("status", code=78)
    assert len(lost.stderr.splitlines()) == 1
    assert "no root key" in lost.stderr
