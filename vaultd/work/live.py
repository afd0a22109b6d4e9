"""The requests under way and those that ended just now, for a person who watches. Costs a few list entries a request,
and nothing more until somebody looks."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from vaultd.errors import TryLater
from vaultd.work.story import Story

#: Those that ended last: what a page shows below those under way. A watcher who looks twice a second misses none of a
#: hundred requests a second, and of more nobody reads each.
_ENDED: Final = 50
#: A page behind a slow line takes a second or two for a burst. Whoever takes longer asks again and sees what is then.
_PATIENCE: Final = 10.0
#: A household's pages and a script. Each looks at everything twice a second, and a page that was forgotten does too.
WATCHERS: Final = 16


class Numbered(NamedTuple):
    """A story and its number in this run of the daemon; the number of another run is another request's."""

    n: int
    story: Story


class Live:
    """The stories that have no end yet, and the last that have one."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        #: Plain pairs, which are made in half the time, once a request.
        self._running: dict[int, tuple[int, Story]] = {}
        self._ended: deque[tuple[int, Story]] = deque(maxlen=_ENDED)
        #: How many have ended.
        self.over = 0
        self.watchers = 0
        #: Seconds that a watcher may take to read what he is told.
        self.patience = _PATIENCE

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody watches inside. Raises TryLater where that would be one too many."""
        if self.watchers >= WATCHERS:
            raise TryLater(f"{WATCHERS} watch already: close a page", after=15, own=True)
        self.watchers += 1
        try:
            yield
        finally:
            self.watchers -= 1

    def begin(self, story: Story) -> None:
        self._running[id(story)] = (next(self._numbers), story)

    def end(self, story: Story) -> None:
        told = self._running.pop(id(story), None)
        if told is not None:
            self._ended.append(told)
            self.over += 1

    def running(self) -> tuple[Numbered, ...]:
        """Oldest first."""
        return tuple(Numbered(*told) for told in self._running.values())

    def ended(self, seen: int = 0) -> list[Numbered]:
        """Of those that ended after the first `seen`, the last; oldest first."""
        fresh = min(self.over - seen, len(self._ended))
        return [Numbered(*told) for told in itertools.islice(self._ended, len(self._ended) - fresh, None)]
