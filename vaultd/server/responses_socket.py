"""`GET /v1/responses`: the Responses API over a websocket.

Each message is relayed as a POST of its own, through the same relay and under the same rules; what the vendor's socket
would remember between two of them is remembered here. Requests of one socket are answered one after another, as the
API does for those of one lane.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web
from multidict import CIMultiDict, CIMultiDictProxy

from vaultd.errors import VaultdError
from vaultd.house import House
from vaultd.server.bodies import BODY_LIMIT
from vaultd.server.guard import SOCKET, client_key, own_origin
from vaultd.server.relay import Desk, story_of
from vaultd.server.slow import Limits
from vaultd.wire import fault
from vaultd.wire.members import Members
from vaultd.wire.openai_responses import socket as grammar
from vaultd.wire.openai_responses.socket import Create, Telling
from vaultd.wire.refusal import Refusal
from vaultd.work.ask import Ask
from vaultd.work.story import CLIENT_GONE, Story
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.server")

#: Conversations that all sockets together remember: as much as all request bodies may hold.
REMEMBERED: Final = 256 * 1024 * 1024
#: Responses that one socket can be asked to go on from: the latest, that before it (a turn that failed is asked again),
#: and a fork or two. The API promises the latest.
_PER_SOCKET: Final = 4
#: Requests waiting on one socket. Codex sends one at a time, an SDK's agents perhaps some.
_WAITING: Final = 16
#: A socket on which nothing is asked for so long is closed; OpenAI's own are after an hour whatever they do.
_IDLE: Final = 3600.0
#: The vendor's word to come back to the same machine. Codex sends it along over HTTP; a socket stays where it is.
_TURN_STATE: Final = "x-codex-turn-state"


class Memory:
    """The items of responses given out, by socket and response id; the longest unused are forgotten first."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._kept: OrderedDict[tuple[int, str], bytes] = OrderedDict()
        self._own: dict[int, list[str]] = {}
        self.held = 0

    def keep(self, socket: int, response: str, items: bytes) -> None:
        self._drop(socket, response)
        own = self._own.setdefault(socket, [])
        if len(own) >= _PER_SOCKET:
            self._drop(socket, own[0])
        own.append(response)
        self._kept[socket, response] = items
        self.held += len(items)
        while self.held > self._limit:
            self._drop(*next(iter(self._kept)))

    def find(self, socket: int, response: str) -> bytes | None:
        items = self._kept.get((socket, response))
        if items is not None:
            self._kept.move_to_end((socket, response))
        return items

    def forget(self, socket: int) -> None:
        for response in list(self._own.get(socket, ())):
            self._drop(socket, response)
        self._own.pop(socket, None)

    def _drop(self, socket: int, response: str) -> None:
        items = self._kept.pop((socket, response), None)
        if items is not None:
            self.held -= len(items)
            self._own[socket].remove(response)


class Sockets:
    """The websockets of one house."""

    def __init__(self, house: House, desk: Desk, limits: Limits) -> None:
        self.house, self.desk, self.limits = house, desk, limits
        self.memory = Memory()
        self.tasks = Tasks()
        self._open: set[_Socket] = set()
        self._drain: asyncio.Task[None] | None = None
        self._number = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        own_origin(self.house, request)
        if request.headers.get("Upgrade", "").strip().lower() != "websocket":
            raise Refusal(426, "bad-request", "this is a websocket: POST here, or upgrade the connection")
        self._number += 1
        socket = _Socket(self, request, self._number)
        if self._drain is None:
            self._drain = self.tasks.start("drain sockets", self._end())
        self._open.add(socket)
        try:
            return await socket.serve()
        finally:
            self._open.discard(socket)
            self.memory.forget(socket.number)

    @property
    def open(self) -> int:
        return len(self._open)

    async def _end(self) -> None:
        """What is in work ends by itself or by the relay's hand; whoever asks for nothing is told to go."""
        await self.house.draining.wait()
        for socket in self._open:
            socket.leave()


