"""Which credential is set aside, for which model, why and until when. Memory only, moved by what vendors answer.

Pure: the time comes in as `now`, seconds on the boot clock (it goes on in suspend and nobody sets it). Choosing is
`pool.pick`, words are `pool.explain`; no request, no file, no clock here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from vaultd.catalog.manifest import Model, Provider

#: A credential, and the model it is set aside for; "" is every model (a refused credential is refused for all).
Key = tuple[str, str]

#: A refused or unpaid credential is not tried for half an hour: a person has to act (CLIProxyAPI has the same number).
_REFUSED: Final = 1800.0
#: Without a hint from the vendor the rests grow 1, 2, 4 … s. A rate limit may go on to half an hour, as in CLIProxyAPI;
#: a failing server is worth another look each minute.
_LONGEST_LIMITED: Final = 1800.0
_LONGEST_FAILED: Final = 60.0
#: The model name is the client's word and patterns take any: of so many marks the oldest makes room.
_MARKS: Final = 10_000


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


@dataclass(frozen=True, slots=True)
class Variant:
    """One way in which a credential serves a model: by one of its projects, under one of the model's ids. A quota of
    one says nothing of the others, so each is set aside on its own, as `slot`."""

    model: Model
    project: str = ""

    @property
    def slot(self) -> str:
        return f"{self.model.id} in {self.project}" if self.project else self.model.id


@dataclass(frozen=True, slots=True)
class Member:
    """One credential that serves one model in one format. `variants`: in the order in which a 429 moves on to the next;
    none stands for `model` alone. `parallel`: requests it may have under way, 0 any number."""

    id: str
    provider: Provider
    model: Model
    priority: int = 0
    #: True where the vendor speaks the client's own format.
    native: bool = True
    weight: int = 1
    parallel: int = 0
    variants: tuple[Variant, ...] = ()

    @property
    def key(self) -> Key:
        return (self.id, self.model.id)


@dataclass(slots=True)
class Cooldown:
    """Set aside from `since` until `until`. `generation`: the credential's, when the vendor said so."""

    since: float
    until: float
    status: int
    level: int = 0
    generation: int = 0


class State:
    """Every cooldown, cursor and probe of one daemon."""

    def __init__(self) -> None:
        self._cooldowns: dict[Key, Cooldown] = {}
        self._probes: dict[str, float] = {}
        self.cursors: dict[tuple[str, int], int] = {}

    def resting(self, member: Member, now: float) -> Cooldown | None:
        """The cooldown that keeps this member out now."""
        if not self._cooldowns:
            return None
        for key in (member.key, (member.id, "")):
            mark = self._cooldowns.get(key)
            if mark is not None and mark.until > now:
                return mark
        return None

    def report(self, member: Member, outcome: Outcome, now: float, *, longest: float, generation: int = 0) -> None:
        """Take in one outcome. A client's own error (400, 404, 413, 422) moves nothing."""
        if outcome.ok:
            if self._cooldowns:
                self._cooldowns.pop(member.key, None)
                self._cooldowns.pop((member.id, ""), None)
            return
        if outcome.status not in FAILOVER:
            return
        key = (member.id, "") if outcome.status == 401 else member.key
        old = self._cooldowns.get(key)
        level = 0 if old is None else old.level + (old.until <= now)
        until = now + min(rest(outcome, level), longest)
        if old is not None and outcome.retry_after is None:
            # A burst that fails together is one failure: it neither lengthens nor shortens the rest.
            until = max(until, old.until)
        if old is None and len(self._cooldowns) >= _MARKS:
            del self._cooldowns[next(iter(self._cooldowns))]
        self._cooldowns[key] = Cooldown(now, until, outcome.status, level, generation)

    def probe(self, model: str, now: float, every: float) -> bool:
        """True, and noted, where a request may try a resting credential: at most once in `every` seconds a model."""
        last = self._probes.get(model)
        if last is not None and now - last < every:
            return False
        if len(self._probes) >= _MARKS:
            self._probes.clear()
        self._probes[model] = now
        return True

    def next_probe(self, model: str, every: float) -> float:
        return self._probes.get(model, float("-inf")) + every

    def settle(self, generations: Mapping[str, int]) -> None:
        """The credentials changed: forget those that are gone, and a 401 that an older token earned."""
        for key, mark in list(self._cooldowns.items()):
            now_at = generations.get(key[0])
            if now_at is None or (mark.status == 401 and now_at != mark.generation):
                del self._cooldowns[key]

    def lift(self) -> None:
        """Nothing is set aside any more (`disable-cooling`)."""
        self._cooldowns.clear()

    def cooldowns(self, now: float) -> Iterator[tuple[Key, Cooldown]]:
        """What is set aside now."""
        return ((key, mark) for key, mark in self._cooldowns.items() if mark.until > now)


def rest(outcome: Outcome, level: int) -> float:
    """Seconds to leave a credential alone. The vendor's own hint goes first; `level` counts rests without a success."""
    if outcome.retry_after is not None:
        return max(0.0, outcome.retry_after)
    if outcome.status in {401, 402, 403}:
        return _REFUSED
    longest = _LONGEST_LIMITED if outcome.status == 429 else _LONGEST_FAILED
    return min(longest, 2.0 ** min(level, 16))
