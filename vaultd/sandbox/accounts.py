"""Who signed in, as iFlow and the invented vendor tell it after the tokens."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from vaultd.sandbox.call import Call, answer
from vaultd.sandbox.llm import gate
from vaultd.sandbox.records import GrantError


async def iflow_user(call: Call) -> web.StreamResponse:
    """GET with the access token in the query; answers the API key that inference takes, another for each token."""
    try:
        access = call.vendor.live(call.query("accessToken"))
    except GrantError as error:
        return answer({"success": False, "code": "401", "message": error.why}, status=401)
    account = access.family.account
    data: dict[str, Any] = {"apiKey": call.vendor.derive_key(access), "email": account.email, "phone": account.phone}
    data = {name: value for name, value in (data | call.vendor.switches.userinfo_answer).items() if value is not None}
    return answer({"success": True, "data": data})


async def userinfo(call: Call) -> web.StreamResponse:
    """OpenID Connect Core §5.3."""
    access = gate.oauth_caller(call, call.vendor.rules.grammar).access
    assert access is not None
    account = access.family.account
    said = {"sub": account.person, "email": account.email, "email_verified": True}
    return answer(said | call.vendor.switches.userinfo_answer)
