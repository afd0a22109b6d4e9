"""Device sign-in (RFC 8628) of Qwen, Kimi and xAI, and the page where the person enters the code. Tokens: `exchange`.

Opening `verification_uri_complete` approves, so that a test needs no browser; the bare page has a form.
"""

from __future__ import annotations

import html
import re
from typing import Any

from aiohttp import web

from vaultd.sandbox.call import Call, answer
from vaultd.sandbox.refusal import oauth

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


async def start(call: Call) -> web.StreamResponse:
    """POST: RFC 8628 §3.1 and §3.2."""
    rules, switches = call.vendor.rules, call.vendor.switches
    fields = call.form()
    if fields.get("client_id") != rules.client_id:
        raise oauth("invalid_client", "unknown client", status=401)
    asked = set(fields.get("scope", "").split())
    if asked - rules.scopes or not rules.needed_scopes <= asked:
        raise oauth("invalid_scope", "a scope is unknown or missing")
    challenge = fields.get("code_challenge", "")
    if rules.device_pkce and (fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge)):
        raise oauth("invalid_request", "code_challenge with method S256 is missing")
    device = call.vendor.start_device(challenge=challenge, scope=fields.get("scope", ""))
    page = f"{call.base}/device"
    said: dict[str, Any] = {
        "device_code": device.device_code,
        "user_code": device.user_code,
        "verification_uri": page,
        "verification_uri_complete": f"{page}?user_code={device.user_code}",
        "expires_in": switches.device_seconds,
        "interval": switches.device_interval,
    } | switches.device_answer
    return answer({name: value for name, value in said.items() if value is not None})


async def page(call: Call) -> web.StreamResponse:
    """Where the person enters the code: GET with `user_code`, or POST of the form."""
    code = call.form().get("user_code", "") if call.request.method == "POST" else call.query("user_code")
    if not code:
        form = "<form method=post><label>Code <input name=user_code></label><button>Allow</button></form>"
        return _html(form)
    if call.vendor.decide_device(code, "approved"):
        return _html("Signed in. You can close this page.")
    return _html(f"No sign-in waits for the code {html.escape(code)}.", status=404)


async def discovery(call: Call) -> web.StreamResponse:
    """xAI: OpenID Connect Discovery 1.0 §4."""
    return answer(
        {
            "issuer": call.base,
            "device_authorization_endpoint": f"{call.base}/oauth2/device/code",
            "token_endpoint": f"{call.base}/oauth2/token",
            "revocation_endpoint": f"{call.base}/oauth2/revoke",
            "jwks_uri": f"{call.base}/.well-known/jwks.json",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }
        | call.vendor.switches.discovery_answer
    )


def _html(body: str, *, status: int = 200) -> web.Response:
    text = f"<!doctype html><meta charset=utf-8><title>Sandbox vendor</title>{body}"
    return web.Response(text=text, status=status, content_type="text/html")
