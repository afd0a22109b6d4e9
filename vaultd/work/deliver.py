"""Gives a vendor's good answer to the client: whole, as a stream, or folded from one. From here on nobody else is tried
but where the fold fails, for then the client has still heard nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from vaultd.catalog.hooks.shape import Change
from vaultd.errors import TryLater
from vaultd.net.upstream import BROKEN, Answer
from vaultd.wire.formats import Face
from vaultd.wire.openai_responses.fold import Fold
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import FRAME_LIMIT, Frames, TooLong
from vaultd.wire.usage import Usage
from vaultd.work.attempt import Ready, Whole, is_stream
from vaultd.work.deadline import Deadline
from vaultd.work.headers import towards_client
from vaultd.work.pump import Pump, Sink, usage_of
from vaultd.work.silence import Silence
from vaultd.work.story import Story

#: What a stream that is put together may hold. A token comes in an event of some 250 bytes, and the longest answers
#: have 128,000 of them and (Responses) are repeated at their end.
LONGEST_FOLD: Final = 2 * FRAME_LIMIT

_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Client(Sink, Protocol):
    """Who asked, as far as answering goes."""

    @property
    def opened(self) -> bool:
        """True once a head has gone out: the status is said, and only the stream's own grammar is left."""
        ...

    async def open(self, status: int, headers: Mapping[str, str]) -> None: ...

    def begun(self) -> None:
        """The answer has begun: the request itself is needed no more."""
        ...

    def abort(self) -> None:
        """Cuts the connection: an answer that has no way to say that it is broken must not look whole."""
        ...


def whole(ready: Ready, face: Face) -> tuple[Whole, Usage | None]:
    """An answer that is all there, as it is to be sent."""
    answer, body = ready.answer, ready.first
    headers = towards_client(answer.headers.items())
    if "content-encoding" in headers:
        return Whole(answer.status, headers, body), None
    usage = usage_of(face, body) if face.USAGE_MARK in body else None
    for change in ready.errand.changes:
        if change.mark in body:
            body = change.data(body) or b""
    return Whole(answer.status, headers, body), usage


async def folded(ready: Ready, idle: float) -> bytes:
    """The whole answer out of a stream. Raises Refusal where the vendor fails in it or is silent for `idle`."""
    frames, fold, chunk, size = Frames(), Fold(), ready.first, 0
    try:
        while chunk:
            size += len(chunk)
            if size > LONGEST_FOLD:
                raise TooLong
            if (answer := fold.feed(frames.feed(chunk))) is not None:
                return answer
            chunk = await read_within(ready.answer, idle)
    except BROKEN as error:
        raise Refusal(502, "upstream", str(ready.answer.broken(error))) from None
    except TooLong:
        raise Refusal(502, "upstream", f"{ready.answer.host} sent an answer of endless length") from None
    raise Refusal(502, "upstream", f"{ready.answer.host} ended its answer in the middle")


async def streamed(
    ready: Ready, face: Face, client: Client, silence: Silence | None, idle: float, story: Story
) -> Refusal | None:
    """To the client as it comes. Returns why it was broken off. The tokens that were stated are told to `story`, also
    where the client hangs up: some vendors state those of the question before they answer it."""
    answer = ready.answer
    headers = towards_client(answer.headers.items())
    plain = is_stream(answer) and "content-encoding" not in headers
    if silence is not None and not plain:
        silence.mute()
    if silence is not None and silence.comment is not None:
        await silence.comment
    if not client.opened:
        await client.open(answer.status, headers)
    elif not plain:
        raise Refusal(502, "upstream", f"{answer.host} answered with something else than the stream already begun")
    if silence is not None:
        silence.flowing(answer)
    if plain and silence is not None:
        pump = Pump(face, answer, ready.errand.changes, silence)
        try:
            return await pump.run(ready.first, client)
        finally:
            story.usage = pump.usage()
    if silence is not None:
        silence.stop()  # `read_within` has a limit of its own
    changes = () if "content-encoding" in headers else ready.errand.changes
    return await _passed(answer, ready.first, client, changes, idle)


async def _passed(
    answer: Answer, chunk: bytes, client: Client, changes: Sequence[Change], idle: float
) -> Refusal | None:
    """Bytes of which nothing is known: a large whole answer, a JSON array, something compressed.

    What a hook changes has to be whole first: the envelope is around each element of a Gemini array.
    """
    try:
        if changes:
            chunk = _changed(await _gathered(answer, chunk, idle), changes)
        while chunk:
            await client.write(chunk)
            chunk = await read_within(answer, idle)
    except BROKEN as error:
        client.abort()
        return Refusal(502, "upstream", str(answer.broken(error)))
    await client.end()
    return None


async def read_within(answer: Answer, idle: float) -> bytes:
    """The next bytes, where no `Silence` watches the vendor."""
    try:
        with Deadline(idle):
            return await answer.read()
    except TimeoutError:
        raise TryLater(f"{answer.host} fell silent in the middle of its answer") from None


async def _gathered(answer: Answer, first: bytes, idle: float) -> bytes:
    pieces, size = [first], len(first)
    while piece := await read_within(answer, idle):
        pieces.append(piece)
        size += len(piece)
        if size > FRAME_LIMIT:
            raise TryLater(f"{answer.host} sent an answer of endless length")
    return b"".join(pieces)


def _changed(body: bytes, changes: Sequence[Change]) -> bytes:
    """Each element of an array changed, or the one object that came instead."""
    try:
        parts = [bytes(part) for part in _array.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parts = []
    for change in changes:
        if not parts:
            body = change.data(body) or b"" if change.mark in body else body
        parts = [new for part in parts if (new := change.data(part) if change.mark in part else part) is not None]
    return b"[" + b",\n".join(parts) + b"]" if parts else body