class _Socket:
    """One connection: a task that reads, so that a client who hangs up is heard, and one that answers."""

    def __init__(self, sockets: Sockets, request: web.Request, number: int) -> None:
        self.number = number
        self._sockets, self._house, self._desk = sockets, sockets.house, sockets.desk
        self._request = request
        # No compression: a small event costs more to deflate than to send, and 64 KiB a connection to be ready for it.
        self._ws = web.WebSocketResponse(max_msg_size=BODY_LIMIT, compress=False, decode_text=False)
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._busy = False
        self._headers = _for_a_post(request.headers)

    async def serve(self) -> web.StreamResponse:
        began = time.monotonic()
        if not self._ws.can_prepare(self._request):
            raise Refusal(400, "bad-request", "the websocket handshake is not sound (RFC 6455 §4.1)")
        await self._ws.prepare(self._request)
        self._request[SOCKET] = True
        self._house.metrics.lane("socket", "openai-responses").ended("", 101, time.monotonic() - began)
        answering = self._sockets.tasks.start("answer on a socket", self._answer())
        try:
            await self._read()
        finally:
            answering.cancel()
            await asyncio.wait([answering])
            while not self._queue.empty():
                self._desk.budget.give(len(self._queue.get_nowait()))
        await self._ws.close()
        return self._ws

    def leave(self) -> None:
        """The house is closing: at once where nothing is in work, else after it."""
        if not self._busy and self._queue.empty():
            self._close(WSCloseCode.GOING_AWAY)

    def _close(self, code: WSCloseCode) -> None:
        """By a task of its own: `close` waits for the client, and for `_read`, which ends the task that answers."""
        self._sockets.tasks.start("close a socket", self._ws.close(code=code))

    async def _read(self) -> None:
        """Until the client goes, or may not be here any more."""
        heard = time.monotonic()
        while True:
            try:
                message = await self._ws.receive(timeout=self._sockets.limits.key)
            except TimeoutError:
                if not self._busy and (time.monotonic() - heard > _IDLE or not self._admitted()):
                    return
                continue
            heard = time.monotonic()
            if message.type is not WSMsgType.TEXT and message.type is not WSMsgType.BINARY:
                return
            try:
                self._take(message.data)
            except Refusal as refusal:
                await self._say(grammar.refused(refusal))

    def _admitted(self) -> bool:
        """A key may be deleted while nothing is asked with it."""
        try:
            client_key(self._house, self._request)
        except Refusal:
            return False
        return True

    def _take(self, data: bytes) -> None:
        if self._queue.qsize() >= _WAITING:
            raise Refusal(429, "upstream", f"{_WAITING} requests wait on this connection already")
        self._desk.budget.take(len(data))
        self._queue.put_nowait(data)

    async def _answer(self) -> None:
        """One request after another."""
        while True:
            data = await self._queue.get()
            self._busy = True
            try:
                await self._counted(data)
            except ConnectionError:
                return  # the client is gone, as `_read` hears too
            except Exception:
                # A fault of ours, which `Tasks` tells: better a connection that ends than one that is silent.
                self._close(WSCloseCode.INTERNAL_ERROR)
                raise
            finally:
                self._busy = False
                self._desk.budget.give(len(data))
            if self._house.draining.is_set():
                self.leave()

    async def _counted(self, data: bytes) -> None:
        """One request as the metrics see it; a refusal becomes a message. What asks for no answer is no request."""
        metrics, began, story = self._house.metrics, time.monotonic(), story_of(self._request)
        metrics.began()
        lane, asks = b"", True
        try:
            if self._house.draining.is_set():
                raise Refusal(503, "upstream", "vaultd is stopping: ask again in a moment", retry_after=1)
            client_key(self._house, self._request)  # once more: a key may have been deleted meanwhile
            lane = _lane(data)
            create = grammar.read(data)
            asks = create is not None
            if create is not None:
                await self._serve(create, story)
        except Refusal as refusal:
            story.status = refusal.status
            metrics.refused(refusal.kind)
            await self._say(grammar.refused(refusal, lane))
        except VaultdError as error:
            story.status = 502
            await self._say(grammar.refused(Refusal(502, "upstream", str(error)), lane))
        except ConnectionError:
            raise  # in the middle of a write: the client is gone
        except Exception:
            story.status = 500  # a fault of ours, counted as `server.guard` counts one
            raise
        finally:
            if asks:
                counted = metrics.lane("relay", "openai-responses")
                counted.ended(story.provider, story.status or CLIENT_GONE, time.monotonic() - began)
            else:
                metrics.in_work -= 1

    async def _serve(self, create: Create, story: Story) -> None:
        memory = self._sockets.memory
        before = memory.find(self.number, create.previous) if create.previous else b"[]"
        if before is None:
            raise grammar.unknown(create.previous)
        items = create.items(before)
        if not create.generate:
            story.status = 200
            response = f"resp_{secrets.token_hex(24)}"
            memory.keep(self.number, response, items)
            for message in grammar.warmed_up(create, response, int(self._house.clock.now())):
                await self._say(message)
            return
        held = len(before)
        self._desk.budget.take(held)
        try:
            await self._relay(create, items, story)
        finally:
            self._desk.budget.give(held)

    async def _relay(self, create: Create, items: bytes, story: Story) -> None:
        body = create.body(items)
        if len(body) > BODY_LIMIT:
            raise Refusal(413, "too-large", f"the conversation is larger than {BODY_LIMIT // 2**20} MiB")
        headers = self._headers.copy()
        headers.update(create.headers)
        ask = Ask("openai-responses", "stream", create.model, Members(body), headers)
        client = _Client(self._ws, self._request.transport, Telling(create.lane))
        whole = await self._desk.relay.serve(ask, client, story)
        if whole is not None:
            story.status = whole.status
            await self._say(_failed(whole.status, whole.headers, whole.body, create.lane))
            return
        if client.trouble:
            raise Refusal(502, "upstream", client.trouble)
        if client.turn_state:
            self._headers[_TURN_STATE] = client.turn_state
        if client.telling.id:
            self._sockets.memory.keep(self.number, client.telling.id, grammar.joined(items, client.telling.output))

    async def _say(self, message: bytes) -> None:
        await self._ws.send_frame(message, WSMsgType.TEXT)


