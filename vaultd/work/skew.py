"""How far the vendors' clocks are from ours (SEC-51): told to people, and nothing is decided by it.

A vendor's `Date` that could move a due time would be a way to steer renewals from outside.
"""

from __future__ import annotations

#: Seconds. Above it signatures and `not before` claims begin to fail (most servers allow one minute).
TOO_FAR = 60.0


class Skew:
    """The latest word of each vendor, kept against the boot clock: true still after our wall clock was set."""

    def __init__(self) -> None:
        self._offsets: dict[str, float] = {}
        self._told = False

    def learn(self, vendor: str, seconds: float, *, wall: float, boot: float) -> None:
        """`seconds`: the vendor's clock less ours, which shows `wall`."""
        self._offsets[vendor] = seconds + wall - boot

    def now(self, *, wall: float, boot: float) -> float | None:
        """Their clock less ours, in seconds: the middle one by size, the smaller of two.

        If our clock is wrong all vendors say so; if one vendor's is, only he does.
        """
        seconds = sorted((offset + boot - wall for offset in self._offsets.values()), key=abs)
        return seconds[(len(seconds) - 1) // 2] if seconds else None

    def news(self, *, wall: float, boot: float) -> str:
        """One sentence when it has become too much, and one when it is mended; else nothing."""
        seconds = self.now(wall=wall, boot=boot)
        far = seconds is not None and abs(seconds) > TOO_FAR
        if far == self._told:
            return ""
        self._told = far
        return "this machine's clock is off by more than a minute: set it" if far else "this machine's clock is right"
