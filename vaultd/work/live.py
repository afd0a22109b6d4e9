"""The requests under way, for a person who watches. Costs a dictionary entry a request, and nothing more until somebody
looks."""

from __future__ import annotations

from collections.abc import Iterable

from vaultd.work.story import Story


class Live:
    """The stories that have no end yet."""

    def __init__(self) -> None:
        self._running: dict[int, Story] = {}

    def begin(self, story: Story) -> None:
        self._running[id(story)] = story

    def end(self, story: Story) -> None:
        self._running.pop(id(story), None)

    def running(self) -> Iterable[Story]:
        return tuple(self._running.values())
