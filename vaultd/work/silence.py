"""Watches one stream for silence: a comment for a client that has heard nothing, an end for a vendor that says nothing.

One timer per stream that looks back, none per event: an event only notes the time.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from vaultd.config.model import Streaming
from vaultd.errors import TryLater
from vaultd.net.upstream import Answer
from vaultd.work.story import Broken
from vaultd.work.tasks import Tasks

#: From how many seconds of silence on it is looked at, then at twice that and so on: no network pauses so long, and a
#: look a second costs a stream that flows a thousandth of what its events do.
_FIRST_LOOK = 1.0


class Listener(Protocol):
    """The client, as far as silence is concerned."""

    async def comment(self) -> None:
        """Sends a comment frame, opening the stream if need be."""
        ...


class Waiting:
    """A request whose answer has not begun: ended by cancelling its task, which then asks what for.

    Where the answer goes out whole this is all, and until it is there the request can end with a status of its own.
    """

    __slots__ = ("_stopped", "_task")

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._stopped = ""

    def break_off(self, reason: str, _why: Broken) -> None:
        if self._task is not None:
            self._stopped = reason
            self._task.cancel()

    def cancelled_for(self) -> str:
        """The reason, where it was `break_off` that cancelled the request; from here on it is not cancelled."""
        if self._stopped and self._task is not None:
            self._task.uncancel()
        return self._stopped


class Silence(Waiting):
    """Started when a stream is asked for; `flowing` from the vendor's first event on."""

    __slots__ = (
        "_answer",
        "_keepalive",
        "_limits",
        "_listener",
        "_look_at",
        "_loop",
        "_sent",
        "_tasks",
        "_timer",
        "broke",
        "comment",
        "gap",
        "heard",
        "writing",
    )

    def __init__(self, listener: Listener, limits: Streaming, tasks: Tasks) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._listener, self._limits, self._tasks = listener, limits, tasks
        self._answer: Answer | None = None
        self._look_at = _FIRST_LOOK
        #: The longest that the vendor was silent in the stream. Looked at after 1, 2, 4 … seconds, so it is known to
        #: lie between two of these, and their middle stands for it. A shorter one than is known may go unseen.
        self.gap = _FIRST_LOOK / 2
        #: Why it was broken off from here.
        self.broke: Broken = ""
        self._keepalive = limits.keepalive_seconds
        #: When the vendor was last heard, when a comment was last sent, both on the loop's clock.
        self.heard = self._sent = self._loop.time()
        #: True while the client is being written to: then the vendor is not the slow one. A client that takes nothing
        #: is the server's to cut (`server.slow`).
        self.writing = False
        #: A comment on its way: whoever writes next waits for it.
        self.comment: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def flowing(self, answer: Answer) -> None:
        """The vendor has begun: from now on its silence counts."""
        self._answer = answer
        self.heard = self._loop.time()
        self._arm()

    def mute(self) -> None:
        """No comments: nobody may write into a compressed stream or a JSON array."""
        self._keepalive = 0
        self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def hush(self) -> None:
        """No comment after the end, and none in the middle of it."""
        self.stop()
        if self.comment is not None:
            await self.comment

    @property
    def seconds(self) -> float:
        """For how long the vendor has said nothing."""
        return self._loop.time() - self.heard

    def break_off(self, reason: str, why: Broken) -> None:
        """Ends the vendor's part: what waits for it hears `reason`; before its first event that is the whole task."""
        self.broke = why
        if self._answer is not None:
            self._answer.break_off(TryLater(reason))
        else:
            super().break_off(reason, why)

    def _arm(self) -> None:
        """A timer that comes too early looks and arms anew; that is cheaper than to move it for every stream."""
        due = [self.heard + self._look_at]
        if self._answer is not None:
            due.append(self.heard + self._limits.idle_seconds)
        if self._keepalive:
            due.append(max(self.heard, self._sent) + self._keepalive)
        if self._timer is not None and self._timer.when() <= min(due):
            return
        self.stop()
        self._timer = self._loop.call_at(min(due), self._look)

    def _measure(self, silent: float) -> None:
        self._look_at = _FIRST_LOOK
        while self._look_at <= silent:
            if self._answer is not None:
                self.gap = max(self.gap, self._look_at * 1.5)
            self._look_at *= 2

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self.writing:
            self.heard = now
        elif self._answer is not None and now >= self.heard + self._limits.idle_seconds:
            self.break_off(f"{self._answer.host} fell silent in the middle of its answer", "silent")
            return
        self._measure(now - self.heard)
        if self._keepalive and now - max(self.heard, self._sent) >= self._keepalive:
            self._sent = now
            if self.comment is None or self.comment.done():
                self.comment = self._tasks.start("keep-alive", self._listener.comment())
        self._arm()
