"""The terminal's rules, and the only place that prints.

stdout carries the result: a URL, a table, JSON. stderr carries the chatter. What a vendor or a file named goes out
with its control and direction characters escaped, so that no name can move the cursor or hide text (THR-29).
Tables are drawn only on a terminal; piped, they are aligned plain lines. A secret is asked for without echo.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import click

from vaultd.secret import Secret

#: A key is one line; vendors' longest are under 300 characters, service tokens (JWT) under 4 kB.
_SECRET_LIMIT = 16 * 1024


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

#: On every command that lists or shows something.
json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")


def safe(text: str) -> str:
    """Escapes what could act on a terminal: C0, C1, and format characters such as bidi overrides (Unicode Cc, Cf); and
    halves of characters (Cs), which file names may hold and no terminal takes."""
    return "".join(_escaped(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def out(line: str) -> None:
    """One line of the result."""
    click.echo(safe(line))


def chat(line: str) -> None:
    """One line of chatter, on stderr."""
    click.echo(safe(line), err=True)


def progress(line: str) -> None:
    """Takes the place of the line before it, for a terminal on stderr (ECMA-48: erase in line). Empty clears it."""
    click.echo(f"\r\x1b[K{safe(line)}", err=True, nl=False)


def chat_text(text: str) -> None:
    """Several lines of chatter that are our own words."""
    for line in text.splitlines():
        chat(line)


def complain(message: str, *, hint: str = "") -> None:
    chat(f"vaultd: {message}")
    if hint:
        chat(hint)


def out_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=True))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under headings: drawn on a terminal, aligned text elsewhere."""
    cells = [[safe(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, cells)
        return
    lines = [list(columns), *cells]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _draw(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - 60 ms that a piped command need not pay
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    drawn = Table(*columns, box=SIMPLE_HEAD)
    for row in rows:
        drawn.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console().print(drawn)


def ask_secret(prompt: str, *, or_nothing: bool = False) -> Secret:
    """One secret line: without echo on a terminal, else the whole of stdin. Never from argv."""
    text = getpass.getpass(f"{prompt}: ") if sys.stdin.isatty() else sys.stdin.read(_SECRET_LIMIT + 1)
    value = text.strip()
    if or_nothing and not value:
        return Secret("")
    if not value or len(value) > _SECRET_LIMIT or any(char.isspace() or not char.isprintable() for char in value):
        raise click.UsageError(f"{prompt}: expected one line of text on stdin, without spaces")
    return Secret(value)


def ask_line(prompt: str) -> str:
    """One secret line that may hold spaces: without echo on a terminal, else the first line of stdin."""
    return getpass.getpass(f"{prompt}: ") if sys.stdin.isatty() else sys.stdin.readline(_SECRET_LIMIT).rstrip("\n")


def passphrase_asker() -> Callable[[], str] | None:
    """Asks for the vault's passphrase, where a person is there to be asked."""
    return (lambda: getpass.getpass("Passphrase of the vault: ")) if sys.stdin.isatty() else None


def confirm(question: str) -> bool:
    """Asks on stderr; with nobody there the answer is no."""
    return sys.stdin.isatty() and click.confirm(safe(question), default=False, err=True)


def complete() -> None:
    """Whoever started us may have left 0, 1 or 2 closed: the next file to be opened, a sealed one maybe, would get that
    number, and what we say would go into it. Nothing is read from such a stream, and what it is told is lost."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def abandon_stdout() -> None:
    """The reader went away (`| head`): keep the interpreter from complaining when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
