"""Codex's own backend as it sees it under `/backend-api/codex`, and `/v1/responses/compact`: passed on unread, but that
where no vendor has the latter its answer is made here (`work.compact_call`).

What else ChatGPT has below `/backend-api` (accounts, plugins) is a person's and not the pool's, and is not served.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from aiohttp import web

from vaultd.house import House
from vaultd.net.upstream import BROKEN
from vaultd.server import bodies
from vaultd.server.guard import PROVIDER
from vaultd.server.relay import Desk
from vaultd.wire.formats import FORMATS
from vaultd.wire.members import Members
from vaultd.wire.refusal import Refusal
from vaultd.work import passing
from vaultd.work.ask import Ask
from vaultd.work.compact_call import CompactCall
from vaultd.work.deadline import Deadline
from vaultd.work.headers import towards_client
from vaultd.work.passing import Errand, Passed

#: Steps of names; none of dots alone, and nothing that a second reader would decode into something else.
_PATH: Final = re.compile(r"(?:/(?!\.+(?:/|$))[A-Za-z0-9_.:-]{1,128}){1,8}")
_WORD: Final = re.compile(r"[A-Za-z0-9_.~-]{1,128}")


class Backend:
    """The routes of one house."""

    def __init__(self, house: House, desk: Desk) -> None:
        self._house, self._desk = house, desk

    async def compact(self, request: web.Request) -> web.StreamResponse:
        body = await bodies.read(request, self._desk.budget)
        try:
            members = Members(body)
            passed = await passing.compact(self._house, members, request.headers)
            if passed is not None:
                return await self._sent(request, passed)
            return await self._made(request, members)
        finally:
            self._desk.budget.give(len(body))

    async def _made(self, request: web.Request, members: Members) -> web.StreamResponse:
        call = CompactCall(members)
        ask = Ask("openai-responses", "generate", members.get("model"), call.asked, request.headers)
        return await self._desk.whole(request, ask, call.told)

    async def models(self, _request: web.Request) -> web.Response:
        listed = FORMATS["openai-responses"].model_list([])
        return web.Response(body=msgspec.json.encode(listed), content_type="application/json")

    async def other(self, request: web.Request) -> web.StreamResponse:
        path = f"/{request.match_info['path']}"
        if not _PATH.fullmatch(path):
            raise Refusal(404, "bad-request", f"no such route: {request.path[:200]!r}")
        body = await bodies.read(request, self._desk.budget)
        try:
            errand = Errand(request.method, path, _query(self._house, request), request.headers, body)
            return await self._sent(request, await passing.pass_on(self._house, errand))
        finally:
            self._desk.budget.give(len(body))

    async def _sent(self, request: web.Request, passed: Passed) -> web.StreamResponse:
        answer, request[PROVIDER] = passed.answer, passed.provider
        headers = towards_client(answer.headers.items(), passed.wait)
        response = web.StreamResponse(status=answer.status, headers=headers)
        try:
            await response.prepare(request)
            while chunk := await self._read(passed):
                await response.write(chunk)
            await response.write_eof()
            return response
        except (*BROKEN, TimeoutError):
            # The head is out, and these bytes have no grammar known here in which to say what is wrong.
            if request.transport is not None:
                request.transport.abort()
            return response
        finally:
            passed.close()

    async def _read(self, passed: Passed) -> bytes:
        with Deadline(self._house.config.streaming.idle_seconds):
            return await passed.answer.read()


def _query(house: House, request: web.Request) -> str:
    """What of the query is plain words; a client key in it stays here, whatever it is called."""
    return "&".join(
        f"{name}={value}"
        for name, value in request.query.items()
        if name != "key" and _WORD.fullmatch(name) and _WORD.fullmatch(value) and house.clients.identify(value) is None
    )
