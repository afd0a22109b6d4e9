"""`vaultd audit`: who changed what, and the proof that nobody touched the log of it.

Asked of the daemon where one runs, else of the folder. `verify` writes nothing, and its exit code is for scripts: 0 the
log is whole, 1 it is not, as `doctor` has it; 78 and 6 where it could not be looked at.
"""

from __future__ import annotations

from typing import Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask

_BROKEN = 1


@click.group()
def audit() -> None:
    """Who changed what: the audit log."""


@audit.command()
@click.option("-n", "--lines", type=click.IntRange(1, 20_000), default=50, show_default=True, help="How many.")
@terminal.json_option
@click.pass_context
def show(ctx: click.Context, lines: int, as_json: bool) -> None:
    """The last actions, oldest first."""
    answer = ask(ctx, "audit.show", {"lines": lines})
    if as_json:
        terminal.out_json(answer)
        return
    rows = [
        (
            row["at"][:19] + "Z",
            row["who"],
            row["action"],
            row["what"],
            " ".join(filter(None, (row["outcome"], row["status"]))),
        )
        for row in answer["data"]
    ]
    terminal.table(("at", "who", "action", "what", "outcome"), rows)


@audit.command()
@terminal.json_option
@click.pass_context
def verify(ctx: click.Context, as_json: bool) -> int:
    """Prove that no line was altered, removed, moved or put back. Exit code 1 where one was."""
    answer = ask(ctx, "audit.verify")
    if as_json:
        terminal.out_json(answer)
    else:
        _tell(answer)
    return 0 if answer["sound"] else _BROKEN


@audit.command()
@click.pass_context
def accept(ctx: click.Context) -> None:
    """Go on from a log that is not whole, once it is known why. What was found stays in it, and is told as accepted."""
    answer = ask(ctx, "audit.accept")
    if answer["sound"]:
        terminal.chat("the log is whole: there was nothing to accept")
        return
    for one in answer["problems"]:
        terminal.chat(_finding(one))
    terminal.out(f"accepted: {len(answer['problems'])} findings; from here on the log has to be whole")


def _tell(answer: dict[str, Any]) -> None:
    for one in answer["notes"]:
        terminal.chat(f"note: {_finding(one)}")
    if answer["unfinished"]:
        lines = ", ".join(str(line) for line in answer["unfinished"][-5:])
        terminal.chat(
            f"note: actions without an outcome (under way, or cut short): {len(answer['unfinished'])}, at line {lines}"
        )
    for one in answer["problems"]:
        terminal.out(_finding(one))
    span = f"lines {answer['first']} to {answer['last']}" if answer["last"] else "no line yet"
    state = "whole" if answer["sound"] else "NOT WHOLE"
    terminal.out(f"{answer['log']}: {state}, {span}")


def _finding(one: dict[str, Any]) -> str:
    return f"{one['file']}{':' + str(one['line']) if one['line'] else ''}: {one['says']}"
