"""What a Gemini CLI asks of Code Assist beside its questions to a model: tier, project, quota, settings.

Answered here and never passed on: the sign-in has set the account up, a key needs no account, and a person's own Google
token that a stock CLI shows is nobody's business. Questions to a model are `server.relay`'s. Calls as of Gemini CLI
0.61; one that is newer gets `{}`, and the CLI goes on with its defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

#: Without a project the CLI would ask its person for one. The relay puts the login's own in its place.
_PROJECT: Final = "vaultd"
_TIER: Final = {"id": "standard-tier", "name": "vaultd", "isDefault": True, "userDefinedCloudaicompanionProject": False}
#: A long-running operation that is over: the CLI would ask for it every five seconds.
_DONE: Final = msgspec.json.encode(
    {
        "name": "operations/vaultd",
        "done": True,
        "response": {"cloudaicompanionProject": {"id": _PROJECT, "name": _PROJECT}},
    }
)
_SETTING: Final = msgspec.json.encode({"cloudaicompanionProject": _PROJECT, "freeTierDataCollectionOptin": False})
_ANSWERS: Final[Mapping[str, bytes]] = {
    # `currentTier` says that there is nothing left to set up.
    "loadCodeAssist": msgspec.json.encode(
        {"currentTier": _TIER, "allowedTiers": [_TIER], "cloudaicompanionProject": _PROJECT, "gcpManaged": False}
    ),
    "onboardUser": _DONE,
    "retrieveUserQuota": b'{"buckets":[]}',
    "listExperiments": b'{"experimentIds":[],"flags":[]}',
    "getCodeAssistGlobalUserSetting": _SETTING,
    "setCodeAssistGlobalUserSetting": _SETTING,
}


async def set_up(request: web.Request) -> web.Response:
    """`/v1internal:<method>`, POST or GET."""
    return _json(_ANSWERS.get(request.match_info["method"], b"{}"))


async def operation(_request: web.Request) -> web.Response:
    """`GET /v1internal/operations/<name>`: how far an onboarding is."""
    return _json(_DONE)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")
