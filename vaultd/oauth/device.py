"""The device authorization grant (RFC 8628): a code on this screen, a browser anywhere, and polling with manners.

The device code is a secret and never leaves this generator but in the poll's body (SEC-41).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.rfc8628 import DEVICE_CODE_GRANT_TYPE

from vaultd.catalog.manifest import Provider
from vaultd.catalog.secure import is_loopback, is_secure
from vaultd.effects import Flow, Now, Reply, Send, Show, Wait
from vaultd.errors import ProtocolError, SignInRequired, TryLater
from vaultd.oauth.answers import Stamp, error_of, failure, retry_after, strict_object
from vaultd.oauth.authcode import challenge
from vaultd.oauth.endpoints import login_of, resolve
from vaultd.oauth.grant import from_sign_in
from vaultd.oauth.token_request import token_request
from vaultd.oauth.tokens import Grant

INTERVAL = 5.0  # RFC 8628 §3.2: where the server names none
SLOW_DOWN = 5.0  # §3.5: for this and all later polls
LIFETIME = 900.0  # where `expires_in`, which is required, is missing all the same; Codex and Qwen give 15 minutes
LONGEST_PAUSE = 60.0  # a dead network is asked once a minute, so that its return is noticed
_USER_CODE = re.compile(r"[\x20-\x7e]{1,64}")
EXPIRED = "the code has expired before it was entered; start the sign-in again"


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the device endpoint gave."""

    code: str = field(repr=False)
    user_code: str
    url: str
    expires_in: float
    interval: float


def sign_in(provider: Provider, *, verifier: str, stamp: Stamp) -> Flow[Grant]:
    """Shows where to go, then polls until the person is done, says no, or the code expires."""
    oauth = login_of(provider)
    endpoints = yield from resolve(provider, "device", "token", now=stamp())
    fields = {"client_id": oauth.client_id}
    if oauth.scopes:
        fields["scope"] = " ".join(oauth.scopes)
    if oauth.device_pkce:
        fields |= {"code_challenge": challenge("S256", verifier), "code_challenge_method": "S256"}
    reply = yield token_request(oauth, endpoints.urls["device"], fields)
    device = read_device(reply, now=stamp(), endpoint=endpoints.urls["device"])
    deadline = (yield Now()) + device.expires_in
    yield Show(device.url, device.user_code, device.expires_in)
    poll_fields = {"grant_type": DEVICE_CODE_GRANT_TYPE, "device_code": device.code}
    if oauth.device_pkce:
        poll_fields["code_verifier"] = verifier
    poll = token_request(oauth, endpoints.urls["token"], poll_fields)
    reply = yield from _until_done(poll, device.interval, deadline, stamp)
    return (yield from from_sign_in(provider, reply, now=stamp(), userinfo=endpoints.urls.get("userinfo", "")))


def _until_done(poll: Send, interval: float, deadline: float, stamp: Stamp) -> Flow[Reply]:
    """The first answer that is neither "not yet" nor a passing failure; the body decides, for some send it with 200."""
    pause = interval
    while True:
        yield from wait_or_expire(pause, deadline)
        try:
            reply: Reply = yield poll
            if not _passing(reply):
                code, _ = error_of(reply)
                if code == "slow_down":
                    interval += SLOW_DOWN
                elif code != "authorization_pending":
                    return reply
                pause = interval
                continue
            asked = retry_after(reply, stamp()) or 0.0
        except TryLater as trouble:
            asked = trouble.after or 0.0
        # §3.5: on a connection timeout the interval is doubled, not hammered.
        pause = max(min(pause * 2, max(LONGEST_PAUSE, interval)), asked)


def _passing(reply: Reply) -> bool:
    return reply.status >= 500 or (reply.status == 429 and not error_of(reply)[0])


def wait_or_expire(pause: float, deadline: float) -> Flow[None]:
    """Lets `pause` go by, or raises when the code's life ends first, whether or not the server says so (SEC-38)."""
    left = deadline - (yield Now())
    if left <= pause:
        yield Wait(max(0.0, left))
        raise SignInRequired(EXPIRED)
    yield Wait(pause)


def read_device(reply: Reply, *, now: float, endpoint: str) -> DeviceCode:
    """RFC 8628 §3.2, checked: nothing hostile reaches the person's browser or terminal (SEC-40)."""
    if not 200 <= reply.status < 300:
        raise failure(reply, now=now)
    answer = strict_object(reply)
    if "device_code" not in answer and "error" in answer:
        raise failure(reply, now=now)
    code, user_code = answer.get("device_code"), answer.get("user_code")
    if not isinstance(code, str) or not code:
        raise ProtocolError("the device endpoint gave no device_code")
    url = answer.get("verification_uri_complete") or answer.get("verification_uri") or answer.get("verification_url")
    return DeviceCode(
        code=code,
        user_code=read_user_code(user_code),
        url=_browsable(url, endpoint),
        expires_in=_seconds(answer, "expires_in", LIFETIME),
        interval=max(_seconds(answer, "interval", INTERVAL), 1.0),
    )


def read_user_code(value: object) -> str:
    if not isinstance(value, str) or not _USER_CODE.fullmatch(value):
        raise ProtocolError("the device endpoint's user_code is not one short line")
    return value


def _browsable(url: object, endpoint: str) -> str:
    if not isinstance(url, str) or not is_secure(url) or (is_loopback(url) and not is_loopback(endpoint)):
        raise ProtocolError("the device endpoint's verification address is not an https page; it is not shown")
    return url


def _seconds(answer: dict[str, Any], name: str, default: float) -> float:
    value = answer.get(name)
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else default
    except (ValueError, OverflowError):
        return default
    return seconds if math.isfinite(seconds) and seconds > 0 else default
