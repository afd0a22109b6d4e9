"""The daemon's side of its keeper: starts the process when something is first to be renewed, and orders.

`Keeper` is a `work.renewal.Renew`. What comes back is on disk already, and is read from there; what could not be saved
comes over the socket, and the daemon's own owner holds it and tries to save it too. Where no keeper can be started
nothing is renewed: a renewal that dies with the daemon is what this is for.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Final

from vaultd import __version__
from vaultd.config.places import Places
from vaultd.errors import Misconfigured, TryLater, VaultdError, revived
from vaultd.keeper.line import LIFE_SECONDS, Line, Process
from vaultd.keeper.messages import Done, Failed, Hello
from vaultd.vault.credential import Credential
from vaultd.vault.keyring import Keyring
from vaultd.vault.owner import Owner
from vaultd.vault.rootkey import RootKey
from vaultd.work.renewal import Order, Renewal
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.keeper")

#: Renewals of one vendor at a time; the others wait here. A connection under TLS costs a quarter of a megabyte, all
#: vendors together are to fit in 64 MB, a renewal takes a second, and the daemon's loop orders one a second.
_AT_ONCE: Final = 4
#: Between two starts that fail, however many credentials are due.
_START_AGAIN: Final = 5.0
#: From the end of the socket to the end of a process that has nothing to do. One that has goes on without us.
_END_SECONDS: Final = 5.0
#: What OpenSSL and Python read. Nothing of ours: the root key may stand in the daemon's environment.
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


class Keeper:
    """Renews in another process. `proxy` is asked with each order; `quiet`: nobody reads its log (a command)."""

    def __init__(
        self, owner: Owner, keyring: Keyring, places: Places, proxy: Callable[[], str], *, quiet: bool
    ) -> None:
        self._owner = owner
        self._keyring = keyring
        self._places = places
        self._proxy = proxy
        #: Its end of the socket → the process that has it. Called in a worker thread.
        self.spawn: Callable[[socket.socket], Process] = partial(_spawn, quiet=quiet)
        self._line: Line | None = None
        self._gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))
        self._leaving: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()
        self._not_before = 0.0
        self._tasks = Tasks()
        #: How long it may be silent while it renews, in seconds.
        self.patience = LIFE_SECONDS
        self._failed = ""

    @property
    def trouble(self) -> str:
        """Why nothing can be renewed; empty where it can."""
        if self._failed or self._line is None or not self._line.hangs:
            return self._failed
        return "nothing is renewed, for its keeper hangs: it was asked to renew and does not answer"

    @property
    def pid(self) -> int | None:
        """None where none runs: it starts with the first renewal."""
        return self._line.process.pid if self._line is not None and self._line.open else None

    async def __call__(self, order: Order) -> Renewal:
        async with self._gates[order.provider.id]:
            await self._owner.share(order.id)
            line = await self._open()
            outcome = await line.ask(order, self._proxy())
        if isinstance(outcome, VaultdError):
            raise outcome
        return outcome

    async def close(self) -> None:
        """Whatever is under way goes on, in there, until it is saved."""
        if self._line is not None:
            self._let_go(self._line)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=_END_SECONDS)
        await self._tasks.close()

    async def _open(self) -> Line:
        """The line to a keeper that lives and knows the root key of today."""
        async with self._starting:
            root = await asyncio.to_thread(self._root)
            line = self._line
            if line is not None and line.open and line.root == root.key.kid:
                return line
            if line is not None:
                self._let_go(line)
            loop = asyncio.get_running_loop()
            if self._failed and loop.time() < self._not_before:
                raise TryLater(self._failed, after=self._not_before - loop.time(), own=True)
            try:
                self._line = await self._start(root)
            except (OSError, VaultdError) as error:
                self._not_before = loop.time() + _START_AGAIN
                self._failed = f"nothing is renewed, for its keeper cannot be started: {_why(error)}"
                _log.error(self._failed)
                raise TryLater(self._failed, after=_START_AGAIN, own=True) from None
            self._failed = ""
            return self._line

    def _let_go(self, line: Line) -> None:
        self._line = None
        line.hang_up()
        leaving = self._tasks.start("let a keeper end", line.ended())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _root(self) -> RootKey:
        """In a worker thread: takes up what a `vault rekey` did meanwhile."""
        with self._keyring.steady():
            return self._keyring.root

    async def _start(self, root: RootKey) -> Line:
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.to_thread(self.spawn, theirs)
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        line = Line(process, reader, writer, str(root.key.kid), self._take, self.patience)
        hello = Hello(
            version=__version__,
            folder=str(self._keyring.credentials.folder.absolute()),
            state_dir=str(self._places.state_dir.absolute()),
            emergency=[str(place.absolute()) for place in self._places.emergency],
            root=root.key.as_dict(private=True),
            source=root.source,
            key_file=str(root.file.absolute()) if root.file else None,
        )
        try:
            await line.greet(hello)
        except BaseException:
            self._let_go(line)
            raise
        return line

    def _take(self, id: str, told: Done | Failed) -> Renewal | VaultdError:  # noqa: A002
        """Makes what the keeper did known here."""
        known = self._owner.reread(id)
        if isinstance(told, Failed):
            return revived(told.error)
        credential = Credential.from_plain(told.plain, id=id, generation=told.generation)
        if known is None and not told.unsaved and self._owner.is_gone(id):
            return Misconfigured(f"no credential {id}: it was removed as soon as it was renewed")
        if told.unsaved or known is None or known.mark < credential.mark:
            self._owner.hold(credential, told.unsaved or "saved by the keeper, and not to be read here: see the folder")
        return Renewal(self._owner.get(id) or credential, told.asked_at, told.skew)


def _spawn(theirs: socket.socket, *, quiet: bool) -> subprocess.Popen[bytes]:
    """A session of its own: a terminal's ^C and its end are the daemon's business."""
    return subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-P", "-m", "vaultd.keeper", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        # Whoever reads a command's stderr to its end must not wait for its keeper.
        stderr=subprocess.DEVNULL if quiet else None,
        cwd="/",
        env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith("PYTHON")},
        start_new_session=True,
    )


def _why(error: OSError | VaultdError) -> str:
    if isinstance(error, VaultdError):
        return str(error)
    return f"{error.strerror or type(error).__name__}: see the limits on processes and memory"
