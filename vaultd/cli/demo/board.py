"""Rows that change while one looks: redrawn in place on a terminal, one line each when done elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vaultd.cli import terminal

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class Board:
    """One row per name, while entered. `show` while it changes, `done` once."""

    def __init__(self, names: Sequence[str]) -> None:
        self._rows = dict.fromkeys(names, ("", False))
        self._width = max(len(name) for name in names)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stdout.isatty():
            from rich.live import Live  # noqa: PLC0415 - 60 ms that a piped command need not pay

            self._live = Live(self._table(), refresh_per_second=20)
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

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
        from rich.table import Table  # noqa: PLC0415 - as above
        from rich.text import Text  # noqa: PLC0415

        table = Table.grid(padding=(0, 2))
        for name, (text, done) in self._rows.items():
            style = "green" if done else "dim"
            table.add_row("", Text(name), Text("✓" if done else "…", style), Text(terminal.safe(text)))
        return table
