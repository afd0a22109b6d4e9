"""`vaultd logs`: what the daemon has been saying, wherever that goes.

    a daemon runs     its log's file; else the journal, where it logs there and this person may read it; else its memory
    none runs         the file that the last one left; else the journal

The memory is asked for over the admin socket, so whoever reaches that needs no right to the file or the journal. Lines
are others' words in part (a model's name, a vendor's reason): what could act on a terminal is escaped (THR-29).
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from vaultd.cli import terminal, whose
from vaultd.cli.ask import Call, Looked, call_of, look_for_daemon
from vaultd.errors import Misconfigured, TryLater

_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
#: Their names in syslog(3).
_PRIORITIES: Final = {"warning": "warning", "error": "err", "critical": "crit"}
#: As often as the daemon writes, at most ten times a second, nobody can read.
_PAUSE: Final = 0.5
#: Without a daemon that says what its unit is called.
_UNITS: Final = ("--unit=vaultd.service", "--user-unit=vaultd.service")


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what it says from now on.")
@click.option("-n", "--lines", type=click.IntRange(1, 5000), default=100, show_default=True, help="How many.")
@click.option("--level", type=click.Choice(_LEVELS), default="debug", help="This level and those above it.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines, from the daemon's memory.")
@click.pass_context
def logs(ctx: click.Context, follow: bool, lines: int, level: str, as_json: bool) -> None:
    """What the daemon has been saying."""
    call = call_of(ctx)
    found = look_for_daemon(call)
    if found.socket is None:
        if as_json:
            raise Misconfigured("no daemon runs, and only its memory is told as JSON: set log-format: json")
        _left_behind(call, found, lines, level)
        if follow:
            terminal.chat("no daemon runs: nothing to follow")
        return
    _of_daemon(found.socket, {"lines": lines, "level": level, "json": as_json}, follow=follow)


def _of_daemon(socket: Path, wanted: dict[str, Any], *, follow: bool) -> None:
    from vaultd.net import local  # noqa: PLC0415 - start-up time

    answer = local.call(socket, "logs", wanted)
    if (unit := answer["unit"]) and not wanted["json"]:
        if _from_journal(unit, wanted["lines"], wanted["level"], follow=follow):
            return
        terminal.chat("the journal is not to be read by you: these are the lines in the daemon's memory")
    _show(answer["lines"])
    after, gone = answer["after"], False
    wanted.pop("lines")  # which is how many of those before now
    while follow and not _nobody_reads():
        try:
            answer = local.call(socket, "logs", {**wanted, "after": after})
        except TryLater:
            if not gone:
                terminal.chat("the daemon ended; what the next one says follows here")
            after, gone = 0, True
            continue
        after, gone = answer["after"], False
        if answer["missed"]:
            terminal.chat(f"{answer['missed']} lines came faster than they could be read")
        _show(answer["lines"])


def _nobody_reads() -> bool:
    """After a pause: `head` has what it wanted, and nothing may come for hours by which we would notice."""
    time.sleep(_PAUSE)
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    return any(what & (select.POLLERR | select.POLLHUP) for _, what in reader.poll(0))


def _left_behind(call: Call, found: Looked, lines: int, level: str) -> None:
    from vaultd.config.places import find  # noqa: PLC0415 - start-up time
    from vaultd.net.log_file import tail_of  # noqa: PLC0415
    from vaultd.verbs.logs import BYTES, MOST, heard  # noqa: PLC0415

    path = find(call.env, call.config, None).state_dir / "logs" / "vaultd.log"
    try:
        left = tail_of(path, -1, MOST, BYTES).lines
    except OSError as error:
        terminal.chat(f"{path}: {error.strerror}")
        left = []
    if left:
        terminal.chat(f"no daemon runs: from {path}")
        _show(heard(left, level)[-lines:])
        return
    for unit in _UNITS:
        if _from_journal(unit, lines, level, follow=False):
            return
    whose.place(call, found, plants=False)
    raise Misconfigured(f"no daemon runs, there is no {path}, and the journal tells nothing of vaultd: vaultd serve")


def _from_journal(unit: str, lines: int, level: str, *, follow: bool) -> bool:
    """False where it tells nothing: there is none, or it is not for this person."""
    words = ["journalctl", unit, "--output=short-iso", "--no-pager", "--quiet"]
    if level in _PRIORITIES:
        words.append(f"--priority={_PRIORITIES[level]}")
    try:
        done = _ran([*words, f"--lines={1 if follow else lines}"])
    except OSError:
        return False
    if done.returncode or not done.stdout:
        return False
    if not follow:
        _show(done.stdout.splitlines())
        return True
    with subprocess.Popen(  # noqa: S603 - its words are ours
        [*words, f"--lines={lines}", "--follow"], stdout=subprocess.PIPE, text=True, errors="replace"
    ) as going:
        assert going.stdout is not None
        for line in going.stdout:
            terminal.out(line.rstrip("\n"))
    return True


def _ran(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - as above


def _show(lines: Sequence[str]) -> None:
    for line in lines:
        terminal.out(line)
