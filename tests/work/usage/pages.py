"""A book on a folder, its stories, and what is written in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from desk import HandClock

from vaultd.wire.usage import Usage
from vaultd.work.metrics import Metrics, Seen
from vaultd.work.story import Story, Vain
from vaultd.work.usage import queries
from vaultd.work.usage.book import Book
from vaultd.work.usage.prices import Prices
from vaultd.work.usage.writer import Keep

FREE = Prices()


def story(at: float, status: int = 200, **facts: Any) -> Story:
    """A request that took two seconds, the first of them until its answer began."""
    usual: dict[str, Any] = {
        "client": "config-1",
        "endpoint": "POST /v1/messages",
        "format": "anthropic-messages",
        "asked": "opus",
        "provider": "acme",
        "credential": "acme-1",
        "model": "real-opus",
        "attempts": 1,
        "usage": Usage(input=10, output=5, cached=4, reasoning=2, written=1),
    }
    return Story(**usual | facts, status=status, at=at, began=100.0, first=101.0, ended=102.0)


class Shelf:
    """A folder with one book; `again` is the next start of the daemon."""

    def __init__(self, folder: Path, clock: HandClock | None = None) -> None:
        self.folder, self.clock = folder, clock or HandClock()
        self.keep = Keep()
        self.again()

    def again(self) -> Book:
        self.metrics = Metrics()
        self.book = Book(self.folder, self.clock, self.metrics)
        self.book.use(True, self.keep, FREE)
        self.book.start()
        return self.book

    def enter(self, *stories: Story) -> None:
        for one in stories:
            self.book.enter(one)

    @property
    def now(self) -> float:
        return self.clock.now()

    async def sums(self, by: queries.By = "total") -> list[queries.Sum]:
        """Of all time."""
        return await self.book.ask(lambda db: queries.sums(db, 0, 1 << 40, by, self.book.prices))

    async def total(self) -> queries.Sum:
        (total,) = await self.sums()
        return total

    async def last(self, **wanted: Any) -> list[queries.Request]:
        return await self.book.ask(lambda db: queries.requests(db, 1000, None, self.book.prices, **wanted))

    def counted(self, series: str) -> float:
        lines = self.metrics.render(Seen()).decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))


def written(file: Path, text: str = "SELECT sum(requests) FROM hours") -> Any:
    """What another process sees."""
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(text).fetchone()[0]


__all__ = ["Shelf", "Vain", "story", "written"]
