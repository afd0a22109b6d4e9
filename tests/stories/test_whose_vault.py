"""Whose vault a command is about: nobody is given one for having looked, or for having meant another; and what `vaultd
vault` does to the one that a daemon holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from jwcrypto import jwe, jwk
from shell import Daemon, Done, Person
from signing_in import STRANGER, unreached

from vaultd.cli.main import COMMANDS, run
from vaultd.house import House

Serves = Callable[..., Daemon]

#: These plant a secret, or play elsewhere.
PLANT = {"login", "serve", "demo"}
#: Every other command, in as many forms as look or change what is there.
LOOK: dict[str, list[str]] = {
    "logout": ["somebody"],
    "status": ["", "--json"],
    "credentials": ["list", "show x", "refresh x", "disable x", "remove x", "accept x", "set x --weight 2"],
    "keys": ["list", "get x", "disable x", "delete x"],
    "models": ["list"],
    "connect": ["", "codex", "codex --print", "codex --undo"],
    "token": ["codex", "--client-key x"],
    "providers": ["list", "show codex"],
    "vault": [
        "status",
        "rotate",
        "rekey",
        "rekey --finish",
        "rekey --passphrase",
        "rekey --to {home}/new.key",
        "recovery list",
        "recovery add --out {home}/recovery.jwk",
        "recovery remove x",
    ],
    "config": ["check", "show"],
    "doctor": [""],
    "health": ["", "--ready"],
    "logs": [""],
    "audit": ["show", "verify", "accept"],
    "backup": ["--out {home}/backup"],
    "restore": ["{home}/backup --key {home}/recovery.jwk", "{home}/backup --key {home}/recovery.jwk --yes"],
    "service": ["status --user"],
    "completion": ["bash"],
}


async def nobody(_house: House, _host: str, _port: int) -> None:
    raise AssertionError("nobody serves here")


def tree(home: dict[str, str]) -> list[str]:
    return sorted(str(path) for name in ("HOME", "XDG_RUNTIME_DIR") for path in Path(home[name]).rglob("*"))


@pytest.fixture
def types(home: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Types in this process, which costs no start of Python."""
    for name, value in home.items():
        monkeypatch.setenv(name, value)

    def typed(*words: str) -> Done:
        capsys.readouterr()
        code = run(words, serve=nobody)
        return Done(code, *capsys.readouterr())

    return typed


def test_every_command_is_one_that_plants_or_one_that_leaves_an_empty_home_empty() -> None:
    assert PLANT | LOOK.keys() == COMMANDS.keys()


@pytest.mark.parametrize("command", LOOK)
def test_whoever_looks_leaves_an_empty_home_empty(home: dict[str, str], types: Any, command: str) -> None:
    for form in LOOK[command]:
        done = types(command, *form.format(home=home["HOME"]).split())
        assert tree(home) == [], form
        if command in {"status", "credentials", "keys", "models", "token", "vault", "audit", "backup"}:
            assert done.code == 78 and "there is no vault in" in done.err and "`vaultd login --codex`" in done.err, form
        if command == "doctor":
            assert done.code == 1 and "vault-missing" in done.out


def test_a_dry_run_without_a_vault_says_what_would_be_done_and_leaves_nothing(
    home: dict[str, str], types: Any, tmp_path: Path, planted: Callable[[Path], Path]
) -> None:
    file = planted(tmp_path / "auth.json")
    tokens = {"access_token": "CANARY-a", "refresh_token": "CANARY-r", "id_token": "", "account_id": "acc-1"}
    file.write_text(json.dumps({"OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": "2026-11-22T00:00:00Z"}))

    done = types("credentials", "import", str(file), "--from", "codex", "--label", "me")
    assert done.code == 0 and "would import: codex" in done.out, done.err
    assert tree(home) == [] and not any(Path(home["TMPDIR"]).iterdir())

    done = types("credentials", "import", str(file), "--from", "codex", "--label", "me", "--yes")
    assert done.code == 0 and "a new root key was made" in done.err


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user, or have a /run of its own")


def as_told(person: Person, within: Sequence[str], *words: str, **env: str) -> Done:
    command = [*within, sys.executable, "-m", "vaultd", *words]
    done = subprocess.run(command, env=person.env | env, capture_output=True, text=True, timeout=60, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("mode", "says"), [(0o660, "for group root: sudo vaultd"), (0o666, "sudo systemctl start vaultd-admin.socket")]
)
def test_whoever_cannot_reach_the_service_is_given_the_command_and_no_vault(
    home: dict[str, str], tmp_path: Path, mode: int, says: str
) -> None:
    person = Person(home)
    within = (*unreached(tmp_path, listens=False, mode=mode), *STRANGER)
    for words in (("status",), ("keys", "create", "phone"), ("serve", "--port", "0"), ("vault", "recovery", "add")):
        done = as_told(person, within, *words)
        assert (done.code, done.out) == (78, "") and says in done.err, done.err
    assert tree(home) == []


def booted(folder: Path, beside: str = "") -> tuple[str, ...]:
    """A machine that systemd runs with the service installed; `beside`: the admin socket of the daemon it runs."""
    (folder / "systemctl").write_text('#!/bin/sh\n[ "$1" = show ] && exec echo loaded\nexit 1\n')
    (folder / "systemctl").chmod(0o755)
    socket = f"mkdir /run/vaultd && ln -s {beside} /run/vaultd/admin.sock &&" if beside else ""
    words = f'mount -t tmpfs none /run && mkdir -p /run/systemd/system && {socket} exec "$@"'
    return ("unshare", "--mount", "sh", "-c", words, "sh")


