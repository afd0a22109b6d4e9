"""The whole route table: vendor → what it answers, below its prefix."""

from __future__ import annotations

from vaultd.sandbox.authorize import authorize
from vaultd.sandbox.call import Route
from vaultd.sandbox.exchange import revoke, token
from vaultd.sandbox.llm import responses

ROUTES: dict[str, list[Route]] = {
    "codex": [
        Route("GET", "/oauth/authorize", "authorize", authorize),
        Route("POST", "/oauth/authorize", "authorize", authorize),
        Route("POST", "/oauth/token", "token", token),
        Route("POST", "/oauth/revoke", "revoke", revoke),
        Route("POST", "/backend-api/codex/responses", "llm", responses.backend),
        Route("POST", "/v1/responses", "llm", responses.public),
    ],
}
