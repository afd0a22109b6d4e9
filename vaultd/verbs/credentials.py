"""Credentials: seen, added, renewed, switched, removed. What leaves here names tokens by nobody's value.

`row` is the one description of a credential for people; `status` shows the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from vaultd.config.load import is_proxy
from vaultd.effects import Flow
from vaultd.errors import Misconfigured, TryLater
from vaultd.house import House
from vaultd.oauth.revoke import offered, revoke
from vaultd.pool import explain, pick
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.verbs.arguments import flag, number, secret, text, texts
from vaultd.work.drive import drive, unattended
from vaultd.work.health import keys
from vaultd.work.pending_sign_ins import LONGEST_LABEL

#: Farther than anybody ranks credentials by hand, and safely inside every integer.
_FAR: Final = 1_000_000
#: Code Assist counts by project; no other vendor's request names one.
_WITH_PROJECTS: Final = frozenset({"gemini"})


async def list_(house: House, _args: Mapping[str, Any]) -> Any:
    rows = rows_of(house)
    return {"data": rows, "count": len(rows), "refused": refused(house)}


async def show(house: House, args: Mapping[str, Any]) -> Any:
    credential = _named(house, args)
    settings = credential.settings
    return next(row for row in rows_of(house) if row["id"] == credential.id) | {
        "created_at": _at(credential.created_at),
        "renewed_at": _at(credential.renewed_at),
        "generation": credential.generation,
        "base_url": settings.base_url,
        "models": [{"name": name, "alias": alias} for name, alias in settings.models],
        "facts": dict(credential.account.facts),
        "renewal_fails": house.renewer.failing().get(credential.id, ""),
        "renewal_unsettled": credential.id in house.owner.unsettled(),
        "not_saved": house.owner.troubles().get(credential.id, ""),
        **settings_of(credential),
    }


async def add(house: House, args: Mapping[str, Any]) -> Any:
    """Seals an API key, so that none need lie in YAML. The same label replaces its key."""
    provider = house.catalog.provider(text(args, "provider"))
    if not provider.keys:
        ways = ", ".join(house.catalog.key_ids())
        raise Misconfigured(f"{provider.id} takes no API key: `vaultd login --{provider.id}`, or one of: {ways}")
    base_url = text(args, "base_url", "")
    if base_url and (urlsplit(base_url).scheme not in {"http", "https"} or not urlsplit(base_url).hostname):
        raise Misconfigured(f"the base URL {base_url!r} is no http or https address")
    credential = Credential(
        id="",
        provider=provider.id,
        kind="key",
        key=secret(args, "key"),
        settings=Settings(label=text(args, "label", "").strip(), base_url=base_url),
        created_at=house.clock.now(),
    )
    settled = await house.owner.settle(credential)
    return {"id": settled.id, "provider": provider.id, "label": settled.settings.label}


async def refresh(house: House, args: Mapping[str, Any]) -> Any:
    credential = _named(house, args)
    if credential.kind == "key":
        raise Misconfigured(f"{credential.id} is an API key: there is nothing to renew")
    house.renewer.forgive(credential.id)
    renewed = _kept(house, await house.renewer.fresh(credential.id, credential.bearer))
    return {"id": renewed.id, "generation": renewed.generation, **_expiry(renewed, house.clock.now())}


async def set_(house: House, args: Mapping[str, Any]) -> Any:
    """Changes what is given and nothing else: priority, weight, parallel, excluded_models, projects, proxy, label.

    A list replaces; an empty one, or an empty proxy or label, takes the setting away.
    """
    credential = _ours(house, args)
    given: dict[str, Any] = {
        "priority": number(args, "priority", least=-_FAR, most=_FAR),
        "weight": number(args, "weight", least=1, most=pick.HEAVIEST),
        "parallel": number(args, "parallel", least=0, most=_FAR),
        "excluded_models": texts(args, "excluded_models"),
        "projects": texts(args, "projects"),
    }
    given = {name: value for name, value in given.items() if value is not None}
    if given.get("projects") and credential.provider not in _WITH_PROJECTS:
        raise Misconfigured(f"{credential.id}: only a Gemini login has projects")
    if "proxy" in args:
        given["proxy_url"] = _proxy(text(args, "proxy", ""))
    if "label" in args:
        given["label"] = _label(credential, text(args, "label", ""))
    if not given:
        raise Misconfigured("nothing to change was named: see `vaultd credentials set --help`")

    def adjusted(current: Credential) -> Credential:
        return replace(current, settings=replace(current.settings, **given))

    changed = await _change(house, credential.id, adjusted)
    return {"id": changed.id, **settings_of(changed)}


async def enable(house: House, args: Mapping[str, Any]) -> Any:
    return await _switch(house, args, disabled=False)


async def disable(house: House, args: Mapping[str, Any]) -> Any:
    return await _switch(house, args, disabled=True)


async def accept(house: House, args: Mapping[str, Any]) -> Any:
    """A person's word that a file which was rolled back is the right one. It is in no list: it is not used."""
    accepted = await house.owner.accept(text(args, "id").removesuffix(".json"))
    return {"id": accepted.id, "generation": accepted.generation}


async def remove(house: House, args: Mapping[str, Any]) -> Any:
    credential = _ours(house, args)
    async with house.owner.leased(credential.id) as lease:
        await lease.remove()
    return {"id": credential.id, "removed": True, "revoked": False}


