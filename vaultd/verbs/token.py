"""Lending: a login's access token, or a client key, to a program that asks for one. Never a refresh token.

Whoever borrows a token comes back before it ends; so what is lent lives for a while, and is renewed first where it
would not. That goes the way of every renewal, so that twenty who ask at once cost one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vaultd.errors import Misconfigured, SignInRequired
from vaultd.house import House
from vaultd.pool import explain
from vaultd.vault.credential import Credential
from vaultd.verbs.arguments import text

#: Seconds that a lent token lives on, where the vendor's live that long: Claude Code asks its helper again after five
#: minutes unless it is told otherwise, and so does Codex its command.
LEAST: Final = 300.0


async def token(house: House, args: Mapping[str, Any]) -> Any:
    """`{"provider", "credential"?}`: the token of that login, else of the provider's best. `{"client_key"}`: that key,
    by id or alias; a key that is switched off opens nothing, so it is not handed out."""
    if "client_key" in args:
        return _client_key(house, text(args, "client_key"))
    provider = house.catalog.provider(text(args, "provider"))
    if provider.oauth is None:
        raise Misconfigured(f"{provider.id} has no logins: an API key does not end, and is not lent")
    chosen = _chosen(house, provider.id, text(args, "credential", "").removesuffix(".json"))
    fresh = await house.renewer.fresh(chosen.id, least=LEAST)
    if fresh.bearer is None or fresh.tokens is None:
        raise Misconfigured(f"{fresh.id} has no token")
    return {
        "token": fresh.bearer.reveal(),
        "expires_at": explain.at(fresh.tokens.expires_at),
        "provider": fresh.provider,
        "credential": fresh.id,
        "account": fresh.account.email or fresh.account.person or fresh.settings.label,
    }


def _client_key(house: House, ref: str) -> dict[str, Any]:
    key = house.clients.get(ref)
    if not key.enabled:
        raise Misconfigured(f"the client key {key.id} is switched off: vaultd keys enable {key.id}")
    return {"token": key.value.reveal(), "expires_at": None, "client_key": key.id, "alias": key.alias}


def _chosen(house: House, provider: str, named: str) -> Credential:
    """The one named; else as the pool ranks them: those that do not rest, then by priority. Of equals always the same
    one: a program that borrows goes on with the account it began with."""
    logins = [one for one in house.owner.snapshot().values() if one.provider == provider and one.kind == "oauth"]
    if not logins:
        raise SignInRequired(f"nobody is signed in to {provider}: vaultd login --{provider}")
    if named:
        found = next((login for login in logins if login.id == named), None)
        if found is None:
            raise Misconfigured(f"no login {named!r} of {provider}: {', '.join(sorted(login.id for login in logins))}")
        if found.settings.disabled:
            raise Misconfigured(f"{found.id} is switched off: vaultd credentials enable {found.id}")
        return found
    states: dict[str, explain.Standing] = {}
    for standing in house.pool.standings(house):
        if not standing.model:
            states[standing.credential] = standing
    usable = [login for login in logins if login.dead is None and not login.settings.disabled]
    if not usable:
        raise SignInRequired("; ".join(states[login.id].sentence for login in logins))
    rests = {id_ for id_, standing in states.items() if standing.state == "cooling"}
    return min(usable, key=lambda login: (login.id in rests, -login.settings.priority, login.id))
