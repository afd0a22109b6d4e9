"""Clients that are slow on purpose (THR-14): how many connections, how slow a body, how long an unread answer.

aiohttp's `keepalive_timeout` closes connections that send half a head or nothing; these are the rest. Everything here
is a deadline or a count on one connection; nobody's request is looked at.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, cast

from aiohttp import web

_log = logging.getLogger("vaultd.server")


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts and seconds."""

    #: In all. An open stream weighs about 30 kB, so that these weigh 120 MB; `fitting` makes them fewer where the
    #: process may not hold files for so many. A thousand idle streams are a team whose every member runs a few agents.
    connections: int = 4096
    #: One address: a browser opens 6, Claude Code 12, a pool of workers some dozens.
    per_peer: int = 64
    #: Idle between requests, and the time for a request's head (nginx: 75 s and 60 s).
    idle: float = 15.0
    #: A body gets so long, and so much more for each MiB that has come (nginx: 60 s between two reads, for ever).
    body: float = 30.0
    body_per_mib: float = 10.0
    #: So often a socket on which nothing is asked is asked for its key again (THR-34: within a minute).
    key: float = 45.0
    #: An answer that nobody reads, once the socket's buffers are full (nginx's send_timeout has the same number).
    stall: float = 60.0


LIMITS: Final = Limits()
#: A stream has two ends, and each of them is an open file.
_FILES_EACH: Final = 2
#: Vault, admin socket, log, event loop, and renewals.
_FILES_APART: Final = 64


def fitting(limits: Limits = LIMITS) -> Limits:
    """`limits` with no more connections than this process may hold files for.

    Where the soft limit is lower than needed it is raised, as far as the hard one allows: 1,024, the usual soft one, is
    for programs with select(2), and systemd and container engines leave the hard one at half a million.
    """
    needed = limits.connections * _FILES_EACH + _FILES_APART
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return limits
    files = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    room = max(1, (files - _FILES_APART) // _FILES_EACH)
    if room < limits.connections:
        _log.warning("fewer connections than usual", extra={"connections": room, "files": files})
    return replace(limits, connections=min(limits.connections, room))


class Counts:
    """Open connections, in all and by address."""

    def __init__(self, exempt: Callable[[str], bool], limits: Limits = LIMITS) -> None:
        #: Addresses that stand for many clients (loopback, trusted proxies) and are bound by the total alone.
        self._exempt = exempt
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._total = 0

    def enter(self, address: str) -> bool:
        """False, and nothing counted, where there is no room."""
        full = self._total >= self._limits.connections
        if full or (self._open[address] >= self._limits.per_peer and not self._exempt(address)):
            return False
        self._total += 1
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._total -= 1
        self._open[address] -= 1
        if not self._open[address]:
            del self._open[address]


def address_of(transport: asyncio.Transport) -> str:
    peername = transport.get_extra_info("peername")
    return peername[0] if isinstance(peername, tuple) else ""


class Watched(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol: counts the connection, cuts one whose answers pile up."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        counts: Counts,
        stall: float,
        peer: Callable[[asyncio.Transport], str] = address_of,
    ) -> None:
        """`peer`: whom a connection is counted for."""
        self._inner = inner
        self._counts = counts
        self._stall = stall
        self._peer = peer
        self._transport: asyncio.Transport | None = None
        self._address: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The hot path: no frame of ours between the socket and the parser.
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.eof_received = inner.eof_received  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's can do all that one can, but is no subclass
        address = self._peer(transport)
        if not self._counts.enter(address):
            _log.warning("connection refused", extra={"peer": address, "reason": "too many"})
            transport.abort()
            return
        self._address, self._transport = address, transport
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._address is not None:
            self._counts.leave(self._address)
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._stall, self._cut)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._stop_timer()
        self._inner.resume_writing()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        if self._transport is not None:
            _log.info("connection cut", extra={"peer": self._address, "reason": "answer not read"})
            self._transport.abort()


class _BodyDeadline:
    """Cuts the connection of a body that comes too slowly. No answer: who trickles a body does not read one."""

    def __init__(self, request: web.Request, limits: Limits) -> None:
        self._request = request
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer = self._loop.call_later(limits.body, self._look)

    def cancel(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        content, transport = self._request.content, self._request.transport
        if content.is_eof() or transport is None:
            return
        granted = self._limits.body + self._limits.body_per_mib * content.total_bytes / 2**20
        left = self._began + granted - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
            return
        _log.info("connection cut", extra={"peer": self._request.remote, "reason": "slow body"})
        transport.abort()


def body_deadline(request: web.Request, limits: Limits) -> _BodyDeadline | None:
    """A deadline for the body that is still to come; None, and no timer, where it has come with the head."""
    return None if request.content.is_eof() else _BodyDeadline(request, limits)
