"""Every route of the main port, on one screen: path, format, who may come in, who answers. There is nothing else."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from vaultd.catalog.manifest import FormatName
from vaultd.house import House
from vaultd.server import callbacks, code_assist, guard, models, panel_files, status
from vaultd.server.codex import Backend
from vaultd.server.guard import Handler, Rule, Shape, client_key, client_key_or_loopback, guarded
from vaultd.server.management import app as management
from vaultd.server.management.gate import Gate
from vaultd.server.relay import Desk
from vaultd.server.responses_socket import Sockets
from vaultd.server.slow import LIMITS, Limits
from vaultd.work.metrics.series import Route

#: Google's id of a model may hold slashes; what follows the last colon is the method.
_GEMINI: Final = "{model:.+}:{method:[A-Za-z]+}"


def make_app(house: House, limits: Limits = LIMITS) -> web.Application:
    app = web.Application()
    desk = Desk(house)
    sockets, codex = Sockets(house, desk, limits), Backend(house, desk)
    app.on_response_prepare.append(_unsigned)

    def get(path: str, shape: FormatName | Shape, handler: Handler, route: Route, admit: Rule = client_key) -> None:
        app.router.add_get(path, guarded(house, shape, admit, handler, limits, route))

    def post(
        path: str, fmt: FormatName, handler: Handler | None = None, route: Route = "relay", admit: Rule = client_key
    ) -> None:
        app.router.add_post(path, guarded(house, fmt, admit, handler or desk.handler(fmt), limits, route))

    post("/v1/chat/completions", "openai-chat")
    post("/v1/completions", "openai-chat", desk.handler("openai-chat", completions=True))
    post("/v1/responses", "openai-responses")
    get("/v1/responses", "openai-responses", sockets.handle, "socket")
    post("/v1/responses/compact", "openai-responses", codex.compact)
    post("/backend-api/codex/responses", "openai-responses")
    get("/backend-api/codex/responses", "openai-responses", sockets.handle, "socket")
    post("/backend-api/codex/responses/compact", "openai-responses", codex.compact)
    get("/backend-api/codex/models", "openai-responses", codex.models, "models")
    post("/backend-api/codex/{path:.+}", "openai-responses", codex.other, "codex")
    get("/backend-api/codex/{path:.+}", "openai-responses", codex.other, "codex")
    post("/v1/messages", "anthropic-messages")
    post("/v1/messages/count_tokens", "anthropic-messages", desk.handler("anthropic-messages", count=True), "count")
    for base in ("/v1beta/models", "/v1/models", "/v1beta1/publishers/google/models"):
        post(f"{base}/{_GEMINI}", "gemini")
    code_assist_models = "/v1internal:{method:generateContent|streamGenerateContent|countTokens}"
    post(code_assist_models, "gemini", desk.handler("gemini", envelope=True), "relay", guard.gemini_cli)
    post("/v1internal:{method:[A-Za-z]+}", "gemini", code_assist.set_up, "code-assist", guard.gemini_cli)
    get("/v1internal:{method:[A-Za-z]+}", "gemini", code_assist.set_up, "code-assist", guard.gemini_cli)
    get("/v1internal/operations/{name:.+}", "gemini", code_assist.operation, "code-assist", guard.gemini_cli)

    get("/v1/models", models.shape, models.every(house), "models")
    get("/v1/models/{model:.+}", models.shape, models.one(house), "models")
    get("/v1beta/models", "gemini", models.every(house, "gemini"), "models")
    get("/v1beta/models/{model:.+}", "gemini", models.one(house, "gemini"), "models")

    get("/healthz", "openai-chat", status.healthz(house), "health", client_key_or_loopback)
    get("/readyz", "openai-chat", status.readyz(house), "health", client_key_or_loopback)
    numbers = status.metrics(house, desk.relay, sockets)
    get("/metrics", "openai-chat", numbers, "metrics", client_key_or_loopback)

    gate = Gate(house)
    management.mount(app, house, gate, limits)
    panel_files.mount(app, house, gate)
    callbacks.mount(app, house)
    app.router.add_route("*", "/{path:(?s:.*)}", _unknown)  # a path may hold a line break
    return app


async def _unknown(request: web.Request) -> web.Response:
    """405 where another method would do; else 404."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        _, methods = await resource.resolve(request)
        allowed |= methods
    allowed.discard("*")
    response = guard.answer(guard.not_found(request), _shape_of(request))
    if allowed:
        response.set_status(405)
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _shape_of(request: web.Request) -> FormatName:
    """Whose client asks for a route that is not there, by the path where that tells, else as the model list does."""
    if request.path.startswith(("/v1beta", "/v1internal")):
        return "gemini"
    return "anthropic-messages" if request.path.startswith("/v1/messages") else models.shape(request)


async def _unsigned(_request: web.Request, response: web.StreamResponse) -> None:
    """No `Server` header: which software in which version is nobody's business before a key is shown."""
    response.headers.popall("Server", None)
