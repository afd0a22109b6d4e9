"""The Codex device dialect: no RFC 8628. The server makes the PKCE pair and hands out a code for the token endpoint.

Pending is 403; an account that may not use it gets 404 at the first step.
"""

from __future__ import annotations

import secrets

from aiohttp import web

from vaultd.sandbox.call import Call, answer
from vaultd.sandbox.records import GrantError, challenge_of
from vaultd.sandbox.refusal import Refusal, oauth

#: The vendor's own callback: the host is the authorization server's, the path is fixed.
CALLBACK = "/deviceauth/callback"


async def usercode(call: Call) -> web.StreamResponse:
    """POST JSON `{client_id}`."""
    if not call.vendor.switches.device_enabled:
        raise Refusal(404, {"detail": "Not Found"})
    if call.json().get("client_id") != call.vendor.rules.client_id:
        raise oauth("invalid_client", "unknown client", status=401)
    device = call.vendor.start_device(challenge="", scope="openid profile email offline_access")
    said = {
        "device_auth_id": device.device_code,
        "user_code": device.user_code,
        # A text, as the real one sends it.
        "interval": f"{call.vendor.switches.device_interval:g}",
    } | call.vendor.switches.device_answer
    return answer({name: value for name, value in said.items() if value is not None})


async def poll(call: Call) -> web.StreamResponse:
    """POST JSON `{device_auth_id, user_code}`: 403 while pending, then the code."""
    fields = call.json()
    known = call.vendor.devices.get(str(fields.get("device_auth_id")))
    if known is None or known.user_code != fields.get("user_code"):
        raise Refusal(404, {"detail": "Not Found"})
    try:
        device = call.vendor.poll_device(known.device_code)
    except GrantError as error:
        # Denied and expired look like pending here: the real one never says, and the client's own limit ends it.
        raise Refusal(403, {"error": {"code": "deviceauth_authorization_unknown", "message": error.why}}) from None
    verifier = secrets.token_urlsafe(48)
    code = call.vendor.authorize(
        account=device.account,
        redirect_uri=CALLBACK,
        challenge=challenge_of(verifier),
        state="",
        scope=device.scope,
        offline=True,
    )
    return answer(
        {"authorization_code": code.value, "code_verifier": verifier, "code_challenge": challenge_of(verifier)}
    )
