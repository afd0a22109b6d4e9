"""What a request gets that nobody can serve now: who rests, why and until when, who is at his cap; and which of them is
tried all the same, for a vendor's hint may be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from vaultd.config.model import Config
from vaultd.net.clock import Clock
from vaultd.pool import explain, pick
from vaultd.pool.state import Cooldown, Key, Member, State, Variant
from vaultd.vault.credential import Credential
from vaultd.wire.refusal import Refusal
from vaultd.work.routing import Route

#: So many credentials are named in a refusal; a status page has them all.
_NAMED: Final = 3


class Survey(msgspec.Struct, frozen=True):
    """Why nobody of a route can serve, as long as nothing moves in the state."""

    moved: int
    #: Those at their caps that do not rest, and how many all rest.
    busy: list[Member]
    resting: int
    #: The first few of those, and when the first of all is ready again.
    named: list[tuple[Member, Cooldown]]
    ends: float
    #: True where only limits keep them, and where only that their accounts may not use the model.
    limited: bool
    own: bool


class Surveys:
    """Kept, because a pool that stands still is asked most, and may be large."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Route, Survey]] = {}

    def of(self, found: Route, state: State, now: float) -> Survey:
        state.advance(now)
        route, survey = self._known.get(id(found), (None, None))
        if survey is None or route is not found or survey.moved != state.moved:
            survey = surveyed(found, state, now)
            self._known[id(found)] = (found, survey)
        return survey

    def clear(self) -> None:
        self._known.clear()


def surveyed(found: Route, state: State, now: float) -> Survey:
    busy: list[Member] = []
    resting: list[tuple[Member, Cooldown]] = []
    for tier in found.tiers:
        for member in tier.members:
            mark = state.resting(member, now)
            if mark is not None:
                resting.append((member, mark))
            elif state.busy(member):
                busy.append(member)
    marks = [mark for _, mark in resting]
    return Survey(
        moved=state.moved,
        busy=busy,
        resting=len(marks),
        named=resting[:_NAMED],
        ends=min((mark.until for mark in marks), default=now),
        limited=all(mark.status == 429 or mark.own for mark in marks),
        own=all(mark.own for mark in marks),
    )


def to_probe(found: Route, survey: Survey, state: State, now: float, every: float) -> tuple[Member, Variant] | None:
    """Who rests and is tried all the same, noted as tried: of the model only one, and no mark twice, in `every`
    seconds, whatever names lead to them."""
    if survey.busy or not survey.resting or not state.may_probe(_model(found), now, every):
        return None

    def may(member: Member, variant: Variant, mark: Cooldown) -> bool:
        return state.may_probe(_key(member, variant, mark), now, every)

    waiting = pick.longest_waiting(found.tiers, state, now, may)
    if waiting is None:
        return None
    state.probe(_model(found), now)
    state.probe(_key(*waiting), now)
    return waiting[:2]


def declined(
    found: Route,
    survey: Survey,
    state: State,
    roster: Mapping[str, Credential],
    config: Config,
    clock: Clock,
    *,
    probes: bool,
) -> Refusal:
    """The refusal for a request that nobody could be asked for. `probes`: the next one like it may be a probe."""
    now = clock.boot()
    if survey.busy:
        return _busy(found, survey)
    rows = [
        explain.cooling(roster[member.id], found.model, mark, clock.now() - now)
        for member, mark in survey.named
        if member.id in roster
    ]
    if not rows:
        return Refusal(503, "no-credential", f"the credentials for {found.model!r} are gone: ask again", retry_after=1)
    until = explain.at(survey.ends + clock.now() - now)
    message = f"all credentials for {found.model!r} are cooling until {until}: "
    if survey.own:
        message = f"no account may use {found.model!r}, which is asked again at {until}: "
    message += "; ".join(row.sentence for row in rows) + _more(survey.resting)
    # A probe may come before the first cooldown ends; who asks again then is let through.
    probe = _next_probe(found, state, now, config.cooldown.probe_seconds) if probes else survey.ends
    wait = max(1, math.ceil(min(survey.ends, probe) - now))
    if survey.own:
        return Refusal(404, "no-such-model", message, retry_after=wait)
    return Refusal(429 if survey.limited else 503, "cooling", message, retry_after=wait)


def _busy(found: Route, survey: Survey) -> Refusal:
    named = ", ".join(f"{member.id} ({member.parallel} of {member.parallel})" for member in survey.busy[:_NAMED])
    message = f"all credentials for {found.model!r} have as many requests under way as they may: {named}"
    message += _more(len(survey.busy))
    if survey.resting:
        message += f"; {survey.resting} more are cooling"
    return Refusal(429, "busy", message, retry_after=1)


def _more(count: int) -> str:
    return f"; and {count - _NAMED} more" if count > _NAMED else ""


def _next_probe(found: Route, state: State, now: float, every: float) -> float:
    """When one of them may be tried all the same; that may wait for what was tried under another model's name."""
    of_model = state.next_probe(_model(found), every)
    if of_model > now:
        return of_model
    waiting = (
        state.next_probe(_key(member, variant, mark), every)
        for tier in found.tiers
        for member in tier.members
        for variant in member.variants
        if (mark := state.rests(member, variant, now))
    )
    return max(now, min(waiting, default=now))


def _model(found: Route) -> Key:
    # By its vendor, too: two who call a model alike would else take each other's probes, the busier all of them.
    return (f"{found.tiers[0].members[0].provider.id}:", found.name)


def _key(member: Member, variant: Variant, mark: Cooldown) -> Key:
    """What the mark stands for: a refused credential is refused for every model."""
    return (member.id, "" if mark.status == 401 else variant.slot)
