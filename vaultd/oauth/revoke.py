"""Taking a login back at the vendor (RFC 7009), for `logout --everywhere` (SEC-54)."""

from __future__ import annotations

from vaultd.catalog.manifest import Provider
from vaultd.effects import Flow
from vaultd.errors import Misconfigured
from vaultd.oauth.answers import Stamp, failure
from vaultd.oauth.endpoints import login_of, resolve
from vaultd.oauth.token_request import token_request
from vaultd.oauth.tokens import Tokens


def offered(provider: Provider) -> bool:
    """True where the manifest names a revocation endpoint."""
    return bool(provider.endpoints.get("revoke"))


def revoke(provider: Provider, tokens: Tokens, *, stamp: Stamp) -> Flow[None]:
    """Revokes the refresh token, which takes the access token with it (§2.1); else the access token."""
    if not offered(provider):
        raise Misconfigured(f"{provider.id} offers no revocation; `vaultd logout` without --everywhere removes it here")
    endpoints = yield from resolve(provider, "revoke", now=stamp())
    token, hint = (tokens.refresh, "refresh_token") if tokens.refresh else (tokens.access, "access_token")
    fields = {"token": token.reveal(), "token_type_hint": hint}
    reply = yield token_request(login_of(provider), endpoints.urls["revoke"], fields)
    if not 200 <= reply.status < 300:  # §2.2: an unknown token is 200 too
        raise failure(reply, now=stamp())
