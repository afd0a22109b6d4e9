"""Renewal (RFC 6749 §6): one request, once. Whether to repeat, and how a dead login is marked, is `work.renew`'s."""

from __future__ import annotations

from vaultd.catalog.manifest import Provider
from vaultd.effects import Flow
from vaultd.errors import SignInRequired
from vaultd.oauth.answers import Stamp
from vaultd.oauth.endpoints import login_of, resolve
from vaultd.oauth.grant import from_renewal
from vaultd.oauth.token_request import token_request
from vaultd.oauth.tokens import Grant, Tokens


def refresh(provider: Provider, tokens: Tokens, stamp: Stamp) -> Flow[Grant]:
    """The renewed grant: a rotated refresh token replaces the old one, an absent one keeps it. Account: what is new."""
    if tokens.refresh is None:
        raise SignInRequired(f"{provider.id}: this login came without a refresh token; sign in again")
    oauth = login_of(provider)
    endpoints = yield from resolve(provider, "token", now=stamp())
    fields = {"grant_type": "refresh_token", "refresh_token": tokens.refresh.reveal(), **oauth.refresh_params}
    reply = yield token_request(oauth, endpoints.urls["token"], fields)
    return (yield from from_renewal(provider, reply, tokens, now=stamp()))
