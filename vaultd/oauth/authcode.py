"""The authorization code grant with PKCE (RFC 6749 §4.1, RFC 7636, RFC 8252), read top to bottom.

`state` and `verifier` are given; a flow has no randomness of its own. The code is exchanged once and never again: if
the outcome of the exchange is unknown the person signs in anew (SEC-33).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from vaultd.catalog.manifest import Provider
from vaultd.effects import AwaitRedirect, Flow, Show
from vaultd.errors import Misconfigured, SignInRequired, TryLater, UpstreamRefused, VaultdError
from vaultd.oauth.answers import TEMPORARY, Stamp, shown
from vaultd.oauth.endpoints import login_of, resolve
from vaultd.oauth.grant import from_sign_in
from vaultd.oauth.token_request import token_request
from vaultd.oauth.tokens import Grant

#: RFC 7636 §4.1: 43 characters are 32 random bytes.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
#: 128 bits in base64url (SEC-04); ours holds 256.
_STATE = re.compile(r"[A-Za-z0-9_-]{22,128}")
#: The person or the vendor's policy said no (RFC 6749 §4.1.2.1; OpenID Connect Core §3.1.2.6).
_SAID_NO = frozenset(
    {"access_denied", "login_required", "consent_required", "interaction_required", "account_selection_required"}
)


def sign_in(
    provider: Provider, *, redirect_uri: str, state: str, verifier: str, stamp: Stamp, listen: bool = True
) -> Flow[Grant]:
    """`redirect_uri` is the manifest's loopback address, or its own page that shows `code#state` (`listen=False`)."""
    oauth = login_of(provider)
    endpoints = yield from resolve(provider, "authorize", "token", now=stamp())
    url = authorization_url(
        provider, endpoints.urls["authorize"], redirect_uri=redirect_uri, state=state, verifier=verifier
    )
    yield Show(url)
    answer = yield AwaitRedirect(redirect_uri, state, oauth.issuer, endpoints.names_itself, listen)
    if "error" in answer:
        raise _refusal(answer)
    reply = yield token_request(oauth, endpoints.urls["token"], _exchange(provider, answer, redirect_uri, verifier))
    return (yield from from_sign_in(provider, reply, now=stamp(), userinfo=endpoints.urls.get("userinfo", "")))


def authorization_url(provider: Provider, endpoint: str, *, redirect_uri: str, state: str, verifier: str) -> str:
    """The address for the person's browser. Refuses to build one without PKCE unless the manifest says `pkce: none`."""
    oauth = login_of(provider)
    if not _STATE.fullmatch(state):
        raise Misconfigured("state must be at least 128 random bits in base64url")
    extra = dict(oauth.authorize_params)
    if oauth.pkce != "none":
        extra |= {"code_challenge": challenge(oauth.pkce, verifier), "code_challenge_method": "S256"}
    if oauth.redirect_param != "redirect_uri":
        extra[oauth.redirect_param] = redirect_uri
    standard_redirect = redirect_uri if oauth.redirect_param == "redirect_uri" else None
    url: str = prepare_grant_uri(  # type: ignore[no-untyped-call]
        endpoint, oauth.client_id, "code", standard_redirect, " ".join(oauth.scopes), state, **extra
    )
    return url if oauth.response_type == "code" else url.replace("response_type=code&", "", 1)


def challenge(method: str, verifier: str) -> str:
    """RFC 7636 §4.2. A misspelt method or a short verifier raises: authlib's client then sends no PKCE, silently."""
    if method != "S256":
        raise Misconfigured(f"oauth.pkce must be S256 or none, not {method!r}")
    if not _VERIFIER.fullmatch(verifier):
        raise Misconfigured("the PKCE verifier must have 43 to 128 characters (RFC 7636 §4.1)")
    value: str = create_s256_code_challenge(verifier)  # type: ignore[no-untyped-call]
    return value


def _exchange(provider: Provider, answer: Mapping[str, str], redirect_uri: str, verifier: str) -> dict[str, str]:
    oauth = login_of(provider)
    # Claude's code may carry `#state`; a `#` is in no other vendor's code, and RFC 6749 codes need none.
    code, _, tail = answer["code"].partition("#")
    fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
    if oauth.pkce != "none":
        fields["code_verifier"] = verifier
    if oauth.exchange_state:
        fields["state"] = tail or answer["state"]
    return fields


def _refusal(answer: Mapping[str, str]) -> VaultdError:
    code = shown(answer["error"])
    words = shown(answer.get("error_description", ""))
    message = f"the sign-in was refused ({code})" + (f": {words}" if words else "")
    if code in _SAID_NO:
        return SignInRequired(message)
    if code in TEMPORARY:
        return TryLater(message)
    return UpstreamRefused(message, status=400, code=code)
