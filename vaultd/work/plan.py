"""Who is to be asked, in which order, for one request; and what the answers mean for the next one.

`plan()` is called once per request and must stay cheap: routes are kept until roster, catalogue or config change (each
is a new object then). It waits for nothing and sends nothing; `work.relay` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import msgspec

from vaultd.catalog.manifest import FormatName, Model, Provider
from vaultd.catalog.models import Catalog
from vaultd.config.model import Config
from vaultd.net.clock import Clock
from vaultd.pool import explain, pick
from vaultd.pool.state import ANOTHER_ROUND, NETWORK, OK, Member, Outcome, State
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.wire.ir import Reasoning
from vaultd.wire.refusal import Refusal
from vaultd.work.roster import Roster
from vaultd.work.routing import Route, models, route

__all__ = ["NETWORK", "OK", "Candidate", "House", "Outcome", "Plan", "Pool", "plan"]

#: So many cooling credentials are named in a refusal; a status page has them all.
_NAMED: Final = 3
#: Model names are the client's word and patterns take any: with more routes than this all are worked out anew.
_ROUTES: Final = 4096


class House(Protocol):
    """What of the house a plan needs."""

    @property
    def config(self) -> Config: ...
    @property
    def catalog(self) -> Catalog: ...
    @property
    def owner(self) -> Owner: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def pool(self) -> Pool: ...


class Candidate(msgspec.Struct, frozen=True):
    """One credential to try: what to send it (`model.upstream` or `model.id`) and in which format, the vendor's own
    where it does not speak the client's. `asked`: the reasoning that the model's name asks for, by suffix or alias."""

    credential: Credential
    provider: Provider
    model: Model
    format: FormatName
    member: Member
    asked: Reasoning | None = None


class Pool:
    """The pool of one daemon: what is set aside, and the routes worked out so far."""

    def __init__(self, unrenewed: Callable[[], Mapping[str, str]] = dict) -> None:
        """`unrenewed`: whose renewal fails now, and why (`Renewer.failing`)."""
        self.state = State()
        self._unrenewed = unrenewed
        self._roster = Roster()
        self._joined: Mapping[str, Credential] | None = None
        self._catalog: Catalog | None = None
        self._routes: dict[tuple[FormatName, str], Route] = {}

    def roster(self, house: House) -> Mapping[str, Credential]:
        """Every credential, sealed or from the config."""
        return self._roster.join(house.owner.snapshot(), house.config)

    def route(self, house: House, fmt: FormatName, model: str) -> Route:
        roster = self.roster(house)
        if roster is not self._joined or house.catalog is not self._catalog:
            self._routes.clear()
            self.state.settle({credential.id: credential.generation for credential in roster.values()})
            if house.config.disable_cooling:
                self.state.lift()
            self._joined, self._catalog = roster, house.catalog
        known = self._routes.get((fmt, model))
        if known is None:
            known = route(roster, house.catalog, fmt, model)
            if len(self._routes) >= _ROUTES:
                self._routes.clear()
            self._routes[fmt, model] = known
        return known

    def models(self, house: House) -> dict[str, tuple[Model, list[str]]]:
        """Every listed model that a usable credential serves → the model, and its providers' ids; sorted by id."""
        return models(self.roster(house), house.catalog)

    def standings(self, house: House) -> list[explain.Standing]:
        """How every credential stands: for status, readyz and doctor."""
        clock = house.clock
        credentials = self.roster(house).values()
        return explain.standings(
            credentials,
            house.catalog.providers,
            self.state,
            now=clock.boot(),
            wall=clock.now(),
            unrenewed=self._unrenewed(),
        )


