"""The keeper: a process that does nothing but renew, so that nothing a client sends can end it in mid-renewal.

It does what it is told by one daemon (`near`), reads the one file it is asked about, and forgets it. When the daemon is
gone, by whatever death, it ends what is under way, saves what is unsaved, and goes. Signals do not end it sooner: those
that a terminal or a service manager sends to the daemon reach it too, and the daemon's end is what it goes by.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from functools import partial
from pathlib import Path
from typing import Final

from joserfc.jwk import OctKey

from vaultd import __version__
from vaultd.effects import Reply, Send
from vaultd.errors import Misconfigured, TryLater, VaultdError, told
from vaultd.keeper.messages import Ask, Done, Failed, FromFar, Hello, Ping, Pong, Ready, framed, from_near, read
from vaultd.net import logs
from vaultd.net.client import Client
from vaultd.net.clock import SystemClock
from vaultd.vault import rootkey
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner
from vaultd.vault.rootkey import RootKey
from vaultd.work.renewal import renew
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.keeper")


#: After that a sealed copy lies in the emergency folder, if anything could be written anywhere, and the next start of a
#: daemon takes it up. Without one it is the only hope of a login.
_SAVING_SECONDS: Final = 600.0
#: The owner tries once a second.
_LOOK_SECONDS: Final = 0.5


def keep(fd: int) -> None:
    # systemd sends all of a service's processes what is meant for one: SIGTERM at a stop, SIGABRT for its watchdog.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT):
        signal.signal(number, signal.SIG_IGN)
    logs.set_up(logs.Gathered(), debug=False)
    # While the daemon lives it tells of every renewal; here only what it cannot know is said.
    logging.getLogger("vaultd").setLevel(logging.WARNING)
    logging.getLogger("vaultd.vault").setLevel(logging.INFO)  # a commit is told by whoever commits
    asyncio.run(_keep(socket.socket(fileno=fd)))


async def _keep(end: socket.socket) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=end)
    body = await read(reader)
    if body is None:
        return
    hello = from_near.decode(body)
    assert isinstance(hello, Hello)
    try:
        far = Far(hello, writer)
    except VaultdError as error:
        writer.write(framed(Failed(n=0, error=told(error))))
    else:
        await far.serve(reader)
    writer.close()


class Far:
    """One daemon's keeper, from hello to the end. Raises what a vault raises that cannot be opened."""

    def __init__(self, hello: Hello, writer: asyncio.StreamWriter) -> None:
        if hello.version != __version__:
            raise Misconfigured(
                f"vaultd was replaced while it ran ({hello.version} by {__version__}): restart it",
                code="config-restart",
            )
        keyring = Keyring.open_or_create(Path(hello.folder), _root(hello))
        self._keyring = keyring
        state_dir, emergency = Path(hello.state_dir), [Path(place) for place in hello.emergency]
        self._owner = Owner(keyring.credentials, keyring, state_dir=state_dir, emergency=emergency)
        self._client = Client()
        self._clock = SystemClock()
        self._writer = writer
        self._tasks = Tasks()

    async def serve(self, reader: asyncio.StreamReader) -> None:
        orders: set[asyncio.Task[None]] = set()
        await self._say(Ready())
        self._tasks.start("save", self._owner.keep_saving(self._clock))
        while (body := await read(reader)) is not None:
            ask = from_near.decode(body)
            if isinstance(ask, Ping):
                await self._say(Pong())
                continue
            assert isinstance(ask, Ask)
            order = self._tasks.start(f"order {ask.n}", self._do(ask))
            orders.add(order)
            order.add_done_callback(orders.discard)
        await asyncio.gather(*orders, return_exceptions=True)
        await self._saved()
        await self._tasks.close()
        await self._client.close()

    async def _do(self, ask: Ask) -> None:
        answer: FromFar
        try:
            answer = await self._renewed(ask)
        except VaultdError as error:
            answer = Failed(n=ask.n, error=told(error))
        except Exception as error:  # noqa: BLE001 - one order's failure is not the others'; its message may quote a secret
            _log.exception("renewal failed", extra={"credential": ask.order.id})
            unknown = TryLater(f"the keeper failed ({type(error).__name__}); look at its log", outcome_unknown=True)
            answer = Failed(n=ask.n, error=told(unknown))
        if not await self._say(answer):
            self._tell(ask, answer)

    async def _renewed(self, ask: Ask) -> Done:
        order = ask.order
        try:
            renewal = await renew(self._owner, order, send=partial(self._send, ask.proxy), clock=self._clock)
        finally:
            self._owner.forget(order.id)
        credential = renewal.credential
        return Done(
            n=ask.n,
            plain=credential.to_plain(),
            generation=credential.generation,
            asked_at=renewal.asked_at,
            skew=renewal.skew,
            unsaved=self._owner.troubles().get(order.id, "") if order.id in self._owner.unsaved() else "",
        )

    async def _saved(self) -> None:
        """Until all is, or for as long as that may take a person who is called to a full disk."""
        for id_, reason in self._owner.troubles().items():
            told = {"credential": id_, "reason": reason}
            _log.warning("the daemon has ended, and this is still to be saved", extra=told)
        deadline = self._clock.boot() + _SAVING_SECONDS
        while self._owner.unsaved() and self._clock.boot() < deadline:
            await self._clock.sleep(_LOOK_SECONDS)

    async def _send(self, configured: str, effect: Send, *, proxy: str | None = None) -> Reply:
        return await self._client.send(effect, proxy=configured if proxy is None else proxy)

    async def _say(self, message: FromFar) -> bool:
        """Whether there is still somebody to say it to."""
        self._writer.write(framed(message))
        try:
            await self._writer.drain()
        except ConnectionError:
            return False
        return True

    def _tell(self, ask: Ask, answer: FromFar) -> None:
        """Nobody is left who would say how it ended."""
        about = {"credential": ask.order.id, "provider": ask.order.provider.id}
        if isinstance(answer, Done):
            _log.warning("renewed after the daemon had ended", extra={**about, "generation": answer.generation})
        elif isinstance(answer, Failed):
            _log.warning("renewal failed", extra={**about, "reason": answer.error["message"]})


def _root(hello: Hello) -> RootKey:
    file = Path(hello.key_file) if hello.key_file else None
    again = partial(rootkey.read_key_file, file) if file else None
    return RootKey(OctKey.import_key(hello.root), hello.source, file=file, again=again)
