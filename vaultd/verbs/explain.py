"""Who would serve a model now, in which order, and why the others would not: what the next request would meet.

Asks the pool as a request does, but takes nobody's turn. `cooldowns` are the rests that stand in the way, which a
person may lift who knows better than the vendor's hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vaultd.errors import Misconfigured
from vaultd.house import House
from vaultd.pool import explain as words
from vaultd.pool.state import Member
from vaultd.vault.credential import Credential
from vaultd.verbs.arguments import text
from vaultd.wire.formats import FORMATS
from vaultd.wire.refusal import Refusal
from vaultd.work.declining import declined
from vaultd.work.routing import Route, kinds, route, usable_now

#: Members of one tier that are named in the sentence; the rows have them all.
_NAMED = 4


async def explain(house: House, args: Mapping[str, Any]) -> Any:
    """`format`: of which kind of client; it decides whose vendor speaks it untranslated."""
    model, fmt = text(args, "model"), text(args, "format", "openai-chat")
    if fmt not in FORMATS:
        raise Misconfigured(f"format: one of {', '.join(FORMATS)} is expected")
    named = next(known for known in FORMATS if known == fmt)
    standings = {row.credential: row for row in reversed(house.pool.standings(house)) if not row.model}
    out = [_left_out(standings[one.id], one) for one in _would(house, named, model)]
    try:
        found = house.pool.route(house, named, model)
    except Refusal as refusal:
        return {"model": model, "candidates": out, "answer": refusal.message}
    rows = [
        _row(house, member, standings[member.id], number)
        for number, tier in enumerate(found.tiers, 1)
        for member in tier.members
    ]
    return {"model": model, "candidates": [*rows, *out], "answer": _answer(house, found)}


async def cooldowns(house: House, _args: Mapping[str, Any]) -> Any:
    rows = [
        {
            "credential": row.credential,
            "model": row.model,
            "until": words.at(row.until) if row.until else None,
            "reason": row.reason,
            "action": row.action,
        }
        for row in house.pool.standings(house)
        if row.state == "cooling"
    ]
    return {"data": rows}


async def lift(house: House, args: Mapping[str, Any]) -> Any:
    """All rests, or those of one `credential`, one `model`. Whoever they kept out may serve the very next request."""
    return {"lifted": house.pool.state.lift(text(args, "credential", ""), text(args, "model", ""))}


def _row(house: House, member: Member, standing: words.Standing, tier: int) -> dict[str, Any]:
    clock, state = house.clock, house.pool.state
    mark = state.resting(member, clock.boot())
    row = {
        "credential": member.id,
        "provider": member.provider.id,
        "model": member.variants[0].name,
        "state": "available",
        "reason": standing.reason,
        "until": None,
        "action": standing.action,
        "tier": tier,
    }
    if mark is not None:
        facts = house.pool.roster(house)[member.id]
        rests = words.cooling(facts, member.variants[0].slot, mark, clock.now() - clock.boot())
        until = words.at(rests.until) if rests.until else None
        row |= {"state": rests.state, "reason": rests.reason, "until": until, "action": rests.action}
    elif state.busy(member):
        full = f"as many requests are under way as it may have ({member.parallel})"
        row |= {"state": "at its cap", "reason": full, "action": "wait"}
    return row


def _left_out(standing: words.Standing, credential: Credential) -> dict[str, Any]:
    """Would serve, if it were not for how it stands."""
    return {
        "credential": credential.id,
        "provider": credential.provider,
        "model": "",
        "state": standing.state,
        "reason": standing.reason,
        "until": None,
        "action": standing.action,
        "tier": None,
    }


def _would(house: House, fmt: Any, model: str) -> list[Credential]:
    """Those that only a person keeps out, or brings back: asked as if they were well."""
    found = []
    for credential in house.pool.roster(house).values():
        if usable_now(credential, house.catalog) or credential.provider not in house.catalog.providers:
            continue
        well = replace(credential, dead=None, settings=replace(credential.settings, disabled=False))
        alone = {credential.id: well}
        try:
            route(alone, kinds(alone, house.catalog), house.catalog, fmt, model, house.config.quota_exceeded)
        except Refusal:
            continue
        found.append(credential)
    return sorted(found, key=lambda credential: credential.id)


def _answer(house: House, found: Route) -> str:
    state, now = house.pool.state, house.clock.boot()
    for tier in found.tiers:
        ready = [member.id for member in tier.members if state.ready(member, now)]
        if len(ready) == 1:
            return f"{ready[0]} would serve {found.model}"
        if ready:
            more = f" and {len(ready) - _NAMED} more" if len(ready) > _NAMED else ""
            turns = "the first of them" if house.config.routing.strategy == "fill-first" else "in turns"
            return f"{', '.join(ready[:_NAMED])}{more} would serve {found.model}, {turns}"
    survey = house.pool.surveys.of(found, state, now)
    roster = house.pool.roster(house)
    return declined(found, survey, state, roster, house.config, house.clock, probes=True).message