class Plan:
    """One request's way through the pool: iterate `candidates`, `report` each try, ask `again` when a round is over."""

    __slots__ = ("_failed", "_house", "_now", "_rounds", "_route", "_tries", "format")

    def __init__(self, house: House, fmt: FormatName, found: Route) -> None:
        self.format = fmt
        self._house = house
        self._route = found
        self._now = house.clock.boot()
        self._rounds = self._tries = 0
        #: What this request tried in vain, in that order, by credential id.
        self._failed: dict[str, tuple[Member, Outcome]] = {}

    @property
    def candidates(self) -> Iterator[Candidate]:
        """The candidates of the present round, best first. Raises Refusal where all are cooling.

        One that is not reported was not asked, and does not count as tried.
        """
        house = self._house
        most = house.config.max_retry_credentials or math.inf
        before, given = self._tries, False
        for member in self._further() if self._rounds else self._first():
            credential = house.pool.roster(house).get(member.id)
            if credential is None or credential.dead is not None:
                continue  # gone, or found dead, since the request came in
            if self._tries - before >= most:
                return
            given = True
            fmt = self.format if member.native else member.provider.api.formats[0]
            asked = self._route.asked or (Reasoning(level=member.model.effort) if member.model.effort else None)
            yield Candidate(credential, member.provider, member.model, fmt, member, asked)
        if not given and not self._failed:
            raise self._all_cooling()

    def report(self, candidate: Candidate, outcome: Outcome) -> None:
        """What came of a try. A refused request (400, 404, …) moves nothing: the fault is not the credential's."""
        house, member = self._house, candidate.member
        self._tries += 1
        if not outcome.ok:
            self._failed.pop(member.id, None)
            self._failed[member.id] = (member, outcome)
        if house.config.disable_cooling or (outcome.status == 401 and self._newer(candidate.credential)):
            return
        house.pool.state.report(
            member,
            outcome,
            house.clock.boot(),
            longest=house.config.cooldown.max_seconds,
            generation=candidate.credential.generation,
        )

    def again(self) -> bool:
        """True where `request-retry` grants another round, now begun, after how the last one ended."""
        _, last = next(reversed(self._failed.values()), (None, OK))
        if self._rounds >= self._house.config.request_retry or last.status not in ANOTHER_ROUND:
            return False
        self._rounds += 1
        return True

    def _first(self) -> Iterator[Member]:
        """Those that are not resting; where all are, one of them now and then, for a vendor's hint may be wrong."""
        house, found, state = self._house, self._route, self._house.pool.state
        served = False
        for member in pick.turn(found.tiers, house.config.routing.strategy, found.model, state, self._now):
            served = True
            yield member
        if served:
            return
        waiting = pick.longest_waiting(found.tiers, state, self._now)
        if waiting is not None and state.probe(found.model, self._now, house.config.cooldown.probe_seconds):
            yield waiting[0]

    def _further(self) -> Iterator[Member]:
        """Those not tried yet, then those that failed in passing: resting since a moment ago, but asked again."""
        found, state = self._route, self._house.pool.state
        failed = list(self._failed.values())
        for member in pick.turn(found.tiers, self._house.config.routing.strategy, found.model, state, self._now):
            if member.id not in self._failed:
                yield member
        yield from (member for member, outcome in failed if outcome.status in ANOTHER_ROUND)

    def _newer(self, credential: Credential) -> bool:
        """True where the token that was refused is no longer the credential's: somebody renewed meanwhile."""
        present = self._house.owner.get(credential.id)
        return present is not None and present.generation != credential.generation

    def _all_cooling(self) -> Refusal:
        house, found, now = self._house, self._route, self._now
        state, roster = house.pool.state, house.pool.roster(house)
        resting = [
            (roster[member.id], mark)
            for tier in found.tiers
            for member in tier
            if member.id in roster and (mark := state.resting(member, now)) is not None
        ]
        if not resting:
            return Refusal(
                503, "no-credential", f"the credentials for {found.model!r} are gone: ask again", retry_after=1
            )
        offset = house.clock.now() - now
        ends = min(mark.until for _, mark in resting)
        rows = [explain.cooling(credential, found.model, mark, offset) for credential, mark in resting[:_NAMED]]
        more = f"; and {len(resting) - _NAMED} more" if len(resting) > _NAMED else ""
        message = f"all credentials for {found.model!r} are cooling until {explain.at(ends + offset)}: "
        message += "; ".join(row.sentence for row in rows) + more
        # A probe may come before the first cooldown ends; who asks again then is let through.
        wait = min(ends, state.next_probe(found.model, house.config.cooldown.probe_seconds)) - now
        limited = all(mark.status == 429 for _, mark in resting)
        return Refusal(429 if limited else 503, "cooling", message, retry_after=max(1, math.ceil(wait)))


def plan(house: House, fmt: FormatName, model: str, session: str | None = None) -> Plan:
    """The plan for one request, or Refusal with the reason nobody can serve it.

    `session` is where affinity will enter; until then every session takes its turn.
    """
    return Plan(house, fmt, house.pool.route(house, fmt, model))
