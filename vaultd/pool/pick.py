"""In which order credentials are tried: priority, then the client's own format, then the strategy. Pure.

Weight, concurrency caps and session affinity will be further orders of a tier; nothing else needs to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, Literal

from vaultd.pool.state import Cooldown, Member, State

Strategy = Literal["round-robin", "fill-first"]
Tier = tuple[Member, ...]

#: The model name is the client's word: above this many cursors all start again from 0, which harms nobody.
_CURSORS: Final = 10_000


def tiers(members: Iterable[Member]) -> tuple[Tier, ...]:
    """Members in groups of equal standing, best first, each sorted by id: the same pool gives the same order."""
    ranked = sorted(members, key=lambda member: (*_rank(member), member.id))
    return tuple(tuple(group) for _, group in groupby(ranked, key=_rank))


def turn(groups: Sequence[Tier], strategy: Strategy, model: str, state: State, now: float) -> Iterator[Member]:
    """The members that are not resting, in the order in which one request tries them.

    Round-robin goes on behind the one that was last given out first, so that a resting member's share is spread over
    all others and not given to its neighbour.
    """
    first = True
    for index, tier in enumerate(groups):
        at = (model, index)
        start = state.cursors.get(at, 0) % len(tier) if strategy == "round-robin" else 0
        for step in range(len(tier)):
            position = (start + step) % len(tier)
            member = tier[position]
            if state.resting(member, now) is not None:
                continue
            if first:
                first = False
                if len(state.cursors) >= _CURSORS:
                    state.cursors.clear()
                state.cursors[at] = position + 1
            yield member


def longest_waiting(groups: Sequence[Tier], state: State, now: float) -> tuple[Member, Cooldown] | None:
    """Of the resting members the one that has been left alone for longest: the one to probe."""
    resting = [(member, mark) for tier in groups for member in tier if (mark := state.resting(member, now))]
    return min(resting, key=lambda pair: pair[1].since, default=None)


def _rank(member: Member) -> tuple[int, bool]:
    return (-member.priority, not member.native)
