"""`vaultd logs`: from the daemon that runs, and from what one left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from shell import LONGEST, Daemon, Person

from vaultd.net import local

Serves = Callable[..., Daemon]


def test_the_last_lines_and_what_comes_after_them(home: dict[str, str], serves: Serves) -> None:
    person = Person(home)
    daemon = serves(person)
    shown = person.types("logs", "-n", "1")
    assert shown.code == 0
    assert shown.out.rstrip().endswith(f"info listening address={daemon.address}")
    lines = [json.loads(line) for line in person.types("logs", "--json").out.splitlines()]
    assert lines[-1]["msg"] == "listening"
    assert person.types("logs", "--level", "error").out == ""
    with subprocess.Popen(
        [sys.executable, "-m", "vaultd", "logs", "-f", "-n", "1"], env=person.env, stdout=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        assert "listening" in following.stdout.readline()
        assert person.types("keys", "create", "laptop").code == 0
        said = following.stdout.readline()
        assert "changed" in said
        assert "route=keys.create" in said
        daemon.stops()
        begun = serves(person).log
        (ready,) = [line for line in begun if "admin socket ready" in line]
        told = local.call(Path(ready.partition("file=")[2]), "logs", {"after": 10**6})
        assert "listening" in told["lines"][-1], "a number from the daemon before it, whose socket went on listening"
        seen = [following.stdout.readline()]
        while "listening" not in seen[-1]:
            seen.append(following.stdout.readline())
        assert daemon.address not in seen[-1], "it goes on with the next daemon"
        assert ready in "".join(seen), "`-n` is of what was before: of what comes no line is left out"
        following.stdout.close()
        following.wait(LONGEST)  # though nothing is to be told: `vaultd logs -f | head` ends


def test_the_file_that_a_daemon_left_is_read_without_one(home: dict[str, str]) -> None:
    person = Person(home)
    file = person.auth_dir.with_name("logs") / "vaultd.log"
    file.parent.mkdir(parents=True)
    file.write_text(
        "2026-01-02T03:04:05.678Z info renewed credential=codex-a\n"
        '{"ts":"2026-01-02T03:04:06.678Z","level":"warning","logger":"vaultd.work","msg":"not renewed"}\n'
        "2026-01-02T03:04:07.678Z error gone reason=\x1b[2J\n"
    )
    shown = person.types("logs", "--level", "warning")
    assert shown.code == 0
    assert shown.out.splitlines()[1] == "2026-01-02T03:04:07.678Z error gone reason=\\x1b[2J"
    assert len(shown.out.splitlines()) == 2
    assert f"from {file}" in shown.err


def test_with_nothing_to_read_it_is_said_what_to_do(home: dict[str, str]) -> None:
    person = Person(home | {"PATH": "/nonexistent"})
    shown = person.types("logs")
    assert shown.code == 78
    assert "no daemon runs" in shown.err


def test_without_daemon_and_file_the_journal_is_asked_in_fixed_words_and_its_lines_are_escaped(
    home: dict[str, str], tmp_path: Path
) -> None:
    """By a program in journalctl's place: the machine's own journal holds other people's lines, or is none."""
    program = tmp_path / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf 'asked: %s\\nnot renewed \\033[2J\\n' \"$*\"\n")
    program.chmod(0o755)
    shown = Person(home | {"PATH": f"{program.parent}:/usr/bin:/bin"}).types("logs", "-n", "7", "--level", "error")
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "asked: --unit=vaultd.service --output=short-iso --no-pager --quiet --priority=err --lines=7",
        "not renewed \\x1b[2J",
    ]
