"""The authorization page: RFC 6749 §4.1.1 as strict as the vendor, and a person who acts as the switches say.

By default opening the URL signs in, so that a test or a demo needs no browser. What is wrong with the client or its
redirect URI is shown on the page and never redirected (§4.1.2.1).
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from vaultd.sandbox.call import Call
from vaultd.sandbox.records import Account
from vaultd.sandbox.vendors import Rules

#: RFC 7636 §4.2: an S256 challenge is 43 characters of base64url.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class _Wrong(Exception):
    """Something is wrong that the client is told by redirect (§4.1.2.1)."""

    def __init__(self, error: str, why: str) -> None:
        super().__init__(why)
        self.error = error
        self.why = why


async def authorize(call: Call) -> web.StreamResponse:
    """GET shows the page or approves at once; POST is the click on the page's form."""
    rules = call.vendor.rules
    redirect_uri = call.query(rules.redirect_param)
    if call.query("client_id") != rules.client_id:
        return _page("Unknown client_id.", status=400)
    if not _registered(call, redirect_uri):
        return _page("This redirect URI is not registered.", status=400)
    state = call.query("state")
    try:
        _check(call)
    except _Wrong as wrong:
        return _redirect(redirect_uri, [("error", wrong.error), ("error_description", wrong.why), ("state", state)])
    if call.vendor.switches.consent == "form" and call.request.method == "GET":
        return _page(_FORM.format(email=html.escape(call.vendor.person.email)))
    return _redirect(redirect_uri, _response(call, redirect_uri, state))


def _registered(call: Call, redirect_uri: str) -> bool:
    rules = call.vendor.rules
    known = [*rules.redirect_uris, *([call.base + rules.paste_page] if rules.paste_page else [])]
    if redirect_uri in known:
        return True
    if not (rules.any_port or call.vendor.switches.any_port):
        return False
    return any(_portless(redirect_uri) == _portless(uri) for uri in rules.redirect_uris)


def _portless(uri: str) -> tuple[str, str, str]:
    parts = urlsplit(uri)
    host = "loopback" if parts.hostname in _LOOPBACK else parts.netloc
    return parts.scheme, host, parts.path


def _check(call: Call) -> None:
    rules = call.vendor.rules
    if len(set(call.request.query)) != len(call.request.query):
        raise _Wrong("invalid_request", "a parameter is repeated")
    if rules.response_type == "code" and call.query("response_type") != "code":
        raise _Wrong("unsupported_response_type", "response_type must be code")
    if not call.query("state"):
        raise _Wrong("invalid_request", "state is missing")
    _check_scopes(rules, call.query("scope"))
    challenge = call.query("code_challenge")
    if rules.pkce == "required" and not challenge:
        raise _Wrong("invalid_request", "code_challenge is missing")
    if challenge and (call.query("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge)):
        raise _Wrong("invalid_request", "code_challenge_method must be S256, with a challenge of 43 characters")


def _check_scopes(rules: Rules, scope: str) -> None:
    asked = set(scope.split())
    if asked - rules.scopes or not rules.needed_scopes <= asked:
        raise _Wrong("invalid_scope", "a scope is unknown or missing")


def _response(call: Call, redirect_uri: str, state: str) -> list[tuple[str, str]]:
    """The authorization response's parameters, spoilt where a switch says so."""
    consent = call.vendor.switches.consent
    issuer = {"": [], "own": [("iss", call.base)]}.get(call.vendor.switches.iss, [("iss", call.vendor.switches.iss)])
    if consent in ("deny", "wrong-state-error"):
        back = state if consent == "deny" else "not-the-state-you-sent"
        return [("error", "access_denied"), ("error_description", "The person said no."), ("state", back), *issuer]
    account = _who(call)
    code = call.vendor.authorize(
        account=account,
        redirect_uri=redirect_uri,
        challenge=call.query("code_challenge"),
        state=state,
        scope=call.query("scope"),
        offline=_offline(call, account),
    ).value
    if call.vendor.switches.code_hash_state:
        code = f"{code}#{state}"
    spoilt: dict[str, list[tuple[str, str]]] = {
        "wrong-state": [("code", code), ("state", "not-the-state-you-sent")],
        "no-state": [("code", code)],
        "no-code": [("state", state)],
        "repeat-state": [("code", code), ("state", state), ("state", state)],
        "repeat-code": [("code", code), ("code", code), ("state", state)],
    }
    return spoilt.get(consent, [("code", code), ("state", state)]) + issuer


def _who(call: Call) -> Account:
    """The account typed into the form, else the one the switch names."""
    if call.request.method == "POST" and (typed := call.form().get("email")):
        return Account.of(call.vendor.rules.name, typed)
    return call.vendor.person


def _offline(call: Call, account: Account) -> bool:
    """Whether a refresh token comes with it: Google asks for words, and gives one again only after new consent."""
    if not call.vendor.rules.offline_access:
        return True
    known = account in call.vendor.consented
    call.vendor.consented.add(account)
    return call.query("access_type") == "offline" and (not known or "consent" in call.query("prompt").split())


async def paste_page(call: Call) -> web.StreamResponse:
    """The vendor's own page that shows `code#state` for the person to paste."""
    if error := call.query("error"):
        return _page(html.escape(f"Sign-in failed: {error}"), status=400)
    shown = html.escape(f"{call.query('code')}#{call.query('state')}")
    return _page(f"<p>Paste this into the program:</p><pre id=code>{shown}</pre>")


def _redirect(uri: str, parameters: Sequence[tuple[str, str]]) -> web.Response:
    separator = "&" if "?" in uri else "?"
    headers = {"Location": uri + separator + urlencode(parameters), "Cache-Control": "no-store"}
    return web.Response(status=302, headers=headers)


def _page(body: str, *, status: int = 200) -> web.Response:
    text = f"<!doctype html><meta charset=utf-8><title>Sandbox vendor</title>{body}"
    return web.Response(text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"})


#: Posts to the same address, so that the query of the authorization request comes along.
_FORM = (
    "<h1>A pretend vendor</h1><form method=post>"
    '<label>Email <input name=email value="{email}"></label><button>Allow</button></form>'
)
