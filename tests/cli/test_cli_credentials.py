"""Credentials on the folder itself: API keys sealed, CLIProxyAPI's files taken over, everything named exactly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shell import Person

CLAUDE = {
    "type": "claude",
    "access_token": "CANARY-access",
    "refresh_token": "CANARY-refresh",
    "email": "ann@example.com",
    "expired": "2099-01-01T00:00:00Z",
}


@pytest.fixture
def dropped(person: Person, planted: Callable[[Path], Path]) -> Path:
    """A file of CLIProxyAPI, copied into the credential folder."""
    person.types("keys", "create", "phone")
    file = planted(person.auth_dir / "claude-ann@example.com.json")
    file.write_text(json.dumps(CLAUDE))
    file.chmod(0o600)
    return file


def test_an_api_key_comes_in_by_stdin_and_is_sealed(person: Person) -> None:
    done = person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key\n")
    assert (done.code, done.out) == (0, "added: gemini-api-key gemini-api-key-work\n")
    row = person.types("credentials", "list", "--json").json["data"][0]
    assert (row["id"], row["state"], row["kind"]) == ("gemini-api-key-work", "available", "key")
    assert "CANARY" not in (person.auth_dir / "gemini-api-key-work.json").read_text()
    assert "CANARY" not in person.types("credentials", "show", "gemini-api-key-work").out


def test_the_same_label_replaces_and_none_counts_on(person: Person) -> None:
    for _ in range(2):
        person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key")
    assert person.types("credentials", "add", "gemini-api-key", stdin="CANARY-2").out.endswith(" gemini-api-key-1\n")
    assert person.types("credentials", "add", "gemini-api-key", stdin="CANARY-3").out.endswith(" gemini-api-key-2\n")
    assert person.types("credentials", "list", "--json").json["count"] == 3


def test_what_cannot_be_added_says_why(person: Person) -> None:
    for words, stdin, code, says in (
        (("gemini-api-kee",), "CANARY-k", 78, "gemini-api-key"),
        (("claude",), "CANARY-k", 78, "vaultd login --claude"),
        (("claude-api-key",), "", 2, "stdin"),
        (("claude-api-key",), "two CANARY words", 2, "without spaces"),
        (("claude-api-key", "--base-url", "ftp://x"), "CANARY-k", 78, "no http or https address"),
    ):
        done = person.types("credentials", "add", *words, stdin=stdin)
        assert done.code == code, done.err
        assert says in done.err
        assert "CANARY" not in done.err


def test_a_credential_is_switched_off_and_on_and_removed(person: Person) -> None:
    person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key")
    assert person.types("credentials", "disable", "gemini-api-key-work").out == "disabled: gemini-api-key-work\n"
    row = person.types("credentials", "show", "gemini-api-key-work", "--json").json
    assert row["state"] == "disabled"
    assert row["action"] == "vaultd credentials enable gemini-api-key-work"
    assert person.types("models", "list", "--json").json["count"] == 0
    person.types("credentials", "enable", "gemini-api-key-work")
    assert person.types("models", "list", "--json").json["count"] > 0
    assert person.types("logout", "gemini-api-key-work").out == "signed out: gemini-api-key-work\n"
    assert person.types("credentials", "list", "--json").json["count"] == 0


def test_sec_46_a_change_that_cannot_be_saved_is_no_success(person: Person) -> None:
    person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key" * 400)
    words = [sys.executable, "-m", "vaultd", "credentials", "disable", "gemini-api-key-work"]
    # Room for the audit log's lines, which come first, and not for the sealed file: in blocks of 512 bytes.
    on_a_full_disk = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *words]
    done = subprocess.run(on_a_full_disk, capture_output=True, text=True, env=person.env, check=False)
    assert (done.returncode, done.stdout) == (6, "")
    assert "not saved" in done.stderr
    assert person.types("credentials", "list", "--json").json["data"][0]["state"] == "available"


def test_a_shortened_id_is_not_taken_but_answered(person: Person) -> None:
    person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key")
    done = person.types("credentials", "remove", "gemini")
    assert done.code == 78
    assert "nearest: gemini-api-key-work" in done.err


def test_a_key_of_the_config_is_shown_and_changed_there(person: Person, planted: Callable[[Path], Path]) -> None:
    person.configures("gemini-api-key:\n  - api-key: CANARY-from-config\n")
    planted(person.config)
    person.types("keys", "create", "phone")
    row = person.types("credentials", "list", "--json").json["data"][0]
    assert row["source"] == "config"
    done = person.types("credentials", "disable", row["id"])
    assert done.code == 78
    assert str(person.config) in done.err


def test_thr_38_a_plaintext_file_is_reported_and_not_loaded(person: Person, dropped: Path) -> None:
    listed = person.types("credentials", "list", "--json").json
    assert listed["data"] == []
    assert listed["refused"][0]["file"] == dropped.name
    assert listed["refused"][0]["action"] == f"vaultd credentials import {dropped} --yes --remove"
    status = person.types("status").out
    assert status.startswith(f"! {dropped.name}: not sealed")
    assert "CANARY" not in status


def test_thr_36_a_file_open_to_others_is_pointed_at_the_import_too(person: Person, dropped: Path) -> None:
    dropped.chmod(0o644)
    row = person.types("credentials", "list", "--json").json["refused"][0]
    assert row["reason"] == "not sealed, so not loaded"  # the import seals it and shuts it
    assert row["action"] == f"vaultd credentials import {dropped} --yes --remove"


def test_an_import_can_be_looked_at_first(person: Person, dropped: Path) -> None:
    done = person.types("credentials", "import", str(dropped))
    assert done.out == f"would import: claude ann@example.com from {dropped} -> claude-ann@example.com\n"
    assert "nothing was changed; --yes does it" in done.err
    assert person.types("credentials", "list", "--json").json["data"] == []


def test_sec_53_an_import_seals_says_what_it_means_and_removes_when_told(person: Person, dropped: Path) -> None:
    done = person.types("credentials", "import", str(dropped), "--yes", "--remove")
    assert (done.code, done.out) == (
        0,
        f"imported: claude ann@example.com from {dropped} -> claude-ann@example.com\n",
    )
    assert "CLIProxyAPI is logged out at its next refresh" in done.err
    assert "CANARY" not in dropped.read_text()
    assert [file.name for file in person.auth_dir.glob("*.json*")] == ["claude-ann@example.com.json"]
    row = person.types("credentials", "list", "--json").json["data"][0]
    assert (row["id"], row["state"], row["account"]) == ("claude-ann@example.com", "available", "ann@example.com")


def test_without_consent_the_original_stays(person: Person, tmp_path: Path, planted: Callable[[Path], Path]) -> None:
    original = planted(tmp_path / "claude.json")
    original.write_text(json.dumps(CLAUDE))
    done = person.types("credentials", "import", str(original), "--yes")
    assert done.code == 0
    assert f"the login stays in {original} too" in done.err
    assert json.loads(original.read_text()) == CLAUDE


def test_a_folder_is_imported_and_what_fails_stays_as_it_was(person: Person, dropped: Path) -> None:
    person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key")
    (person.auth_dir / "kept.json").mkdir()
    odd = person.auth_dir / "notes.json"
    odd.write_text('{"type": "vertex"}')
    done = person.types("credentials", "import", str(person.auth_dir), "--yes", "--remove")
    assert done.code == 78
    assert "imported: claude ann@example.com" in done.out
    assert f"sealed already: {person.auth_dir / 'gemini-api-key-work.json'}" in done.err
    assert odd.read_text() == '{"type": "vertex"}'
    assert person.types("credentials", "list", "--json").json["count"] == 2


def test_doctor_names_each_finding_and_its_next_action(person: Person, dropped: Path) -> None:
    done = person.types("doctor", "--json")
    assert done.code == 1
    checks = {row["check"]: row for row in done.json["checks"]}
    assert len(checks) >= 12
    assert checks["process"]["state"] == "ok"
    assert checks["sealed-files"]["state"] == "fail"
    assert checks["sealed-files"]["action"] == f"vaultd credentials import {dropped} --yes --remove"
    assert checks["daemon"]["action"] == "vaultd serve"
    assert all(row["action"] for row in checks.values() if row["state"] != "ok")


def test_doctor_finds_a_configuration_that_does_not_stand(person: Person) -> None:
    person.configures("prot: 8317\n")
    done = person.types("doctor", "--json")
    assert done.code == 1
    assert "prot" in done.json["checks"][0]["says"]
