"""In which order credentials are tried: priority, then the client's own format, then the session's home, then the
strategy's turn by weight. Pure.

Each tier keeps who of it is ready as the bits of one number, and hears of changes from the state. So a choice among
10,000 credentials looks at none that rests.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, Literal

from vaultd.pool.homes import Home
from vaultd.pool.state import Cooldown, Member, State, Variant

Strategy = Literal["round-robin", "fill-first"]

#: The model name is the client's word: above this many cursors all start again from 0, which harms nobody.
_CURSORS: Final = 10_000
#: The golden ratio's fraction in 64 bits (Knuth, TAOCP 3, §6.4): its multiples are spread over a whole as evenly as
#: those of any number, however many there are.
_GOLDEN: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1
#: What a turn of weight 1 takes: a million times finer than that of the heaviest.
_TURN: Final = 1 << 40
#: Bits for a member's place: more than any pool has.
_PLACES: Final = 24
_PLACE: Final = (1 << _PLACES) - 1
#: A weight above this counts as this, as in CLIProxyAPI; below 1 as 1.
HEAVIEST: Final = 1_000_000


class Tier:
    """Members of equal standing, and which of them are ready as far as is known here."""

    __slots__ = ("_at", "_flags", "_ready", "_seen", "_shares", "_slots", "_state", "members")

    def __init__(self, members: Iterable[Member]) -> None:
        """`members`: sorted by id."""
        self.members: Final = tuple(members)
        self._at = {member.id: at for at, member in enumerate(self.members)}
        # Members that are alike share their variants: 10,000 of them have a few.
        alike = {id(member.variants): member.variants for member in self.members}
        self._slots = {"", *(variant.slot for variants in alike.values() for variant in variants)}
        weights = [min(max(member.weight, 1), HEAVIEST) for member in self.members]
        self._shares = _Shares(weights) if len(set(weights)) > 1 else None
        #: The same as the bits: one of them is cheaper to look at here.
        self._flags: list[bool] = []
        self._state: State | None = None
        self._ready, self._seen = 0, 0

    def __len__(self) -> int:
        return len(self.members)

    def place(self, credential: str) -> int:
        """Where it stands, -1 where it does not."""
        return self._at.get(credential, -1)

    def ready(self, state: State, now: float) -> int:
        """The bits of those that are ready, but for some that have come to their caps since (`leave_out`)."""
        state.advance(now)
        if state is not self._state or (news := state.moves(self._seen)) is None:
            self._look(state, now)
            self._state, self._seen = state, state.moved
        elif news:
            for credential, slot in news:
                if slot in self._slots and (at := self._at.get(credential)) is not None:
                    self._set(at, state.ready(self.members[at], now))
            self._seen = state.moved
        return self._ready

    def leave_out(self, at: int) -> None:
        """It is at its cap. The state tells when it is not any more."""
        self._set(at, False)

    def first(self, ready: int, strategy: Strategy, cursor: tuple[str, int], state: State) -> int:
        """Whose turn it is among `ready`, which is not 0; notes that it was given.

        Round-robin goes on behind the one that was last given out first, so that a resting member's share is spread
        over all others and not given to its neighbour.
        """
        if strategy == "fill-first":
            return behind(ready, 0)
        if self._shares is not None:
            return self._shares.next(ready)
        if len(state.cursors) >= _CURSORS and cursor not in state.cursors:
            state.cursors.clear()
        turns = state.cursors.get(cursor, 0)
        at = behind(ready, turns % len(self.members))
        state.cursors[cursor] = at + 1
        return at

    def _set(self, at: int, ready: bool) -> None:
        if self._flags[at] is ready:
            return
        self._flags[at] = ready
        self._ready ^= 1 << at
        if self._shares is not None and ready:
            self._shares.back(at)

    def _look(self, state: State, now: float) -> None:
        """At everybody who may not be ready."""
        bits, out = bytearray(b"1" * len(self.members)), set()
        self._flags = [True] * len(self.members)
        for credential in state.touched():
            at = self._at.get(credential)
            if at is not None and not state.ready(self.members[at], now):
                bits[-1 - at] = ord("0")
                self._flags[at] = False
                out.add(at)
        self._ready = int(bits, 2)
        if self._shares is not None:
            self._shares.restart(out)


class _Shares:
    """Turns by weight: the k-th turn of a member of weight w is due at (k + phase) / w, and whose is due first has his.

    While nobody comes or goes each has exactly his weight of every sum of weights' turns, and they are mixed: phases
    are spread, or a hundred of weight 1 beside one of 1,000 would all come in one row.
    """

    __slots__ = ("_due", "_now", "_queued", "_strides")

    def __init__(self, weights: Sequence[int]) -> None:
        #: Of one number each: when the turn is due above, whose it is below. Half the time of a pair.
        self._due: list[int] = []
        self._strides = [(_TURN // weight) << _PLACES for weight in weights]
        self._now = 0
        self._queued = bytearray(len(weights))

    def restart(self, out: Container[int]) -> None:
        """All but those at `out` are ready."""
        ready = [at for at in range(len(self._strides)) if at not in out]
        self._due = [self._first(at) for at in ready]
        heapq.heapify(self._due)
        self._queued = bytearray(len(self._strides))
        for at in ready:
            self._queued[at] = 1

    def back(self, at: int) -> None:
        """It is ready again. Who is not any more is left out when his turn comes."""
        if not self._queued[at]:
            self._queued[at] = 1
            heapq.heappush(self._due, self._first(at))

    def next(self, ready: int) -> int:
        while True:
            due = self._due[0]
            at = due & _PLACE
            if ready >> at & 1:
                self._now = due >> _PLACES
                heapq.heapreplace(self._due, due + self._strides[at])
                return at
            heapq.heappop(self._due)
            self._queued[at] = 0

    def _first(self, at: int) -> int:
        phase = ((at + 1) * _GOLDEN & _WORD) * (self._strides[at] >> _PLACES) >> 64
        return (self._now + phase) << _PLACES | at


def tiers(members: Iterable[Member]) -> tuple[Tier, ...]:
    """Members in groups of equal standing, best first, each sorted by id: the same pool gives the same order."""
    ranked = sorted(sorted(members, key=_id), key=_rank)
    return tuple(Tier(group) for _, group in groupby(ranked, key=_rank))


def turn(
    groups: Sequence[Tier],
    strategy: Strategy,
    name: str,
    state: State,
    clock: Callable[[], float],
    session: str = "",
) -> Iterator[Member]:
    """The ready members, in the order in which one request for the model `name` tries them. Each step looks anew."""
    stay, seeking = (session, name), bool(session)
    for index, tier in enumerate(groups):
        tried, at = 0, -1
        while ready := tier.ready(state, clock()) & ~tried if tried else tier.ready(state, clock()):
            at_home, keeps = -1, False
            if seeking and (home := state.homes.find(stay, clock())):
                at_home, keeps = lodging(groups, index, ready, home)
            if at_home >= 0:
                at = at_home
            else:
                at = behind(ready, at + 1) if tried else tier.first(ready, strategy, (name, index), state)
            member = tier.members[at]
            if state.busy(member):
                tier.leave_out(at)
                continue
            if seeking and at_home < 0:
                state.homes.lodge(stay, member.id, clock(), away=keeps)
            seeking = False
            yield member
            tried |= 1 << at


def lodging(groups: Sequence[Tier], index: int, ready: int, home: Home) -> tuple[int, bool]:
    """Where in the tier `index`, the best with somebody `ready`, a session with this home goes, -1 for nowhere yet; and
    whether the home stands.

    A home that rests, or is at its cap, stands and waits, and the session stays with one other meanwhile. One that can
    serve no more, or that a better tier has overtaken, does not: affinity never outranks priority.
    """
    tier = groups[index]
    at = tier.place(home.credential)
    if at >= 0 and ready >> at & 1:
        return at, True
    if at < 0 and not any(better.place(home.credential) >= 0 for better in groups[:index]):
        return -1, False
    away = tier.place(home.away)
    return (away if away >= 0 and ready >> away & 1 else -1), True


def longest_waiting(
    groups: Sequence[Tier], state: State, now: float, may: Callable[[Member, Variant, Cooldown], bool]
) -> tuple[Member, Variant, Cooldown] | None:
    """Of what rests and `may` be tried, what has been left alone for longest: the one to probe."""
    found: tuple[Member, Variant, Cooldown] | None = None
    for tier in groups:
        for member in tier.members:
            if state.busy(member):
                continue
            for variant in member.variants:
                mark = state.rests(member, variant, now)
                if mark is not None and (found is None or mark.since < found[2].since) and may(member, variant, mark):
                    found = (member, variant, mark)
    return found


def behind(ready: int, at: int) -> int:
    """The first bit of `ready`, which is not 0, from `at` on, and from the start again."""
    further = ready >> at
    if further:
        return at + (further & -further).bit_length() - 1
    return (ready & -ready).bit_length() - 1


def _id(member: Member) -> str:
    return member.id


def _rank(member: Member) -> tuple[int, bool]:
    return (-member.priority, not member.native)
