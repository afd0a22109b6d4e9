"""Who is to be asked, in which order, for one request; and what the answers mean for the next one.

`plan()` is called once per request and must stay cheap: routes are kept until something changes that routing looks at,
which a renewal is not. It waits for nothing and sends nothing; `work.relay` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Final, Protocol

import msgspec

from vaultd.catalog.manifest import FormatName, Model, Provider
from vaultd.catalog.models import Catalog
from vaultd.config.model import Config
from vaultd.net.clock import Clock
from vaultd.pool import explain, pick
from vaultd.pool.state import ANOTHER_ROUND, NETWORK, OK, Kept, Member, Outcome, State, Variant
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.wire.ir import Reasoning
from vaultd.work.declining import Surveys, declined, to_probe
from vaultd.work.roster import Roster
from vaultd.work.routing import Kind, Route, kinds, models, route, routed_alike
from vaultd.work.session import Session

__all__ = ["NETWORK", "OK", "Candidate", "House", "Outcome", "Plan", "Pool", "plan"]

#: Model names are the client's word and patterns take any: with more routes than this all are worked out anew, and so
#: they are where their members are more than these, which take about 100 MB.
_ROUTES: Final = 4096
_SEATS: Final = 1_000_000


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
    """One credential to try, by one of its variants, and in which format: the vendor's own where it does not speak the
    client's. `asked`: the reasoning that the model's name asks for, by suffix or alias."""

    credential: Credential
    provider: Provider
    format: FormatName
    member: Member
    variant: Variant
    asked: Reasoning | None = None
    #: When it was given out, on the boot clock.
    at: float = 0.0

    @property
    def model(self) -> Model:
        """What to send it is `model.upstream`, else `model.id`."""
        return self.variant.model

    @property
    def project(self) -> str:
        """The vendor's project to ask in, "" where this login has none."""
        return self.variant.project


class Hold:
    """One of the requests that a credential has under way, from `with` to its end, however that comes."""

    __slots__ = ("_member", "_state")

    def __init__(self, state: State, member: Member) -> None:
        self._state, self._member = state, member

    def __enter__(self) -> None:
        self._state.begin(self._member)

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._state.end(self._member)