class _Client:
    """The client of one request, for `work.relay` to answer: frames of SSE become messages."""

    def __init__(self, ws: web.WebSocketResponse, transport: asyncio.Transport | None, telling: Telling) -> None:
        self._ws, self._transport = ws, transport
        self.telling = telling
        #: True from the first message on: a head is nothing here, and until then a refusal has its true status.
        self.opened = False
        self.turn_state = ""
        #: Why what came cannot be told in messages.
        self.trouble = ""

    async def open(self, status: int, headers: Mapping[str, str]) -> None:
        self.turn_state = headers.get(_TURN_STATE, "")
        plain = headers.get("content-type", "").startswith("text/event-stream") and "content-encoding" not in headers
        self.trouble = "" if plain else "the vendor answered with something else than a stream"

    async def write(self, data: bytes) -> None:
        if self.trouble:
            return
        messages = self.telling.feed(data)
        if not messages:
            await self._ws.ping()  # a comment: to keep the connection, not to be read
            return
        self.opened = True
        if len(messages) > 1 and self._transport is not None and not self._ws.closed:
            # What came together goes together: one system call, for a burst of events costs little else.
            self._transport.write(b"".join([grammar.framed(message) for message in messages[:-1]]))
        await self._ws.send_frame(messages[-1], WSMsgType.TEXT)

    async def end(self, last: bytes = b"") -> None:
        if last:
            await self.write(last)

    def begun(self) -> None:
        """What was asked is kept: the next request may add to it."""

    def abort(self) -> None:
        self.trouble = self.trouble or "the vendor broke off its answer"


def _failed(status: int, headers: Mapping[str, str], body: bytes, lane: bytes) -> bytes:
    """A vendor's refusal in its own words: Codex reads of its limits in them."""
    named = {name: value for name, value in headers.items() if not name.startswith("content-")}
    if "content-encoding" not in headers and status >= 400:
        try:
            said = Members(body).get("error")
        except Refusal:
            said = None
        if isinstance(said, dict):
            return grammar.error(status, said, lane, headers=named)
        refusal = fault.told(status, body)
        if refusal is not None:
            return grammar.refused(refusal, lane)
    status = status if status >= 400 else 502
    return grammar.refused(Refusal(status, "upstream", f"the vendor answered with status {status}"), lane)


def _lane(data: bytes) -> bytes:
    """Where the error for a message that is not sound belongs."""
    return grammar.lane_of(Members(data)) if b'"stream_id"' in data else b""


def _for_a_post(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The upgrade's own headers, without the beta that is about sockets: the vendor is asked with a POST."""
    kept = headers.copy()
    betas = [beta.strip() for beta in ",".join(kept.popall("openai-beta", [])).split(",")]
    if others := [beta for beta in betas if beta and not beta.startswith("responses_websockets")]:
        kept["openai-beta"] = ", ".join(others)
    return kept
