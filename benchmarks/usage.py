"""What counting costs: entering a request, writing it down, and asking over a database of many. Prints a table; asserts
nothing, for times are the machine's."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vaultd.net.clock import SystemClock
from vaultd.wire.usage import Usage
from vaultd.work.metrics import Metrics
from vaultd.work.story import Story
from vaultd.work.usage import queries, shape
from vaultd.work.usage.book import Book
from vaultd.work.usage.prices import Prices, Rates

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
#: What may wait at once (`writer.MOST_WAITING`) is more than this.
BATCH = 20_000
DAY = 86400


def story(number: int, now: float) -> Story:
    """Spread over a month, over ten clients, twenty credentials and eight models."""
    made = Story(
        client=f"config-{number % 10}",
        endpoint="POST /v1/messages",
        format="anthropic-messages",
        asked="opus",
        provider=f"vendor-{number % 4}",
        credential=f"login-{number % 20}",
        model=f"model-{number % 8}",
        status=500 if number % 50 == 0 else 200,
        attempts=1,
        usage=Usage(1000 + number % 100, 200, 500, 50, 10),
        at=now - number * 30 * DAY / ROWS,
    )
    made.first, made.ended = made.began + 0.3, made.began + 2.0
    return made


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="vaultd-usage-") as folder:
        book, now = Book(Path(folder), SystemClock(), Metrics()), time.time()
        priced = Prices("USD", {"model-*": Rates(input=3, output=15, cached=0.3)})
        book.start()
        await book.ask(lambda _db: None)
        entering = writing = 0.0
        for begin in range(0, ROWS, BATCH):
            stories = [story(number, now) for number in range(begin, min(begin + BATCH, ROWS))]
            at = time.perf_counter()
            for one in stories:
                book.enter(one)
            entering += time.perf_counter() - at
            at = time.process_time()
            await book.ask(lambda _db: None)
            writing += time.process_time() - at
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 1e6  # noqa: ASYNC240 - nobody waits
        print(f"{ROWS} requests, {size:.0f} MB\n\n| what | time |\n|---|---|")
        print(f"| enter, a request | {entering / ROWS * 1e9:.0f} ns |")
        print(f"| write down, a request (CPU) | {writing / ROWS * 1e6:.1f} µs |")
        start, end = int(now) - 30 * DAY, int(now) + 1
        asked: dict[str, Callable[[Any], Any]] = {
            "a month by the hour and model, priced": lambda db: queries.series(db, start, end, "hour", "model", priced),
            "a month by the day and credential": lambda db: queries.series(
                db, start, end, "day", "credential", Prices()
            ),
            "sums of a month by client": lambda db: queries.sums(db, start, end, "client", Prices()),
            "the last 100 requests": lambda db: queries.requests(db, 100, None, priced),
            "the last 100 of a client there is not": lambda db: queries.requests(
                db, 100, None, priced, client="nobody"
            ),
            "CLIProxyAPI's /usage": lambda db: shape.snapshot(db, "book"),
        }
        for name, query in asked.items():
            at = time.perf_counter()
            await book.ask(query)
            print(f"| {name} | {(time.perf_counter() - at) * 1e3:.0f} ms |")
        await book.close()


if __name__ == "__main__":
    asyncio.run(main())
