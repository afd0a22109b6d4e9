"""What a Gemini CLI asks of Code Assist before its first question: its tier, its project, its settings.

Answered here and never passed on: the sign-in has set the account up, a key needs no account, and a person's own Google
token that a stock CLI shows is nobody's business. Questions to a model are `server.relay`'s.
"""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

#: `currentTier` says that there is nothing left to set up; without a project the CLI would ask its person for one. The
#: relay puts the login's own project in its place.
_READY: Final = msgspec.json.encode(
    {"currentTier": {"id": "standard-tier", "name": "vaultd"}, "cloudaicompanionProject": "vaultd"}
)


async def set_up(request: web.Request) -> web.Response:
    """Any other call of `/v1internal` gets `{}`: the CLI goes on with its defaults."""
    asked = request.match_info["method"]
    return web.Response(body=_READY if asked == "loadCodeAssist" else b"{}", content_type="application/json")
