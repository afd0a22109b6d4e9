"""The only clock of the house. Everybody else is handed a `Clock` or a number, so that a test's day lasts no time."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Two times, for two uses: `now` is written down, `boot` measures."""

    def now(self) -> float:
        """Unix seconds on the wall clock: may jump."""
        ...

    def boot(self) -> float:
        """Seconds since boot, suspended time included: never jumps (SEC-51)."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        return time.time()

    def boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