class Pool:
    """The pool of one daemon: what is set aside, and the routes worked out so far."""

    def __init__(self, unrenewed: Callable[[], Mapping[str, str]] = dict) -> None:
        """`unrenewed`: whose renewal fails now, and why (`Renewer.failing`)."""
        self.state = State()
        self.surveys = Surveys()
        self._unrenewed = unrenewed
        self._roster = Roster()
        self._joined: Mapping[str, Credential] | None = None
        self._catalog: Catalog | None = None
        self._config: Config | None = None
        self._kinds: list[Kind] | None = None
        self._routes: dict[tuple[FormatName, str], Route] = {}
        self._seats = 0

    def roster(self, house: House) -> Mapping[str, Credential]:
        """Every credential, sealed or from the config."""
        return self._roster.join(house.owner.snapshot(), house.config)

    def route(self, house: House, fmt: FormatName, model: str) -> Route:
        roster = self._present(house)
        known = self._routes.get((fmt, model))
        if known is None:
            known = route(roster, self._alike(roster, house), house.catalog, fmt, model, house.config.quota_exceeded)
            seats = sum(map(len, known.tiers))
            if len(self._routes) >= _ROUTES or self._seats + seats > _SEATS:
                self._clear()
            self._routes[fmt, model] = known
            self._seats += seats
        return known

    def models(self, house: House) -> dict[str, tuple[Model, list[str]]]:
        """Every listed model that a usable credential serves → the model, and its providers' ids; sorted by id."""
        roster = self._present(house)
        return models(roster, self._alike(roster, house), house.catalog)

    def standings(self, house: House) -> list[explain.Standing]:
        """How every credential stands: for status and doctor."""
        return self.seen(house)()

    def seen(self, house: House) -> Callable[[], list[explain.Standing]]:
        """`standings` of this moment, to be made when called, in another thread perhaps: of thousands of credentials
        their words take a tenth of a second, and scrapes and health checks ask again and again."""
        boot = house.clock.boot()
        return partial(
            explain.standings,
            self._present(house).values(),
            house.catalog.providers,
            list(self.state.cooldowns(boot)),
            offset=house.clock.now() - boot,
            unrenewed=self._unrenewed(),
            unsettled=house.owner.unsettled(),
        )

    def usable(self, house: House) -> int:
        """How many credentials are available."""
        resting = self.state.cooldowns(house.clock.boot())
        return explain.usable(self._present(house).values(), house.catalog.providers, resting)

    def restore(self, kept: Kept, now: float) -> None:
        """What an earlier run exported (`State.restore`), less what is not true of the credentials of today."""
        self.state.restore(kept, now)
        self._joined = None

    def _clear(self) -> None:
        self._routes.clear()
        self.surveys.clear()
        self._seats = 0

    def _present(self, house: House) -> Mapping[str, Credential]:
        """The roster, its changes taken in: what is set aside is settled, and routes go where one may be another."""
        roster, before = self.roster(house), self._joined
        if roster is before and house.catalog is self._catalog and house.config is self._config:
            return roster
        if before is None:
            self._settle(self.state.marked(), roster)
            alike = False
        else:
            changed = [id_ for id_, credential in roster.items() if before.get(id_) is not credential]
            gone = before.keys() - roster.keys()
            self._settle([*changed, *gone], roster)
            alike = not gone and all(id_ in before and routed_alike(before[id_], roster[id_]) for id_ in changed)
        if not alike or house.catalog is not self._catalog or house.config is not self._config:
            self._clear()
            self._kinds = None
        if house.config.disable_cooling:
            self.state.lift()
        self._joined, self._catalog, self._config = roster, house.catalog, house.config
        return roster

    def _settle(self, changed: list[str], roster: Mapping[str, Credential]) -> None:
        for id_ in changed:
            credential = roster.get(id_)
            if credential is None:
                self.state.forget(id_)
            else:
                self.state.settle(id_, credential.generation, credential.created_at)

    def _alike(self, roster: Mapping[str, Credential], house: House) -> list[Kind]:
        if self._kinds is None:
            self._kinds = kinds(roster, house.catalog)
        return self._kinds


