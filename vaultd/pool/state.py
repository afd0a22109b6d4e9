"""Which credential is set aside, for which model, why and until when; how many requests each has under way; where each
session lives. Memory only, moved by what vendors answer; `export` and `restore` carry it over a restart.

Pure: the time comes in as `now`, seconds on the boot clock (it goes on in suspend and nobody sets it). Choosing is
`pool.pick`, words are `pool.explain`; no request, no file, no clock here.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from vaultd.catalog.manifest import Model, Provider
from vaultd.pool.homes import Homes, KeptHome

#: A credential, and the slot it is set aside for; "" is every one (a refused credential is refused for all).
Key = tuple[str, str]

#: A credential that is refused, unpaid, or may not use a model is not tried for half an hour: a person has to act
#: (CLIProxyAPI has the same number).
_REFUSED: Final = 1800.0
#: Without a hint from the vendor the rests grow 1, 2, 4 … s. A rate limit may go on to half an hour, as in CLIProxyAPI;
#: a failing server is worth another look each minute.
_LONGEST_LIMITED: Final = 1800.0
_LONGEST_FAILED: Final = 60.0
#: Slots of one credential that may be set aside at once. A model's name is the client's word and patterns take any: of
#: more marks the oldest makes room. The largest catalogue has 50 models, and few logins more than five projects.
_SLOTS: Final = 256
#: Probes remembered, likewise by names that may be the client's.
_PROBES: Final = 10_000
#: Moves remembered for tiers that are seldom asked. A tier that missed more looks at all its members, which for 10,000
#: of them costs as much as so many moves.
_MOVES: Final = 8192


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one try at a vendor came to: its status, 0 where no answer came. `retry_after`: the seconds it asked for.

    The status is what the answer counts as, which a manifest may know better than the vendor's number says
    (`api.refusals`). `own`: a client error that is about this credential and not the request, such as a model this
    account may not use. `why`: the vendor's reason in a few words for people, never its body.
    """

    status: int
    retry_after: float | None = None
    why: str = ""
    own: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 400

    @property
    def passes_on(self) -> bool:
        """True where the next credential may fare better."""
        return self.own or self.status in FAILOVER


OK: Final = Outcome(200)
NETWORK: Final = Outcome(0)

#: Outcomes about the credential or the vendor, not the request: the next credential may fare better.
FAILOVER: Final = frozenset({0, 401, 402, 403, 408, 429, *range(500, 600)})
#: Outcomes after which `request-retry` allows another round.
ANOTHER_ROUND: Final = frozenset({0, 403, 408, 500, 502, 503, 504})


class Variant(msgspec.Struct, frozen=True, gc=False):
    """One way in which a credential serves a model: by one of its projects, under one of the model's ids. A quota of
    one says nothing of the others, so each is set aside on its own, as `slot`."""

    model: Model
    project: str = ""

    @property
    def name(self) -> str:
        """The model as the vendor calls it: two aliases of one model have one quota."""
        return self.model.upstream or self.model.id

    @property
    def slot(self) -> str:
        return f"{self.name} in {self.project}" if self.project else self.name


class Member(msgspec.Struct, frozen=True, gc=False):
    """One credential that serves one model in one format. `variants`: in the order in which a 429 moves on to the next;
    none given stands for `model` alone. `parallel`: requests it may have under way, 0 any number."""

    id: str
    provider: Provider
    model: Model
    priority: int = 0
    #: True where the vendor speaks the client's own format.
    native: bool = True
    weight: int = 1
    parallel: int = 0
    variants: tuple[Variant, ...] = ()

    def __post_init__(self) -> None:
        if not self.variants:
            msgspec.structs.force_setattr(self, "variants", (Variant(self.model),))


@dataclass(slots=True)
class Cooldown:
    """Set aside from `since` until `until`, after an answer that counted as `status`, because of `why` (the vendor's
    reason, where it gave one). `own`: as in `Outcome`. `generation`, `created_at`: the credential's at that time."""

    since: float
    until: float
    status: int
    level: int = 0
    generation: int = 0
    created_at: float = 0.0
    why: str = ""
    own: bool = False


class KeptMark(msgspec.Struct, frozen=True, array_like=True):
    """A cooldown to be kept; its times in seconds from the moment of export."""

    credential: str
    slot: str
    since: float
    until: float
    status: int
    level: Annotated[int, msgspec.Meta(ge=0)] = 0
    generation: int = 0
    created_at: float = 0.0
    why: str = ""
    own: bool = False


class Kept(msgspec.Struct, frozen=True):
    """What outlives a restart: no secret, and of a session only a hash."""

    marks: list[KeptMark] = []
    homes: list[KeptHome] = []


