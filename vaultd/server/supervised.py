"""What the service manager hears of this daemon: that it is ready, how it stands, and that it gets on.

The watchdog is fed by progress, never by a timer: the loop is not late (`net.pulse`), and somebody who connects to the
main port is heard. What a restart would not mend is none of its business: a keeper that hangs, a vendor that is down, a
disk that is full are `doctor`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from vaultd.house import House
from vaultd.net.supervisor import Manager

_log = logging.getLogger("vaultd.server")

#: A loop so late, or a caller who waits so long, has lost its clients already; a busy machine stays far below.
_LATE_SECONDS: Final = 5.0
#: How often it is looked whether the daemon gets on again, and, without a watchdog, whether its status is another.
_LOOK_SECONDS: Final = 1.0
_STATUS_SECONDS: Final = 10.0
#: With no file left to open nobody is let in; a restart closes them all.
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})


class Supervised:
    def __init__(self, house: House, manager: Manager) -> None:
        self._house = house
        self._manager = manager
        self._said = ""

    def ready(self) -> None:
        self._said = self._standing()
        self._manager.tell("READY=1", f"STATUS={self._said}")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """`systemctl reload` waits for the end of it; a bad edit, which changes nothing, is told by log and status."""
        self._manager.reloading()
        try:
            yield
        finally:
            self.ready()

    async def forever(self, address: str) -> None:
        """Feeds the watchdog a third of its patience apart, as sd_watchdog_enabled(3) has room for two lost words."""
        while self._manager:
            gets_on = await self._gets_on(address) if self._manager.patience else True
            words = ["WATCHDOG=1"] if gets_on and self._manager.patience else []
            if (standing := self._standing()) != self._said:
                self._said = standing
                words.append(f"STATUS={standing}")
            if words:
                self._manager.tell(*words)
            if not gets_on:
                _log.warning("the watchdog is not fed: the loop is late, or nobody is let in")
            await asyncio.sleep((self._manager.patience / 3 or _STATUS_SECONDS) if gets_on else _LOOK_SECONDS)

    async def _gets_on(self, address: str) -> bool:
        return self._house.pulse.lag < _LATE_SECONDS and await _is_heard(address)

    def _standing(self) -> str:
        pool = self._house.pool
        faults = self._house.alerts.faults.total() if self._house.alerts is not None else 0
        wrong = f"; {faults} to look at: vaultd doctor" if faults else ""
        return f"{pool.usable(self._house)} of {len(pool.roster(self._house))} credentials usable{wrong}"


async def _is_heard(address: str) -> bool:
    """Whether a connection to the main port is taken and answered, be it by an end: a kernel alone does neither."""
    at = urlsplit(address)
    try:
        async with asyncio.timeout(_LATE_SECONDS):
            reader, writer = await asyncio.open_connection(at.hostname, at.port)
            try:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                await reader.read(1)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return False
    except OSError as error:  # a firewall of the operator's, or a server on its way down: nothing that a restart mends
        return error.errno not in _OUT_OF_FILES
    return True
