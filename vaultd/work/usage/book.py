"""The one owner of usage: what each request cost, entered when it ends, durable within a second.

Counted is every request that reached the relay, over sockets and for a compaction too. Counting tokens is not: it uses
nothing. What Codex's own backend is asked beside answers passes unread, and is not counted either.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from vaultd.errors import TryLater
from vaultd.net.clock import Clock
from vaultd.work.metrics import Metrics
from vaultd.work.story import Story
from vaultd.work.usage.prices import Prices
from vaultd.work.usage.store import Store, Unusable, is_broken, reading
from vaultd.work.usage.writer import Keep, Writer

T = TypeVar("T")

NAME: Final = "usage.sqlite"
#: A question does not wait longer than this for a disk to take what waits: what is there already is answered.
_PATIENCE: Final = 3.0


class Book:
    """The usage of one house."""

    def __init__(self, folder: Path, clock: Clock, metrics: Metrics) -> None:
        self.file: Final = folder / NAME
        self.prices = Prices()
        self._on = True
        self._clock = clock
        self._writer = Writer(Store(self.file), clock, metrics.tokens, metrics.usage_dropped)

    @property
    def on(self) -> bool:
        return self._on

    @property
    def troubles(self) -> Mapping[str, str]:
        """Code of `work.health` → what is wrong."""
        return dict(self._writer.troubles)

    def now(self) -> float:
        return self._clock.now()

    def use(self, on: bool, keep: Keep, prices: Prices) -> None:
        """As the configuration says from now on."""
        self._on, self._writer.keep, self.prices = on, keep, prices

    def start(self) -> None:
        """At once, for a daemon: it finds a broken file, and lets go of what is old, before anybody asks."""
        self._writer.start()

    async def close(self) -> None:
        await asyncio.to_thread(self._writer.close)

    def enter(self, story: Story) -> None:
        """`story` has ended. Called once for each request, on its way out: a list entry's worth of work."""
        if self._on:
            self._writer.enter(story)

    async def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What the database says, after what waits was written. Raises TryLater."""
        done = asyncio.wrap_future(self._writer.ask(Store.open))
        with suppress(TimeoutError, sqlite3.Error, OSError, Unusable):  # what can be read is told by reading
            await asyncio.wait_for(done, _PATIENCE)
        return await asyncio.to_thread(self._read, query)

    async def write(self, do: Callable[[Store], T]) -> T:
        """For what comes from another book. Raises TryLater."""
        try:
            told: Any = await asyncio.wrap_future(self._writer.ask(do))
        except (sqlite3.Error, OSError, Unusable) as error:
            raise TryLater(f"the usage database cannot be written: {error}") from None
        return told  # type: ignore[no-any-return]

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with closing(reading(self.file)) as connection:
                return query(connection)
        except sqlite3.Error as error:
            if is_broken(error):
                self._writer.suspect()
            raise TryLater(f"the usage database cannot be read: {error}", after=1) from None
