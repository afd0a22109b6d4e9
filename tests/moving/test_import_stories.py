"""Somebody used another program until today: its login is looked at, taken over, renewed, used, and found nowhere in
clear."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import LEFT, Left, asked, leaves
from shell import Daemon, Person
from test_canary import search

from vaultd.sandbox import Sandbox


def everything(folder: Path) -> dict[str, bytes]:
    """But for the pool's memory, which a daemon writes when it likes."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "pool.json"}


@pytest.mark.parametrize("left", LEFT, ids=lambda left: left.format)
def test_sec_53_a_login_is_looked_at_taken_over_renewed_and_used(
    left: Left, person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> None:
    home = Path(person.env["HOME"])
    file, family = leaves(home, left, sandbox, planted)
    words = ("credentials", "import", *((str(file),) if left.words else ("--from", left.format)))
    before = everything(person.auth_dir) | everything(file.parent)

    looked = person.types(*words, stdin=left.stdin)

    assert looked.code == 0, looked.err
    assert looked.out.startswith(f"would import: {left.vendor} ")
    assert "take-over: " in looked.err
    assert "is renewed at its first use" in looked.err
    assert "nothing was changed" in looked.err
    assert everything(person.auth_dir) | everything(file.parent) == before
    assert family.renewals == 0

    done = person.types(*words, "--yes", stdin=left.stdin)

    assert done.code == 0, done.err
    id_ = done.out.splitlines()[0].partition(" -> ")[2]
    assert looked.out.splitlines()[0].partition(" -> ")[2] == id_, "what was said is what was done"
    assert everything(file.parent) == {path: was for path, was in before.items() if path.startswith(str(file.parent))}
    status, answer = asked(daemon, *left.ask)
    assert status == 200, answer
    assert family.renewals == 1
    again = person.types(*words, stdin=left.stdin)
    assert again.out.startswith(f"nothing to do: {left.vendor} ")
    # Google does not rotate: the file holds the very login that is here.
    assert ("the same login" if left.vendor == "gemini" else "is older than the login here") in again.out

    assert search(home) <= {file, person.config, home / ".claude" / ".credentials.json"} | {
        home / other.file for other in LEFT
    }
    assert person.types("credentials", "remove", id_).code == 0


def test_a_login_goes_out_of_its_file_when_asked_and_what_else_is_in_there_stays(
    person: Person, daemon: Daemon, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> None:
    left = next(one for one in LEFT if one.format == "claude-code")
    file, _ = leaves(Path(person.env["HOME"]), left, sandbox, planted)
    looked = person.types("credentials", "import", "--from", "claude-code", "--remove")
    assert f"would be taken out of {file}" in looked.err
    done = person.types("credentials", "import", "--from", "claude-code", "--remove", "--yes", "--json")
    assert done.json["removed"] == [str(file)]
    assert json.loads(file.read_text()) == {"mcpOAuth": {"a server": {"accessToken": "CANARY-mcp"}}}
    assert file.stat().st_mode & 0o777 == 0o600
    assert person.types("credentials", "remove", done.json["logins"][0]["id"]).code == 0