class State:
    """Every cooldown, cursor, probe, home and count of requests under way of one daemon."""

    def __init__(self) -> None:
        self._marks: dict[str, dict[str, Cooldown]] = {}
        #: When marks end, so that a tier hears of it without looking at each: (until, credential, slot).
        self._ends: list[tuple[float, str, str]] = []
        self._count = 0
        self._running: dict[str, int] = {}
        #: Those found at their caps: somebody is to hear when they are not any more.
        self._full: set[str] = set()
        self._probes: dict[Key, float] = {}
        #: What changed: (credential, slot), "" for all slots. `moved` counts all there ever were.
        self._moves: list[Key] = []
        self.moved = 0
        self.cursors: dict[tuple[str, int], int] = {}
        self.homes: Final = Homes()
        self._version = 0

    @property
    def version(self) -> int:
        """Another number whenever what `export` gives has changed in more than when a home was last used."""
        return self._version + self.homes.version

    # Who may serve.

    def ready(self, member: Member, now: float) -> bool:
        """True where it neither rests nor has as many requests under way as it may."""
        return not self.busy(member) and self.resting(member, now) is None

    def busy(self, member: Member) -> bool:
        """True where it has as many requests under way as it may."""
        if member.parallel and self._running.get(member.id, 0) >= member.parallel:
            self._full.add(member.id)
            return True
        return False

    def resting(self, member: Member, now: float) -> Cooldown | None:
        """The cooldown that keeps this member out now: where it has several variants, that which ends first."""
        marks = self._marks.get(member.id)
        if marks is None:
            return None
        mark = marks.get("")
        if mark is not None and mark.until > now:
            return mark
        found: Cooldown | None = None
        for variant in member.variants:
            mark = marks.get(variant.slot)
            if mark is None or mark.until <= now:
                return None
            if found is None or mark.until < found.until:
                found = mark
        return found

    def rests(self, member: Member, variant: Variant, now: float) -> Cooldown | None:
        """The cooldown that keeps this variant out now."""
        marks = self._marks.get(member.id)
        if marks is None:
            return None
        for slot in ("", variant.slot):
            mark = marks.get(slot)
            if mark is not None and mark.until > now:
                return mark
        return None

    def cooldowns(self, now: float) -> Iterator[tuple[Key, Cooldown]]:
        """What is set aside now, by credential and slot."""
        for credential, marks in self._marks.items():
            for slot, mark in marks.items():
                if mark.until > now:
                    yield (credential, slot), mark

    # What answers do.

    def report(
        self,
        member: Member,
        outcome: Outcome,
        now: float,
        *,
        longest: float,
        asked_at: float | None = None,
        variant: Variant | None = None,
        generation: int = 0,
        created_at: float = 0.0,
    ) -> None:
        """Take in one outcome, of `member`'s first variant unless another is named. A client's own error (400, 404,
        413, 422) moves nothing. `asked_at`: when the try began; a long answer that ends well says nothing of what was
        refused meanwhile."""
        slot = (variant or member.variants[0]).slot
        marks = self._marks.get(member.id)
        if outcome.ok:
            if marks is not None:
                for name in (slot, ""):
                    mark = marks.get(name)
                    if mark is not None and mark.since <= (now if asked_at is None else asked_at):
                        self._drop(member.id, marks, name)
            return
        if not outcome.passes_on:
            return
        if outcome.status == 401:
            slot = ""
        if marks is None:
            marks = self._marks[member.id] = {}
        old = marks.get(slot)
        level = 0 if old is None else old.level + (old.until <= now)
        until = now + min(rest(outcome, level), longest)
        if old is not None and outcome.retry_after is None:
            # A burst that fails together is one failure: it neither lengthens nor shortens the rest.
            until = max(until, old.until)
        if old is None and len(marks) >= _SLOTS:
            self._drop(member.id, marks, next(known for known in marks if known))
        mark = Cooldown(now, until, outcome.status, level, generation, created_at, outcome.why, outcome.own)
        self._mark(member.id, slot, mark)

    def settle(self, credential: str, generation: int, created_at: float) -> None:
        """The credential changed. A renewal lifts a 401 that an older token earned and nothing else; a new sign-in, or
        a new key, all that was said of the old one, but for limits, which are the account's."""
        marks = self._marks.get(credential)
        if marks is None:
            return
        for slot, mark in list(marks.items()):
            again = mark.created_at != created_at and (mark.own or mark.status in {401, 402, 403})
            if again or (mark.status == 401 and mark.generation != generation):
                self._drop(credential, marks, slot)

    def forget(self, credential: str) -> None:
        """It is gone."""
        marks = self._marks.pop(credential, None)
        if marks is not None:
            self._count -= len(marks)
            self._moved(credential, "")

    def lift(self, credential: str = "", model: str = "") -> int:
        """What is set aside is so no more: all of it, or of one credential, one model (in whichever project). How many
        marks there were."""
        lifted = 0
        for id_ in [credential] if credential else list(self._marks):
            marks = self._marks.get(id_, {})
            for slot in [slot for slot in marks if not model or slot == model or slot.startswith(f"{model} in ")]:
                self._drop(id_, marks, slot)
                lifted += 1
        return lifted

    def marked(self) -> list[str]:
        """The credentials of which anything is remembered."""
        return list(self._marks)

    # Requests under way.

    def begin(self, member: Member) -> None:
        """One more request of it is under way, until `end`."""
        self._running[member.id] = self._running.get(member.id, 0) + 1

    def end(self, member: Member) -> None:
        left = self._running[member.id] - 1
        if left:
            self._running[member.id] = left
        else:
            del self._running[member.id]
        if member.id in self._full:
            self._full.discard(member.id)
            self._moves_on(member.id, "")

    def running(self, credential: str) -> int:
        return self._running.get(credential, 0)

    # A vendor's hint may be wrong.

    def may_probe(self, key: Key, now: float, every: float) -> bool:
        """True where what `key` names was not probed within `every` seconds."""
        last = self._probes.get(key)
        return last is None or now - last >= every

    def probe(self, key: Key, now: float) -> None:
        if len(self._probes) >= _PROBES:
            self._probes.clear()
        self._probes[key] = now

    def next_probe(self, key: Key, every: float) -> float:
        return self._probes.get(key, float("-inf")) + every

    # For those who keep count of who is ready.

    def advance(self, now: float) -> None:
        """Tells of the marks that have ended by `now`."""
        ends = self._ends
        while ends and ends[0][0] <= now:
            _, credential, slot = heapq.heappop(ends)
            self._moves_on(credential, slot)

    def moves(self, seen: int) -> Sequence[Key] | None:
        """What changed after the first `seen` moves; None where that is not remembered any more."""
        missed = self.moved - seen
        if missed > len(self._moves):
            return None
        return self._moves[len(self._moves) - missed :]

    def touched(self) -> Iterable[str]:
        """Every credential that may not be ready."""
        return {*self._marks, *self._running}

    # Over a restart.

    def export(self, now: float) -> Kept:
        """What is to be kept: all marks that have not ended, and the sessions' homes."""
        marks = [
            KeptMark(credential, slot, mark.since - now, mark.until - now, *_rest_of(mark))
            for (credential, slot), mark in self.cooldowns(now)
        ]
        return Kept(marks, self.homes.export(now))

    def restore(self, kept: Kept, now: float) -> None:
        """Takes up what an earlier run exported. `now`: the moment of that export on the present boot clock. What this
        run has learnt itself counts more."""
        for mark in kept.marks:
            if mark.slot not in self._marks.get(mark.credential, ()):
                said = Cooldown(now + mark.since, now + mark.until, *_rest_of(mark))
                self._mark(mark.credential, mark.slot, said)
        self.homes.restore(kept.homes, now)

    def _mark(self, credential: str, slot: str, mark: Cooldown) -> None:
        marks = self._marks.setdefault(credential, {})
        self._count += slot not in marks
        marks[slot] = mark
        heapq.heappush(self._ends, (mark.until, credential, slot))
        if len(self._ends) > 1024 + 4 * self._count:
            # A vendor asked again and again leaves an end for each mark that was renewed.
            self._ends = [(mark.until, id_, name) for id_, held in self._marks.items() for name, mark in held.items()]
            heapq.heapify(self._ends)
        self._moved(credential, slot)

    def _drop(self, credential: str, marks: dict[str, Cooldown], slot: str) -> None:
        if marks.pop(slot, None) is None:
            return
        self._count -= 1
        if not marks:
            self._marks.pop(credential, None)
        self._moved(credential, slot)

    def _moved(self, credential: str, slot: str) -> None:
        self._version += 1
        self._moves_on(credential, slot)

    def _moves_on(self, credential: str, slot: str) -> None:
        self.moved += 1
        self._moves.append((credential, slot))
        if len(self._moves) > _MOVES:
            del self._moves[: _MOVES // 2]


def _rest_of(mark: Cooldown | KeptMark) -> tuple[int, int, int, float, str, bool]:
    return (mark.status, mark.level, mark.generation, mark.created_at, mark.why, mark.own)


def rest(outcome: Outcome, level: int) -> float:
    """Seconds to leave a credential alone. The vendor's own hint goes first; `level` counts rests without a success."""
    if outcome.retry_after is not None:
        return max(0.0, outcome.retry_after)
    if outcome.own or outcome.status in {401, 402, 403}:
        return _REFUSED
    longest = _LONGEST_LIMITED if outcome.status == 429 else _LONGEST_FAILED
    return min(longest, 2.0 ** min(level, 16))
