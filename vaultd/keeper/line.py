"""One keeper process, and the socket to it: orders go out, answers come back in any order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from vaultd.errors import ProtocolError, TryLater, VaultdError, revived
from vaultd.keeper.messages import Ask, Done, Failed, FromFar, Hello, Ping, Pong, Ready, framed, from_far, read
from vaultd.work.renewal import Order, Renewal
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.keeper")

#: A start takes half a second; a machine that boots everything at once is forty times as slow.
_START_SECONDS: Final = 20.0
#: A renewal waits at most for its lease twice (60 s each), discovery, the token endpoint and two hooks (30 s each). A
#: keeper that takes longer hangs.
_ORDER_SECONDS: Final = 300.0
#: While an order is under way a keeper is asked so often whether it lives. Its loop waits for no disk and no vendor, so
#: one that has not said a word after as long again hangs. It is told of and not ended: it may hold a token.
LIFE_SECONDS: Final = 10.0
#: How often a process whose socket ended is asked for its exit status, so that it does not stay a zombie.
_REAP_SECONDS: Final = 0.05

Outcome = Renewal | VaultdError


class Process(Protocol):
    """What of a `subprocess.Popen` is needed of a keeper's."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...


@dataclass(eq=False)
class Line:
    """`taken` makes known here what the keeper did, before whoever ordered it hears."""

    process: Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    #: The root key it was given, by its id.
    root: str
    taken: Callable[[str, Done | Failed], Outcome]
    life: float = LIFE_SECONDS
    open: bool = True
    #: True while it does not answer at all.
    hangs: bool = False
    #: Since when (the loop's time) a ping is unanswered; 0 where none is.
    _unheard: float = 0.0
    _flights: dict[int, tuple[str, asyncio.Future[Outcome]]] = field(default_factory=dict)
    _last: int = 0
    _tasks: Tasks = field(default_factory=Tasks)
    _silent: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._reaping = self._tasks.start("reap the keeper", self._reap())

    async def greet(self, hello: Hello) -> None:
        """Until it is ready. Raises what it raised, or TryLater where it ended without a word."""
        try:
            await self._greet(hello)
        except BaseException:
            self._over()
            raise
        self._tasks.start("hear the keeper", self._hear())

    async def _greet(self, hello: Hello) -> None:
        self.writer.write(framed(hello))
        try:
            async with asyncio.timeout(_START_SECONDS):
                body = await read(self.reader)
        except TimeoutError:
            self.process.kill()
            raise TryLater(f"it was not ready within {_START_SECONDS:.0f} s: is the machine overloaded?") from None
        if body is None:
            raise TryLater("it ended at once: run `vaultd doctor`, and see what its log says")
        ready = from_far.decode(body)
        if isinstance(ready, Failed):
            raise revived(ready.error)
        assert isinstance(ready, Ready)

    async def ask(self, order: Order, proxy: str) -> Outcome:
        """What became of it. Cancelling this cancels nothing in there, and what it did is taken all the same."""
        if not self.open:
            return _broken(order.id)
        self._last += 1
        outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._flights[self._last] = order.id, outcome
        self.writer.write(framed(Ask(n=self._last, order=_slim(order), proxy=proxy)))
        try:
            async with asyncio.timeout(_ORDER_SECONDS):
                while not (await asyncio.wait([outcome], timeout=self.life))[0]:
                    self._ping()
                return outcome.result()
        except TimeoutError:
            _log.error("the keeper said nothing for too long and is ended", extra={"seconds": round(_ORDER_SECONDS)})
            self.process.kill()  # what is under way stands as intents, and the next keeper settles them
            return _broken(order.id)

    def _ping(self) -> None:
        now = asyncio.get_running_loop().time()
        self._unheard = self._unheard or now
        if not self.hangs and now - self._unheard >= self.life:
            self.hangs = True
            _log.error("the keeper does not answer", extra={"seconds": round(2 * self.life)})
        if self.open:
            self.writer.write(framed(Ping()))

    def hang_up(self) -> None:
        """Nothing more is ordered; what is under way is still answered."""
        self.open = False
        if self.writer.can_write_eof() and not self.writer.is_closing():
            self.writer.write_eof()

    async def ended(self, seconds: float | None = None) -> None:
        """Waits for the process, no longer than this; then it goes on alone."""
        await asyncio.wait([self._reaping], timeout=seconds)
        self._over()
        await self._tasks.close()

    async def _hear(self) -> None:
        try:
            while (body := await read(self.reader)) is not None:
                self._heard(from_far.decode(body))
        except (ProtocolError, msgspec.MsgspecError) as error:
            _log.error("the keeper is not understood", extra={"error": type(error).__name__})
        finally:
            self._over()

    def _over(self) -> None:
        self.open = False
        self.writer.close()
        self._silent.set()
        for id_, outcome in self._flights.values():
            if not outcome.done():
                outcome.set_result(_broken(id_))
        self._flights.clear()

    def _heard(self, message: FromFar) -> None:
        self._unheard, self.hangs = 0.0, False
        if isinstance(message, Ready | Pong) or message.n not in self._flights:
            return  # who ordered it was told that it hangs
        id_, outcome = self._flights.pop(message.n)
        try:
            result = self.taken(id_, message)
        except VaultdError as error:
            result = error
        if not outcome.done():
            outcome.set_result(result)

    async def _reap(self) -> None:
        await self._silent.wait()
        while self.process.poll() is None:  # noqa: ASYNC110 - SIGCHLD would tell, and belongs to whoever runs the loop
            await asyncio.sleep(_REAP_SECONDS)


def _slim(order: Order) -> Order:
    """A renewal needs nothing of what is for inference, or for people."""
    slim = msgspec.structs.replace(order.provider, models=[], notes="")
    return msgspec.structs.replace(order, provider=slim)


def _broken(id_: str) -> TryLater:
    """`after` 0: within a vendor's grace the spent token still works, so the next try must not wait (SEC-45)."""
    reason = f"{id_}: the keeper was ended while it renewed; it is tried again at once"
    return TryLater(reason, after=0.0, outcome_unknown=True, own=True)
