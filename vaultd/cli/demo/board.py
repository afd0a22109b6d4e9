"""Rows that change while one looks: redrawn in place on a terminal, one line each when done elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vaultd.cli import terminal

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class Board:
    """One row per name. `show` while it changes, `done` once."""

    def __init__(self, names: Sequence[str]) -> None:
        self._rows = dict.fromkeys(names, ("", False))
        self._width = max(len(name) for name in names)
        self._live: Live | None = None

    def show(self, name: str, text: str) -> None:
        self._rows[name] = (text, False)
        self._draw()

    def done(self, name: str, text: str) -> None:
        self._rows[name] = (text, True)
        self._draw()
        if self._live is None:
            terminal.out(f"  {name.ljust(self._width)}  {text}")

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._table())

    def _table(self) -> Table:
        from rich.table import Table  # noqa: PLC0415 - 60 ms that a piped command need not pay
        from rich.text import Text  # noqa: PLC0415

        table = Table.grid(padding=(0, 2))
        for name, (text, done) in self._rows.items():
            style = "green" if done else "dim"
            table.add_row("", Text(name), Text("✓" if done else "…", style), Text(terminal.safe(text)))
        return table


@contextmanager
def board(names: Sequence[str]) -> Iterator[Board]:
    rows = Board(names)
    if not sys.stdout.isatty():
        yield rows
        return
    from rich.live import Live  # noqa: PLC0415

    with Live(rows._table(), refresh_per_second=20) as live:  # noqa: SLF001
        rows._live = live  # noqa: SLF001
        yield rows
