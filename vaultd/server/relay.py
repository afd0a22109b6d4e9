"""From an HTTP request to an `Ask`, and from the relay's bytes to an HTTP answer. One handler, given the format.

Where the model's name and the wish for a stream stand differs by format, and is known here; what a body means is not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Final

import msgspec
from aiohttp import web

from vaultd.catalog.hooks.shape import Action
from vaultd.catalog.manifest import FormatName
from vaultd.house import House
from vaultd.server import bodies
from vaultd.server.guard import CLIENT, PROVIDER, Handler
from vaultd.wire.members import Members
from vaultd.wire.refusal import Refusal
from vaultd.work.ask import Ask
from vaultd.work.relay import Relay
from vaultd.work.story import Story

#: Of a client's query what its format knows; a client key may stand there too, and stays here.
_QUERY: Final[dict[FormatName, str]] = {"gemini": "alt", "anthropic-messages": "beta"}
_METHODS: Final[dict[str, Action]] = {
    "generateContent": "generate",
    "streamGenerateContent": "stream",
    "countTokens": "count",
}


class Desk:
    """The relay routes of one house: one relay, one count of bodies."""

    def __init__(self, house: House) -> None:
        self._relay = Relay(house)
        self._bodies = bodies.Bodies()

    @property
    def relay(self) -> Relay:
        return self._relay

    @property
    def budget(self) -> bodies.Bodies:
        """What all requests together may hold."""
        return self._bodies

    async def whole(self, request: web.Request, ask: Ask, told: Callable[[bytes], bytes]) -> web.StreamResponse:
        """For a call of another shape: what is answered to `ask`, an error apart, as `told` has it."""
        client, story = _Client(request), story_of(request)
        try:
            whole = await self._relay.serve(ask, client, story)
        finally:
            request[PROVIDER] = story.provider
        if whole is None:
            return client.response
        body = told(whole.body) if whole.status == 200 else whole.body
        return web.Response(status=whole.status, body=body, headers=whole.headers)

    def handler(
        self, fmt: FormatName, *, count: bool = False, envelope: bool = False, completions: bool = False
    ) -> Handler:
        """`count`: the route counts tokens. `envelope`: bodies come in Code Assist's envelope. `completions`: they are
        legacy Completions, which look like chat from outside."""

        async def handle(request: web.Request) -> web.StreamResponse:
            body = await bodies.read(request, self._bodies)
            held, story = bodies.Held(self._bodies, len(body)), story_of(request)
            try:
                if fmt == "gemini":
                    ask = _gemini(request, body, envelope=envelope)
                else:
                    ask = _plain(request, body, fmt, count, completions)
                del body  # the relay lets go of it before the answer ends
                client = _Client(request, held.give)
                whole = await self._relay.serve(ask, client, story)
            finally:
                held.give()
                request[PROVIDER] = story.provider
            if whole is None:
                return client.response
            return web.Response(status=whole.status, body=whole.body, headers=whole.headers)

        return handle


def story_of(request: web.Request) -> Story:
    resource = request.match_info.route.resource
    endpoint = _endpoint(request.method, resource.canonical) if resource is not None else request.method
    return Story(client=request.get(CLIENT, ""), endpoint=endpoint)


@cache
def _endpoint(method: str, route: str) -> str:
    """One text for all requests of a route: usage keeps it until it is written down."""
    return f"{method} {route}"


def _plain(request: web.Request, body: bytes, fmt: FormatName, count: bool, completions: bool) -> Ask:
    members = Members(body)
    model = members.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "bad-request", "`model` is missing: name one of GET /v1/models")
    action: Action = "count" if count else "stream" if members.raw("stream") == b"true" else "generate"
    ask = _ask(request, fmt, action, model, members)
    if completions:
        return msgspec.structs.replace(ask, reads="openai-completions", writes="openai-completions")
    if fmt == "openai-chat" and "messages" not in members and "input" in members:
        # Some clients send a Responses body here (seen in CLIProxyAPI's history); they read a chat answer.
        return msgspec.structs.replace(ask, reads="openai-responses", writes="openai-chat")
    return ask


def _gemini(request: web.Request, body: bytes, *, envelope: bool) -> Ask:
    method = request.match_info["method"]
    action = _METHODS.get(method)
    if action is None:
        raise Refusal(501, "not-implemented", f"{method[:60]!r} is not served here: {', '.join(_METHODS)} are")
    outer = Members(body)
    if not envelope:
        return _ask(request, "gemini", action, request.match_info["model"], outer)
    inner = outer.raw("request")
    if inner is None:
        raise Refusal(400, "bad-request", "`request` is missing")
    members = Members(inner)
    model = outer.get("model") or members.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "bad-request", "`model` is missing: name one of GET /v1/models")
    return _ask(request, "gemini", action, model.removeprefix("models/"), members, outer)


def _ask(
    request: web.Request, fmt: FormatName, action: Action, model: str, members: Members, envelope: Members | None = None
) -> Ask:
    return Ask(fmt, action, model, members, request.headers, _query(request, fmt), envelope)


def _query(request: web.Request, fmt: FormatName) -> str:
    known = _QUERY.get(fmt)
    if not request.query_string or known is None:
        return ""
    value = request.query.get(known, "")
    return f"{known}={value}" if value.isalnum() and value.isascii() else ""


class _Stream(web.StreamResponse):
    """Its head goes out with the first bytes: one packet, one system call."""

    _send_headers_immediately = False


#: Stands where nothing has been opened, and cannot be written to.
_UNOPENED: Final = _Stream()


class _Client:
    """The client of one request, for `work.relay` to answer."""

    def __init__(self, request: web.Request, begun: Callable[[], None] = lambda: None) -> None:
        self._request = request
        #: Called once the request is needed no more.
        self.begun = begun
        self.opened = False
        self.response: web.StreamResponse = _UNOPENED

    async def open(self, status: int, headers: Mapping[str, str]) -> None:
        self.opened = True
        self.response = _Stream(status=status, headers=headers)
        await self.response.prepare(self._request)

    @property
    def write(self) -> Callable[[bytes], Awaitable[None]]:
        """The response's own method, not a wrapper: it is called once per event of a stream."""
        return self.response.write

    async def end(self, last: bytes = b"") -> None:
        await self.response.write_eof(last)

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()