async def logout(house: House, args: Mapping[str, Any]) -> Any:
    """Removes it here; with `everywhere` revokes it at the vendor first, so that a failure can be repeated."""
    credential = _ours(house, args)
    if not flag(args, "everywhere"):
        return await remove(house, args)
    provider = house.catalog.provider(credential.provider)
    async with house.owner.leased(credential.id) as lease:
        tokens = lease.current.tokens if lease.current else None
        at_vendor = offered(provider) and tokens is not None
        if at_vendor and tokens is not None:
            await _perform(house, credential, revoke(provider, tokens, stamp=house.clock.now))
        await lease.remove()
    return {"id": credential.id, "removed": True, "revoked": at_vendor}


def refused(house: House) -> list[dict[str, str]]:
    """Files of the folder that are not used: why, and the one next action."""
    reasons = house.owner.refused()
    rows = []
    for file, finding in keys.refused(house):
        says, action = finding.says.removeprefix(f"{file}: "), reasons[file].partition("; next: ")[2]
        rows.append({"file": file, "reason": says, "action": action or finding.action, "code": finding.code})
    return rows


def rows_of(house: House) -> list[dict[str, Any]]:
    """Every credential, sealed or from the config, with how it stands; by id."""
    standings: dict[str, list[explain.Standing]] = {}
    for standing in house.pool.standings(house):
        standings.setdefault(standing.credential, []).append(standing)
    roster = house.pool.roster(house)
    now = house.clock.now()
    return [row(roster[id_], standings[id_], now) for id_ in sorted(roster)]


def row(credential: Credential, standings: list[explain.Standing], now: float) -> dict[str, Any]:
    whole = next((standing for standing in standings if not standing.model), standings[0])
    return {
        "id": credential.id,
        "provider": credential.provider,
        "kind": credential.kind,
        "account": _account(credential),
        "plan": credential.account.plan,
        "label": credential.settings.label,
        "state": whole.state,
        "reason": whole.reason,
        "until": _at(whole.until),
        "action": whole.action,
        "cooling": [
            {
                "model": standing.model,
                "until": _at(standing.until),
                "reason": standing.reason,
                "action": standing.action,
            }
            for standing in standings
            if standing.model
        ],
        "priority": credential.settings.priority,
        "source": credential.source,
        **_expiry(credential, now),
    }


def settings_of(credential: Credential) -> dict[str, Any]:
    """What `set` changes. A proxy's address may hold a password."""
    settings = credential.settings
    return {
        "priority": settings.priority,
        "weight": settings.weight,
        "max_parallel": settings.parallel,
        "excluded_models": list(settings.excluded_models),
        "projects": list(settings.projects or credential.account.facts.get("projects", ())),
        "own_proxy": settings.proxy_url is not None,
    }


def _account(credential: Credential) -> str:
    return credential.account.email or credential.account.person or credential.settings.label


def _expiry(credential: Credential, now: float) -> dict[str, Any]:
    if credential.tokens is None:
        return {"expires_at": None, "expires_in": None}
    ends = credential.tokens.expires_at
    return {"expires_at": _at(ends), "expires_in": round(ends - now)}


def _at(wall: float | None) -> str | None:
    return explain.at(wall) if wall else None


def _named(house: House, args: Mapping[str, Any]) -> Credential:
    """By its exact id: a shortened one could come to mean another credential tomorrow."""
    id_ = text(args, "id").removesuffix(".json")
    roster = house.pool.roster(house)
    if id_ in roster:
        return roster[id_]
    near = [known for known in roster if known.startswith(id_)] or difflib.get_close_matches(id_, roster, n=3)
    raise Misconfigured(
        f"no credential {id_!r}"
        + (f"; nearest: {', '.join(near[:3])}" if near else "; `vaultd credentials list` shows them all")
    )


def _ours(house: House, args: Mapping[str, Any]) -> Credential:
    credential = _named(house, args)
    if credential.source == "config":
        raise Misconfigured(f"{credential.id} stands in {house.config_source}: change it there")
    return credential


def _label(credential: Credential, label: str) -> str:
    """An account with a name of its own may be called anything; of the others the label says whose they are."""
    label, account = label.strip(), credential.account
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise Misconfigured(f"a label is at most {LONGEST_LABEL} printable characters")
    if label != credential.settings.label and not account.email and not account.person:
        raise Misconfigured(f"{credential.id}: its label is all that tells whose it is; add it under the other one")
    return label


def _proxy(url: str) -> Secret | None:
    """The address is not repeated: it may hold a password."""
    if not url:
        return None
    if not is_proxy(url):
        raise Misconfigured("the proxy is not a socks5, http or https address, as in socks5://127.0.0.1:1080")
    return Secret(url)


async def _switch(house: House, args: Mapping[str, Any], *, disabled: bool) -> Any:
    credential = _ours(house, args)

    def switched(current: Credential) -> Credential:
        return replace(current, settings=replace(current.settings, disabled=disabled))

    changed = await _change(house, credential.id, switched)
    return {"id": changed.id, "disabled": changed.settings.disabled}


async def _change(house: House, id_: str, change: Callable[[Credential], Credential]) -> Credential:
    async with house.owner.leased(id_) as lease:
        if lease.current is None:
            raise Misconfigured(f"{id_} was removed meanwhile")
        return _kept(house, await lease.put(change(lease.current)))


def _kept(house: House, credential: Credential) -> Credential:
    """Raises TryLater where it was not saved: a daemon goes on and tries again, a command's memory ends here."""
    if trouble := house.owner.troubles().get(credential.id):
        raise TryLater(f"{credential.id}: {trouble}")
    return credential


async def _perform(house: House, credential: Credential, flow: Flow[None]) -> None:
    """Drives a flow that needs no person, by the credential's own proxy."""
    proxy = credential.settings.proxy_url.reveal() if credential.settings.proxy_url else None
    await drive(flow, unattended(house.client.send, house.clock, proxy))