class Plan:
    """One request's way through the pool: iterate `candidates`, `hold` and `report` each try, ask `again` when a round
    is over."""

    __slots__ = ("_asked", "_counts", "_failed", "_house", "_rounds", "_route", "_session", "format")

    def __init__(self, house: House, fmt: FormatName, found: Route, session: Session | None, counts: bool) -> None:
        self.format = fmt
        self._house = house
        #: Counting tokens has limits of its own, apart from those of answers (Anthropic's page on token counting): what
        #: comes of it says nothing of them.
        self._counts = counts
        self._route = found
        self._session = session if house.config.routing.session_affinity else None
        self._rounds = 0
        #: Who was tried in this round.
        self._asked: set[str] = set()
        #: What this request tried in vain, in that order, by credential id.
        self._failed: dict[str, tuple[Member, Variant, Outcome]] = {}

    @property
    def candidates(self) -> Iterator[Candidate]:
        """The candidates of the present round, best first. Raises Refusal where all are cooling, or at their caps.

        One that is not reported was not asked, and does not count as tried. After a 429 the credential's next variant
        comes before the next credential.
        """
        house = self._house
        most = house.config.max_retry_credentials or math.inf
        self._asked.clear()
        given = False
        for member, ways in self._further() if self._rounds else self._first():
            if len(self._asked) >= most and member.id not in self._asked:
                return
            for variant in ways:
                credential = house.pool.roster(house).get(member.id)
                if credential is None or credential.dead is not None:
                    break  # gone, or found dead, since the request came in
                given = True
                yield self._candidate(credential, member, variant)
                failed = self._failed.get(member.id)
                if failed is None or failed[1] is not variant or failed[2].status != 429:
                    break
        if not given and not self._failed:
            now, state = house.clock.boot(), house.pool.state
            survey = house.pool.surveys.of(self._route, state, now)
            roster, probes = house.pool.roster(house), not self._counts
            raise declined(self._route, survey, state, roster, house.config, house.clock, probes=probes)

    def hold(self, candidate: Candidate) -> Hold:
        """`with plan.hold(candidate):` around a try and its answer, to the answer's end: it counts as under way."""
        return Hold(self._house.pool.state, candidate.member)

    def report(self, candidate: Candidate, outcome: Outcome) -> None:
        """What came of a try. A refused request (400, 404, …) moves nothing: the fault is not the credential's."""
        house, member, state = self._house, candidate.member, self._house.pool.state
        self._asked.add(member.id)
        now = house.clock.boot()
        if not outcome.ok:
            self._failed.pop(member.id, None)
            self._failed[member.id] = (member, candidate.variant, outcome)
        elif self._session is not None:
            stay = (self._session.key, self._route.name)
            if self._session.begins:
                state.homes.began(stay, member.id)
            else:
                state.homes.served(stay, member.id, now)
        if house.config.disable_cooling or (outcome.status == 401 and self._newer(candidate.credential)):
            return
        if self._counts and (outcome.ok or outcome.status == 429):
            return
        state.report(
            member,
            outcome,
            now,
            longest=house.config.cooldown.max_seconds,
            asked_at=candidate.at,
            variant=candidate.variant,
            generation=candidate.credential.generation,
            created_at=candidate.credential.created_at,
        )

    def again(self) -> bool:
        """True where `request-retry` grants another round, now begun, after how the last one ended."""
        *_, last = next(reversed(self._failed.values()), (OK,))
        assert isinstance(last, Outcome)
        if self._rounds >= self._house.config.request_retry or last.status not in ANOTHER_ROUND:
            return False
        self._rounds += 1
        return True

    def _candidate(self, credential: Credential, member: Member, variant: Variant) -> Candidate:
        model = variant.model
        fmt = self.format if member.native else member.provider.api.formats[0]
        asked = self._route.asked or (Reasoning(level=model.effort) if model.effort else None)
        at = self._house.clock.boot()
        return Candidate(credential, member.provider, fmt, member, variant, asked, at)

    def _first(self) -> Iterator[tuple[Member, Iterable[Variant]]]:
        """Those that are ready; where all rest, one of them now and then, for a vendor's hint may be wrong."""
        served = False
        session = self._session
        for member in self._turn(session.key if session is not None and not session.begins else ""):
            served = True
            yield member, self._ways(member)
        if served or self._counts:
            return
        found, state, now = self._route, self._house.pool.state, self._house.clock.boot()
        survey = self._house.pool.surveys.of(found, state, now)
        probe = to_probe(found, survey, state, now, self._house.config.cooldown.probe_seconds)
        if probe is not None:
            yield probe[0], (probe[1],)

    def _further(self) -> Iterator[tuple[Member, Iterable[Variant]]]:
        """Those not tried yet, then those that failed in passing: resting since a moment ago, but asked again."""
        failed = list(self._failed.values())
        for member in self._turn(""):
            if member.id not in self._failed:
                yield member, self._ways(member)
        for member, variant, outcome in failed:
            if outcome.status in ANOTHER_ROUND and not self._house.pool.state.busy(member):
                yield member, (variant,)

    def _turn(self, session: str) -> Iterator[Member]:
        house, found = self._house, self._route
        strategy = house.config.routing.strategy
        return pick.turn(found.tiers, strategy, found.name, house.pool.state, house.clock.boot, session)

    def _ways(self, member: Member) -> Iterator[Variant]:
        """Its variants that do not rest."""
        state, clock = self._house.pool.state, self._house.clock
        for variant in member.variants:
            if state.rests(member, variant, clock.boot()) is None:
                yield variant

    def _newer(self, credential: Credential) -> bool:
        """True where the token that was refused is no longer the credential's: somebody renewed meanwhile."""
        present = self._house.owner.get(credential.id)
        return present is not None and present.generation != credential.generation


def plan(house: House, fmt: FormatName, model: str, session: Session | None = None, *, counts: bool = False) -> Plan:
    """The plan for one request, or Refusal with the reason nobody can serve it. `session`: whose it is. `counts`: it
    counts tokens."""
    return Plan(house, fmt, house.pool.route(house, fmt, model), session, counts)
