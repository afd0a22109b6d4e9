"""From a token endpoint's answer to a `Grant`: tokens, account and the manifest's hooks, for sign-in and renewal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vaultd.catalog.hooks.flows import FLOW_HOOKS
from vaultd.catalog.manifest import Provider, duration
from vaultd.effects import Flow, Reply
from vaultd.errors import Misconfigured
from vaultd.oauth.account import merged, read_account
from vaultd.oauth.answers import lifetime, read_tokens, strict_object
from vaultd.oauth.endpoints import login_of
from vaultd.oauth.tokens import Account, Grant, Tokens


def from_sign_in(provider: Provider, reply: Reply, *, now: float, userinfo: str = "") -> Flow[Grant]:
    """A new login's grant. Raises what `read_tokens` raises."""
    tokens, answer, warnings = _read(provider, reply, now)
    account = yield from read_account(provider, answer, tokens, now=now, userinfo=userinfo)
    grant = Grant(tokens, account, warnings)
    return (yield from _run_hooks(provider, login_of(provider).signed_in, grant))


def from_renewal(provider: Provider, reply: Reply, old: Tokens, *, now: float) -> Flow[Grant]:
    """A renewed login's grant: what the answer leaves out stays as it was (RFC 6749 §6; SEC-43).

    The hooks are a flow of their own: a rotated refresh token must be on disk before anything else can fail.
    """
    new, answer, warnings = _read(provider, reply, now)
    account = yield from read_account(provider, answer, new, now=now)
    tokens = replace(
        new,
        refresh=new.refresh or old.refresh,
        id_token=new.id_token or old.id_token,
        scope=new.scope or old.scope,
        api_key=old.api_key,
    )
    return Grant(tokens, account, warnings)


def after_sign_in(provider: Provider, grant: Grant) -> Flow[Grant]:
    """What the manifest's hooks learn at a sign-in (Google's projects), for a login that was made elsewhere."""
    return (yield from _run_hooks(provider, login_of(provider).signed_in, grant))


def after_renewal(provider: Provider, grant: Grant) -> Flow[Grant]:
    """What the manifest's hooks add to a grant that is saved already (a derived API key)."""
    return (yield from _run_hooks(provider, login_of(provider).renewed, grant))


def _read(provider: Provider, reply: Reply, now: float) -> tuple[Tokens, Mapping[str, Any], tuple[str, ...]]:
    oauth = login_of(provider)
    default = duration(oauth.default_lifetime)
    tokens = read_tokens(reply, now=now, default_lifetime=default, terminal=oauth.terminal_errors)
    answer = strict_object(reply)
    _, warning = lifetime(answer, default)
    return tokens, answer, (f"{provider.id}: {warning}",) if warning else ()


def _run_hooks(provider: Provider, names: Sequence[str], grant: Grant) -> Flow[Grant]:
    for name in names:
        hook = FLOW_HOOKS.get(name)
        if hook is None:
            known = ", ".join(sorted(FLOW_HOOKS))
            raise Misconfigured(f"{provider.id}: the manifest names the flow hook {name!r}; there are {known}")
        learned = yield from hook(provider, grant.tokens.access)
        news = Account(person=learned.person, email=learned.email, facts=learned.facts)
        grant = Grant(
            replace(grant.tokens, api_key=learned.api_key or grant.tokens.api_key),
            merged(grant.account or Account(), news),
            grant.warnings + learned.warnings,
        )
    return grant
