"""A vendor on loopback that answers as a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from vaultd.house import House

CLIENT_KEY = "sk-CANARY-client-0123456789abcdef"

#: One credential of each format, each serving one model under an alias.
ONE_OF_EACH = """
claude-api-key: [{{api-key: sk-CANARY-claude, base-url: "{url}", models: [{{name: real-claude, alias: m-claude}}]}}]
codex-api-key: [{{api-key: sk-CANARY-codex, base-url: "{url}/codex", models: [{{name: real-codex, alias: m-codex}}]}}]
gemini-api-key: [{{api-key: sk-CANARY-gemini, base-url: "{url}", models: [{{name: real-gemini, alias: m-gemini}}]}}]
openai-compatibility:
  - name: acme
    base-url: {url}/v1
    api-key-entries: [{{api-key: sk-CANARY-acme-1}}]
    models: [{{name: real-chat, alias: m-chat}}]
"""
#: Two credentials of one provider, asked in turn.
TWO = """
openai-compatibility:
  - name: acme
    base-url: {url}/v1
    api-key-entries: [{{api-key: sk-CANARY-acme-1}}, {{api-key: sk-CANARY-acme-2}}]
    models: [{{name: real-chat, alias: m-chat}}]
"""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Vendor:
    """Answers each request with the next of `answers`, and with `usual` when there is none."""

    url: str = ""
    usual: Answer | None = None
    answers: deque[Answer] = field(default_factory=deque)
    seen: list[Seen] = field(default_factory=list)
    #: Set when a client of ours hung up in the middle of an answer.
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.path_qs, request.headers.copy(), body))
        answer = self.answers.popleft() if self.answers else self.usual
        assert answer is not None, "the vendor was asked more often than the test said"
        try:
            return await answer(request)
        except asyncio.CancelledError:
            self.hung_up.set()
            raise


def whole(body: bytes, status: int = 200, **headers: str) -> Answer:
    async def answer(_request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers={"content-type": "application/json"} | named)

    return answer


def stream(*pieces: bytes | asyncio.Event, cut: bool = False, **headers: str) -> Answer:
    """An SSE stream, piece by piece; an Event is waited for. `cut`: the connection ends before the stream does."""

    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response = web.StreamResponse(headers={"content-type": "text/event-stream"} | named)
        await response.prepare(request)
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                await response.write(piece)
        if cut and request.transport is not None:
            request.transport.close()
        return response

    return answer


async def hang_up(request: web.Request) -> web.StreamResponse:
    """No answer at all."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@dataclass
class Relayed:
    """A house that serves on loopback, and a client of it."""

    house: House
    url: str
    session: aiohttp.ClientSession

    def post(self, path: str, body: bytes, **headers: str) -> Any:
        """A request in hand, `async with` gives its answer. Underscores in header names stand for dashes."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"authorization": f"Bearer {CLIENT_KEY}", "content-type": "application/json"} | named
        data = io.BytesIO(body) if isinstance(body, bytes) and len(body) > 1024 * 1024 else body
        return self.session.post(f"{self.url}{path}", data=data, headers=named)

    async def ask(self, path: str, body: bytes, **headers: str) -> tuple[int, bytes, Mapping[str, str]]:
        async with self.post(path, body, **headers) as answer:
            return answer.status, await answer.read(), answer.headers


Serve = Callable[..., Awaitable[Relayed]]
