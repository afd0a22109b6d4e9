"""The one owner of usage: what each request cost, entered when it ends, durable within a second."""

from __future__ import annotations

from vaultd.work.story import Story


class Book:
    """The usage of one house."""

    def enter(self, story: Story) -> None:
        """`story` has ended. Called once for each request, on its way out: a list entry's worth of work."""
