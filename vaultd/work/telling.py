"""Tells a client in its own format what a vendor says in another: event by event, whole, or put together of a stream.

The counterpart of `work.pump`, which passes bytes on. Parsed once, written once; what came in one read goes out in one
write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from vaultd.errors import TryLater
from vaultd.net.upstream import BROKEN, Answer
from vaultd.wire.folding import Fold, unfold
from vaultd.wire.ir import Answer as Told
from vaultd.wire.ir import Begin, End, Event, Fail
from vaultd.wire.loss import Loss
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage
from vaultd.work.attempt import Ready, Whole
from vaultd.work.deadline import Deadline
from vaultd.work.deliver import LONGEST_FOLD, read_within
from vaultd.work.pump import Sink
from vaultd.work.silence import Silence
from vaultd.work.translate import Translated

#: Named in an answer's head: what the request lost.
DROPPED: Final = "x-vaultd-dropped"
#: After its last event a vendor closes at once; a connection that it keeps open longer is not worth keeping.
_CLOSING: Final = 0.5


class Telling:
    """One answer on its way from `ready` to a client of another format."""

    def __init__(self, ready: Ready, errand: Translated, idle: float) -> None:
        self._ready, self._errand, self._idle = ready, errand, idle
        self._answer: Answer = ready.answer
        self.usage: Usage | None = None
        #: What the answer lost.
        self.lost = Loss()

    def headers(self, content_type: str) -> dict[str, str]:
        headers = {"content-type": content_type}
        if self._errand.lost:
            headers[DROPPED] = self._errand.lost.header()
        return headers

    async def whole(self) -> Whole:
        """Raises Refusal where the vendor fails."""
        answer = self._errand.told(await self._collected())
        self.usage = answer.usage
        return Whole(200, self.headers("application/json"), self._errand.write(answer, self.lost))

    async def count(self) -> Whole:
        return Whole(200, self.headers("application/json"), self._errand.counted(self._ready.first))

    async def prepared(self) -> Told | None:
        """What has to be whole before a stream of it can begin; None where events pass as they come. Raises Refusal."""
        if self._ready.reading is None or self._errand.whole:
            return self._errand.told(await self._collected())
        return None

    async def stream(self, told: Told | None, sink: Sink, silence: Silence) -> Refusal | None:
        """To the end, into a sink that is open. Returns why it was broken off, None where it ended whole."""
        write = self._errand.writer(self.lost)
        if told is None:
            return await self._events(write, sink, silence)
        await silence.hush()
        self.usage = told.usage
        await sink.end(write(unfold(told)))
        return None

    async def _collected(self) -> Told:
        """The vendor's whole answer."""
        ready = self._ready
        if ready.reading is None:
            if not ready.complete:
                raise Refusal(502, "upstream", f"{self._answer.host} sent an answer of endless length")
            return self._errand.read(ready.first)
        fold, size = Fold(), 0
        try:
            fold.feed(ready.events)
            while not fold.ended:
                chunk = await read_within(self._answer, self._idle)
                size += len(chunk)
                if size > LONGEST_FOLD:
                    raise TryLater(f"{self._answer.host} sent an answer of endless length")
                fold.feed(ready.reading.feed(chunk) if chunk else ready.reading.end())
        except BROKEN as error:
            raise Refusal(502, "upstream", str(self._answer.broken(error))) from None
        return fold.answer()

    async def _events(self, write: Callable[[list[Event]], bytes], sink: Sink, silence: Silence) -> Refusal | None:
        answer, reading, unwrap = self._answer, self._ready.reading, self._errand.unwrap()
        assert reading is not None
        read, send, clock = answer.read, sink.write, asyncio.get_running_loop().time
        events = self._ready.events
        if events and type(events[0]) is Begin:
            self.usage = events[0].usage  # all there is, where the client hangs up
        while True:
            if events:
                last = events[-1]
                out = write(unwrap.feed(events))
                if type(last) is End or type(last) is Fail:
                    return await self._ended(last, out, sink, silence)
                if out:
                    silence.writing = True
                    if silence.comment is not None:
                        await silence.comment
                    await send(out)
                    silence.writing = False
            try:
                chunk = await read()
            except BROKEN as error:
                events = [Fail(Refusal(502, "upstream", str(answer.broken(error))))]
                continue
            silence.heard = clock()
            events = reading.feed(chunk) if chunk else reading.end()

    async def _ended(self, last: End | Fail, out: bytes, sink: Sink, silence: Silence) -> Refusal | None:
        await silence.hush()
        await sink.end(out)
        if isinstance(last, Fail):
            return last.refusal
        self.usage = last.usage
        await self._drained()
        return None

    async def _drained(self) -> None:
        """The rest is not for anybody, but a connection read to its end can be used again."""
        try:
            with Deadline(_CLOSING):
                while not self._answer.ended and await self._answer.read():
                    pass
        except (*BROKEN, TimeoutError):
            return
