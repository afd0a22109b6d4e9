"""Passes one stream on, frame by whole frame, and listens on the way: did it end as its grammar says, what did it cost.

The loop runs once per event; what can be done once per stream is done outside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from vaultd.catalog.hooks.shape import Change
from vaultd.errors import ProtocolError, VaultdError
from vaultd.net.upstream import BROKEN, Answer
from vaultd.wire.formats import Face
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import Frames, TooLong, data_of, frame_start, frames_of, rewrite
from vaultd.wire.usage import Usage
from vaultd.work.silence import Silence


class Sink(Protocol):
    """Where the bytes go: a stream to the client, already open."""

    @property
    def write(self) -> Callable[[bytes], Awaitable[None]]: ...
    async def end(self, last: bytes = b"") -> None: ...


class Pump:
    """One SSE answer on its way from `answer` to `sink`."""

    def __init__(self, face: Face, answer: Answer, changes: Sequence[Change], silence: Silence) -> None:
        self._face, self._answer, self._silence = face, answer, silence
        self._change = _composed(changes) if changes else None
        self._mark = face.USAGE_MARK
        self._frames = Frames()
        #: The three last pieces sent: an end marker may stand before a usage frame.
        self._tail: tuple[bytes, bytes, bytes] = (b"", b"", b"")
        self._head = self._usage = b""

    async def run(self, first: bytes, sink: Sink) -> Refusal | None:
        """To the end. Returns why it was broken off, None where it ended whole."""
        answer, silence = self._answer, self._silence
        read, write, clock = answer.read, sink.write, asyncio.get_running_loop().time
        chunk, whole = first, b""
        try:
            while chunk:
                silence.heard = clock()
                whole = self._take(chunk)
                if answer.ended:
                    break
                if whole:
                    silence.writing = True
                    if silence.comment is not None:
                        await silence.comment
                    await write(whole)
                    silence.writing = False
                    whole = b""
                chunk = await read()
        except BROKEN as error:
            if silence.writing:
                raise  # it is the client who is gone
            return await self._broken(answer.broken(error), sink)
        except TooLong:
            return await self._broken(ProtocolError(f"{answer.host} sent an event of endless length"), sink)
        return await self._ended(whole, sink)

    async def _ended(self, whole: bytes, sink: Sink) -> Refusal | None:
        """The vendor is done. An end that its grammar does not know is a cut, and never passed on as an end."""
        rest = self._frames.rest()
        if not any(piece.rfind(end) >= 0 for end in self._face.ENDINGS for piece in (*reversed(self._tail), rest)):
            return await self._broken(ProtocolError(f"{self._answer.host} ended its answer in the middle"), sink, whole)
        await self._silence.hush()
        await sink.end(whole + rest)
        return None

    async def _broken(self, error: VaultdError, sink: Sink, whole: bytes = b"") -> Refusal:
        """What is half sent is left out: the client gets whole frames, then the reason."""
        refusal = error if isinstance(error, Refusal) else Refusal(502, "upstream", str(error))
        await self._silence.hush()
        await sink.end(whole + self._face.error_event(refusal, b"".join(self._tail)))
        return refusal

    def _take(self, chunk: bytes) -> bytes:
        whole = self._frames.feed(chunk)
        if whole:
            self._tail = (self._tail[1], self._tail[2], whole)
            self._head = self._head or whole
            if whole.rfind(self._mark) >= 0:  # from the end, where it mostly stands
                self._usage = whole
            if self._change is not None:
                whole = self._change(whole)
        return whole

    def usage(self) -> Usage | None:
        """The tokens the stream stated, None where it stated none."""
        if not self._usage:
            return None
        begun = self._face.USAGE_BEGUN
        first = _frame_with(self._head, self._head.find(begun)) if begun else b""
        return usage_of(self._face, _frame_with(self._usage, self._usage.rfind(self._mark)), first)


def usage_of(face: Face, data: bytes, first: bytes = b"") -> Usage | None:
    """A vendor's usage may be anything; what is not as documented is not counted."""
    try:
        return face.usage(data, first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _frame_with(whole: bytes, at: int) -> bytes:
    """The data of the frame that `at` is in; b"" where that is nowhere."""
    return data_of(next(frames_of(whole[frame_start(whole, at) :]))) if at >= 0 else b""


def _composed(changes: Sequence[Change]) -> Callable[[bytes], bytes]:
    """One function over whole frames; frames without a change's mark are not even split."""

    def apply(whole: bytes) -> bytes:
        for change in changes:
            whole = change.frames(whole) if change.frames else rewrite(whole, change.data, change.mark)
        return whole

    return apply
