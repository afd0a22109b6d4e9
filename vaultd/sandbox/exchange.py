"""The token and revocation endpoints (RFC 6749 §3.2, RFC 7009): bodies, client authentication and grants, per vendor.

What a grant yields is decided in `state`; here is only how it is asked for and answered.
"""

from __future__ import annotations

import hmac
from typing import Any

from aiohttp import web

from vaultd.sandbox import refusal
from vaultd.sandbox.call import Call, answer
from vaultd.sandbox.records import Access, Account, GrantError, jwt

_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


async def token(call: Call) -> web.StreamResponse:
    """POST to the token endpoint."""
    if call.vendor.switches.token_moved:
        return web.Response(status=404, text="<html><h1>404 Not Found</h1></html>", content_type="text/html")
    said = call.json() if call.vendor.rules.body == "json" else call.form()
    fields = {name: value for name, value in said.items() if isinstance(value, str)}
    _check_client(call, fields)
    grant = fields.get("grant_type", "")
    try:
        access = _grant(call, grant, fields)
    except GrantError as error:
        if grant == "refresh_token":
            call.vendor.counts["refused:refresh"] += 1
            call.vendor.counts[f"refused:{error.detail}"] += 1
        raise _refuse(call, grant, error) from None
    return answer(
        _merged(_token_answer(call, access, renewal=grant == "refresh_token"), call.vendor.switches.token_answer)
    )


async def revoke(call: Call) -> web.StreamResponse:
    """RFC 7009 §2: the client is identified, the token ends, and the answer is an empty 200."""
    fields = call.form()
    if "token" not in fields:
        raise refusal.oauth("invalid_request", "token is missing")
    call.vendor.revoke(fields["token"])
    return web.Response(status=200)


def _check_client(call: Call, fields: dict[str, str]) -> None:
    rules = call.vendor.rules
    in_body = fields.get("client_id") == rules.client_id and hmac.compare_digest(
        fields.get("client_secret", "").encode(), rules.client_secret.encode()
    )
    in_header = call.basic() == (rules.client_id, rules.client_secret)
    if not in_body or (rules.client_auth == "basic-and-body" and not in_header):
        raise refusal.oauth("invalid_client", "unknown client, or its secret is wrong or missing", status=401)


def _grant(call: Call, grant: str, fields: dict[str, str]) -> Access:
    if grant == "authorization_code" and call.vendor.rules.redirect_uris:
        return call.vendor.redeem(
            fields.get("code", ""),
            redirect_uri=fields.get("redirect_uri", ""),
            verifier=fields.get("code_verifier", ""),
            state=fields.get("state", ""),
        )
    if grant == "refresh_token":
        return call.vendor.renew(fields.get("refresh_token", ""))
    if grant == _DEVICE_GRANT and not call.vendor.rules.redirect_uris:
        return call.vendor.redeem_device(fields.get("device_code", ""), fields.get("code_verifier", ""))
    raise GrantError("unsupported_grant_type", "this vendor does not take this grant")


def _refuse(call: Call, grant: str, error: GrantError) -> refusal.Refusal:
    if call.vendor.rules.grammar == "codex" and grant == "refresh_token":
        # OpenAI's own shape: 401, and the code inside the error object.
        kind = {"message": error.why, "type": "invalid_request_error", "param": None, "code": error.detail}
        return refusal.Refusal(401, {"error": kind})
    kimi = call.vendor.rules.device_errors_are_200 and grant == _DEVICE_GRANT
    return refusal.oauth(error.code, error.why, status=200 if kimi else 400)


def _token_answer(call: Call, access: Access, *, renewal: bool) -> dict[str, Any]:
    vendor, family = call.vendor, access.family
    body: dict[str, Any] = {
        "access_token": access.value,
        "token_type": "Bearer",
        "expires_in": _whole(vendor.access_seconds),
    }
    if family.scope:
        body["scope"] = family.scope
    habit = vendor.switches.refresh or vendor.rules.refresh
    if family.refresh and not (renewal and habit == "absent"):
        body["refresh_token"] = family.refresh
    return body | _account_facts(call, family.account, family.scope)


def _whole(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds


def _account_facts(call: Call, account: Account, scope: str) -> dict[str, Any]:
    """What each vendor tells about the account beside the tokens."""
    match call.vendor.rules.name:
        case "codex":
            return {"id_token": jwt(_claims(call, account) | {"https://api.openai.com/auth": _chatgpt(account)})}
        case "claude":
            return {
                "organization": {"uuid": account.account, "name": f"{account.email}'s organization"},
                "account": {"uuid": account.person, "email_address": account.email},
            }
        case "qwen":
            return {"resource_url": "portal.qwen.ai"}
        case _:
            return {"id_token": jwt(_claims(call, account))} if "openid" in scope.split() else {}


def _claims(call: Call, account: Account) -> dict[str, Any]:
    now = int(call.vendor.now())
    return {
        "iss": call.base,
        "aud": [call.vendor.rules.client_id],
        "sub": account.person,
        "iat": now,
        "exp": now + 3600,
        "email": account.email,
        "email_verified": True,
    }


def _chatgpt(account: Account) -> dict[str, Any]:
    return {
        "chatgpt_account_id": account.account,
        "chatgpt_plan_type": account.plan,
        "chatgpt_user_id": account.person,
        "user_id": account.person,
        "organizations": [
            {"id": f"org-{account.account[:8]}", "is_default": True, "role": "owner", "title": "Personal"}
        ],
        "groups": [],
    }


def _merged(body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (body | changes).items() if value is not None}
