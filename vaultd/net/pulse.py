"""How late the event loop is: what a watchdog and the metrics go by.

A timer asks to be woken each second and measures how much later it was. While the loop is blocked nothing is
measured, so `lag` also counts what is overdue at the moment somebody asks from elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final

#: Short enough to see a second's blocking, long enough to cost nothing.
BEAT_SECONDS: Final = 1.0
#: So many beats are remembered: whoever scrapes each minute, the usual pace, misses none, and however many scrape, each
#: sees the same.
REMEMBERED: Final = 60


class Pulse:
    """Beats from `forever` on. Seconds throughout."""

    def __init__(self) -> None:
        self._measured = 0.0
        self._last: deque[float] = deque(maxlen=REMEMBERED)
        self._due: float | None = None

    async def forever(self) -> None:
        while True:
            self._due = time.monotonic() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)
            self._measured = max(0.0, time.monotonic() - self._due)
            self._last.append(self._measured)

    @property
    def lag(self) -> float:
        """How late the last beat was, or the next one is already."""
        overdue = time.monotonic() - self._due if self._due is not None else 0.0
        return max(self._measured, overdue)

    def worst(self) -> float:
        """The latest of the last minute's beats."""
        return max(self.lag, *self._last, 0.0)