@pytest.mark.usefixtures("root")
def test_roots_recovery_key_is_the_services_and_never_of_an_empty_vault_in_roots_home(
    home: dict[str, str], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, serves: Serves
) -> None:
    elsewhere = tmp_path / "service"
    runtime = tmp_path_factory.mktemp("r")
    service = Person(home | {f"XDG_{n}": str(elsewhere / n) for n in ("CONFIG_HOME", "STATE_HOME")})
    service.env["XDG_RUNTIME_DIR"] = str(runtime)
    serves(service)
    service.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-work")
    machine, path = Person(home), f"{tmp_path}:{os.environ['PATH']}"
    out = tmp_path / "recovery.jwk"

    stopped = as_told(machine, booted(tmp_path), "vault", "recovery", "add", "--out", str(out), PATH=path)
    assert stopped.code == 78 and "sudo systemctl start vaultd-admin.socket" in stopped.err
    assert tree(home) == [] and not out.exists()

    within = booted(tmp_path, f"{runtime}/vaultd/admin.sock")
    made = as_told(machine, within, "vault", "recovery", "add", "--out", str(out), PATH=path)
    assert (made.code, made.out) == (0, ""), made.err
    assert tree(home) == []
    assert out.stat().st_mode & 0o777 == 0o600
    assert service.types("vault", "recovery", "list").out.split() == [json.loads(out.read_text())["kid"]]

    second = as_told(machine, within, "serve", "--port", "0", PATH=path)
    assert second.code == 78 and "--config FILE" in second.err
    assert tree(home) == []


def opened(file: Path, key: Path) -> str:
    """By a tool that is not ours."""
    token = jwe.JWE(algs=["A256KW", "ECDH-ES+A256KW", "A256GCM"])
    token.deserialize(file.read_text(), jwk.JWK.from_json(key.read_text()))
    return str(token.payload.decode())


def test_p3_beside_a_daemon_the_key_that_was_written_opens_what_is_there_and_what_comes(
    home: dict[str, str], tmp_path: Path, serves: Serves
) -> None:
    person, out = Person(home), tmp_path / "recovery.jwk"
    serves(person)
    person.types("credentials", "add", "gemini-api-key", "--label", "old", stdin="CANARY-old")
    assert person.types("vault", "recovery", "add", "--out", str(out)).code == 0
    again = person.types("vault", "recovery", "add", "--out", str(out))
    assert again.code == 78 and len(person.types("vault", "recovery", "list").out.split()) == 1
    person.types("credentials", "add", "gemini-api-key", "--label", "new", stdin="CANARY-new")
    for label in ("old", "new"):
        assert f"CANARY-{label}" in opened(person.auth_dir / f"gemini-api-key-{label}.json", out)

    before = person.types("vault", "status", "--json").json["active_key"]
    assert person.types("vault", "rotate", "--full").code == 0
    assert person.types("vault", "rekey").code == 0
    person.types("credentials", "add", "gemini-api-key", "--label", "last", stdin="CANARY-last")
    assert "CANARY-last" in opened(person.auth_dir / "gemini-api-key-last.json", out)
    after = person.types("vault", "status", "--json").json
    assert (after["active_key"] != before, after["files_to_reseal"], after["keys"]) == (True, 0, 1)

    kid = json.loads(out.read_text())["kid"]
    assert person.types("vault", "recovery", "remove", kid).code == 0
    rows = person.types("audit", "show", "--json").json["data"]
    acts = [(row["action"], row["what"]) for row in rows if row["action"].startswith("vault.")]
    assert acts == [
        ("vault.recovery.add", kid),
        ("vault.rotate", "full"),
        ("vault.rekey", ""),
        ("vault.recovery.remove", kid),
    ]


def test_p4_a_root_key_that_systemd_hands_in_is_replaced_beside_the_daemon(
    home: dict[str, str], tmp_path: Path, serves: Serves
) -> None:
    credentials, new = tmp_path / "credentials", tmp_path / "new.key"
    credentials.mkdir()
    made = subprocess.run("head -c 32 /dev/urandom | base64", shell=True, capture_output=True, check=True).stdout
    (credentials / "vaultd-root").write_bytes(made)
    person, service = Person(home), Person(home | {"CREDENTIALS_DIRECTORY": str(credentials)})
    daemon = serves(service)

    assert "--to" in person.types("vault", "rekey").err
    begun = person.types("vault", "rekey", "--to", str(new))
    assert begun.code == 0 and "vaultd vault rekey --finish" in begun.err
    assert new.stat().st_mode & 0o777 == 0o600
    early = person.types("vault", "rekey", "--finish")
    assert early.code == 78 and "still gives the old root key" in early.err
    daemon.stops()

    (credentials / "vaultd-root").write_bytes(new.read_bytes())
    daemon = serves(service)
    assert person.types("vault", "rekey", "--finish").code == 0
    daemon.stops()
    assert service.types("vault", "status", "--json").json["rekey_unfinished"] is False
    (credentials / "vaultd-root").write_bytes(made)
    assert "is not the key that seals it" in service.types("vault", "status").err
