"""One question to one model, answered as it comes: for a person who wants to see it work.

It goes the way of every client's request, through the relay, so what is seen here is what a client would get; it is
counted, and shown among the requests under way, as that of the client `panel`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta

from vaultd.errors import VaultdError
from vaultd.server.management.events import HEADERS
from vaultd.server.management.route import Call, Route
from vaultd.wire.members import Members
from vaultd.wire.openai_chat.chunk import Chunk, decoded
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import Frames, TooLong, data_of, frames_of
from vaultd.work.ask import Ask
from vaultd.work.relay import Relay
from vaultd.work.story import Story

#: Who asks, where usage and log name a client key.
_CLIENT: Final = "panel"
#: A question typed by hand, or a page of text pasted into it.
_PROMPT: Final = 32_000
#: The longest answers that models give.
_ANSWER: Final = 128_000

_encode: Final = msgspec.json.Encoder().encode


class Question(msgspec.Struct):
    """Without `max_tokens` the model's own limit holds."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    prompt: Annotated[str, Meta(min_length=1, max_length=_PROMPT)]
    max_tokens: Annotated[int, Meta(ge=1, le=_ANSWER)] | None = None


async def ask(call: Call) -> web.StreamResponse:
    question: Question = call.body
    said: dict[str, Any] = {"role": "user", "content": question.prompt}
    asked: dict[str, Any] = {"model": question.model, "messages": [said], "stream": True}
    asked["stream_options"] = {"include_usage": True}
    if question.max_tokens is not None:
        asked["max_tokens"] = question.max_tokens
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(call.request)
    story = Story(client=_CLIENT, endpoint="POST /v0/management/try")
    listener = _Listener(response, story)
    relay = Relay(call.house)
    try:
        whole = await relay.serve(
            Ask("openai-chat", "stream", question.model, Members(_encode(asked)), {}), listener, story
        )
        if whole is not None:
            await listener.refused(whole.body)
    except VaultdError as error:
        story.status = error.status if isinstance(error, Refusal) else 502
        await listener.tell("error", {"message": str(error)})
    finally:
        await relay.close()
    await listener.tell("done", _done(story))
    return response


def _done(story: Story) -> dict[str, Any]:
    usage = story.usage._asdict() if story.usage is not None else None
    first = round(story.first - story.began, 3) if story.first else None
    return {"status": story.status, "usage": usage, "seconds": round(story.ended - story.began, 3), "first": first}


class _Listener:
    """The relay's client: hears a chat stream, tells the page what it says."""

    def __init__(self, response: web.StreamResponse, story: Story) -> None:
        self._response, self._story = response, story
        self._frames = Frames()
        self._served = False
        #: Why what comes cannot be read.
        self._trouble = ""
        self.opened = False

    async def open(self, status: int, headers: Mapping[str, str]) -> None:
        self.opened = True
        if not headers.get("content-type", "").startswith("text/event-stream") or "content-encoding" in headers:
            self._trouble = f"the vendor answered with status {status} and something else than a stream of text"

    @property
    def write(self) -> Callable[[bytes], Awaitable[None]]:
        return self._heard

    async def end(self, last: bytes = b"") -> None:
        await self._heard(last)
        await self._heard(b"\n\n" if not self._trouble else b"")
        if self._trouble:
            await self.tell("error", {"message": self._trouble})

    def begun(self) -> None:
        """The question is small, and nobody counts it."""

    def abort(self) -> None:
        self._trouble = self._trouble or "the vendor broke off its answer"

    async def refused(self, body: bytes) -> None:
        """A vendor's refusal in its own words, which by now have the shape of chat's."""
        try:
            said = decoded(body).error
        except Refusal:
            said = None
        message = said.get("message") if isinstance(said, dict) else None
        words = message if isinstance(message, str) else f"the vendor answered with status {self._story.status}"
        await self.tell("error", {"message": words})

    async def tell(self, event: str, data: Any) -> None:
        await self._response.write(_event(event, data))

    async def _heard(self, data: bytes) -> None:
        if self._trouble:
            return
        try:
            out = b"".join(self._events(self._frames.feed(data)))
        except (TooLong, Refusal) as error:
            self._trouble = str(error) or "the vendor sent an event of endless length"
            return
        await self._response.write(out or b":\n\n")  # a comment, so that a page that left is noticed

    def _events(self, whole: bytes) -> Iterator[bytes]:
        for frame in frames_of(whole):
            data = data_of(frame)
            if not data or data == b"[DONE]":
                continue
            if not self._served:
                self._served = True
                story = self._story
                who = {"provider": story.provider, "credential": story.credential, "model": story.model}
                yield _event("served", who)
            yield from _said(decoded(data))


def _said(chunk: Chunk) -> Iterator[bytes]:
    if isinstance(chunk.error, dict):
        yield _event("error", {"message": str(chunk.error.get("message", ""))})
    for choice in chunk.choices or ():
        delta = choice.delta
        if delta is None:
            continue
        for event, text in (("reasoning", delta.reasoning_content or delta.reasoning), ("text", delta.content)):
            if isinstance(text, str) and text:
                yield _event(event, {"text": text})


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(data))


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "/try",
        ask,
        "Asks one model one question; the answer comes as server-sent events: served, reasoning, text, error, done.",
        "models",
        body=Question,
        answers=bytes,
        gives="text/event-stream",
    ),
)
