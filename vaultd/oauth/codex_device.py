"""Codex's device login, which is not RFC 8628: the poll gives an authorization code and a verifier of the server's own
making, to be exchanged like any code (observed August 2026)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from vaultd.catalog.manifest import Provider
from vaultd.effects import Flow, Now, Reply, Send, Show
from vaultd.errors import ProtocolError, TryLater, UpstreamRefused
from vaultd.oauth.answers import Stamp, failure, strict_object
from vaultd.oauth.device import INTERVAL, LIFETIME, LONGEST_PAUSE, read_user_code, wait_or_expire
from vaultd.oauth.endpoints import login_of, resolve
from vaultd.oauth.grant import from_sign_in
from vaultd.oauth.token_request import token_request
from vaultd.oauth.tokens import Grant

_PENDING = frozenset({403, 404})


def sign_in(provider: Provider, *, stamp: Stamp) -> Flow[Grant]:
    oauth = login_of(provider)
    needed = ("device-usercode", "device-token", "device-page", "token")
    urls = (yield from resolve(provider, *needed, now=stamp())).urls
    reply = yield _post(urls["device-usercode"], {"client_id": oauth.client_id})
    if reply.status == 404:
        raise UpstreamRefused(
            f"{provider.id}: device login is not enabled for this account; sign in without --device", status=404
        )
    device = _read(reply, stamp())
    user_code = read_user_code(device.get("user_code", device.get("usercode")))
    deadline = (yield Now()) + LIFETIME
    yield Show(urls["device-page"], user_code, LIFETIME)
    poll = _post(urls["device-token"], {"device_auth_id": device.get("device_auth_id"), "user_code": user_code})
    done = _read((yield from _until_done(poll, _interval(device), deadline)), stamp())
    fields = {
        "grant_type": "authorization_code",
        "code": _text(done, "authorization_code"),
        "code_verifier": _text(done, "code_verifier"),
        "redirect_uri": _redirect_uri(urls["device-token"]),
    }
    reply = yield token_request(oauth, urls["token"], fields)
    return (yield from from_sign_in(provider, reply, now=stamp()))


def _until_done(poll: Send, interval: float, deadline: float) -> Flow[Reply]:
    pause = interval
    while True:
        yield from wait_or_expire(pause, deadline)
        try:
            reply: Reply = yield poll
        except TryLater as trouble:
            pause = max(min(pause * 2, LONGEST_PAUSE), trouble.after or 0.0)
            continue
        if reply.status >= 500 or reply.status == 429:
            pause = min(pause * 2, LONGEST_PAUSE)
        elif reply.status in _PENDING:
            pause = interval
        else:
            return reply


def _post(url: str, body: dict[str, Any]) -> Send:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return Send("POST", url, headers, json.dumps(body).encode())


def _read(reply: Reply, now: float) -> dict[str, Any]:
    if not 200 <= reply.status < 300:
        raise failure(reply, now=now)
    return strict_object(reply)


def _interval(device: dict[str, Any]) -> float:
    """A number or a numeric string; never faster than every second."""
    try:
        return max(1.0, min(float(device.get("interval", INTERVAL)), LONGEST_PAUSE))
    except (TypeError, ValueError):
        return INTERVAL


def _text(answer: dict[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value:
        raise ProtocolError(f"the device login's answer holds no {name}")
    return value


def _redirect_uri(device_token: str) -> str:
    """The vendor's own callback, beside its device endpoints; only compared there, never opened."""
    parts = urlsplit(device_token)
    return f"{parts.scheme}://{parts.netloc}/deviceauth/callback"
