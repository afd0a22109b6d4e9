"""The model list, in the shape of whoever asks: three APIs share one path, and Codex has a fourth list on it.

Only models that some usable credential serves, sorted, so that two asks can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from vaultd.catalog.manifest import FormatName
from vaultd.house import House
from vaultd.server.guard import Handler
from vaultd.wire.formats import FORMATS
from vaultd.wire.listing import Listed
from vaultd.wire.refusal import Refusal

_encode: Final = msgspec.json.Encoder().encode


def shape(request: web.Request) -> FormatName:
    """What tells them apart: Anthropic's SDK always sends its version, Google's never a bearer, Codex its version."""
    if "anthropic-version" in request.headers:
        return "anthropic-messages"
    if "x-goog-api-key" in request.headers or "key" in request.query:
        return "gemini"
    return "openai-responses" if "client_version" in request.query else "openai-chat"


def every(house: House, fmt: FormatName | None = None) -> Handler:
    """The list, in `fmt` or as the request's shape says."""

    async def handle(request: web.Request) -> web.Response:
        return _json(FORMATS[fmt or shape(request)].model_list(served(house)))

    return handle


def one(house: House, fmt: FormatName | None = None) -> Handler:
    """One model of the list."""

    async def handle(request: web.Request) -> web.Response:
        wanted = request.match_info["model"].lower()
        found = [model for model in served(house) if model.id.lower() == wanted]
        if not found:
            name = request.match_info["model"][:80]
            raise Refusal(404, "no-such-model", f"no such model: {name!r}; GET /v1/models lists those served")
        its = fmt or shape(request)
        # Codex asks for the whole list only; a single model is then OpenAI's.
        whole = FORMATS["openai-chat" if its == "openai-responses" else its].model_list(found)
        return _json((whole.get("data") or whole["models"])[0])

    return handle


def served(house: House) -> Iterable[Listed]:
    for name, (model, providers) in house.pool.models(house).items():
        yield Listed(name, providers[0], model.created, model.display_name, model.context, model.max_output)


def _json(value: Any) -> web.Response:
    return web.Response(body=_encode(value), content_type="application/json")
