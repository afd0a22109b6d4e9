"""Listening: sockets, TLS, limits, signals, and the way down. Which routes there are is `server.app`'s word.

The sockets are the service manager's where it hands some in, and stay open over a restart; else they are made here.

SIGTERM: `house.draining` is set: no new requests, and the relay gives what is in work 30 s before it ends it in its own
grammar. SIGHUP: config, manifests and certificate are read again.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from vaultd.errors import Misconfigured
from vaultd.house import House
from vaultd.net.supervisor import Manager
from vaultd.server.app import make_app
from vaultd.server.guard import is_loopback
from vaultd.server.slow import LIMITS, Counts, Limits, Watched, fitting
from vaultd.server.supervised import Supervised
from vaultd.work.relay import GRACE
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.server")

#: What a burst of clients may fill while a daemon restarts; the kernel's default limit is 4096.
_BACKLOG: Final = 1024
#: When the relay has broken off what still streamed after its GRACE, the last event has to reach the client.
_LAST_WORDS: Final = 2.0
#: New objects before the cycle collector looks. A burst of 200 events is more than Python's 700, and a request leaves
#: no cycles: at 700 every burst paid for a search in vain, a tenth of its cost.
_YOUNG: Final = 10_000


async def serve(house: House, host: str, port: int, sockets: Sequence[socket.socket], manager: Manager) -> None:
    """Serves until SIGTERM or SIGINT, on `sockets` where there are any, else on host and port."""
    loop, stop, tasks = asyncio.get_running_loop(), asyncio.Event(), Tasks()
    context, told = tls_context(house), Supervised(house, manager)

    def reload() -> None:
        tasks.start("reload", _reload(house, context, told))

    if sockets and (host, port) != (house.config.host, house.config.port):
        _log.warning("--host and --port are not used: the service manager opened the sockets")
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with listening(house, host, port, context, fitting(), sockets) as address:
            if house.daemon is not None:
                house.daemon.address = address
            if sockets:
                _log.info("the service manager's sockets are used")
            _log.info("listening", extra={"address": address})
            _settle()
            loop.add_signal_handler(signal.SIGHUP, reload)
            told.ready()
            tasks.start("tell the service manager", told.forever(address))
            await stop.wait()
            manager.tell("STOPPING=1", "STATUS=ending what is in work")
            _log.info("stopping")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
        await tasks.close()


def _settle() -> None:
    """What stands now stands for good, and the cycle collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


@contextlib.asynccontextmanager
async def listening(
    house: House,
    host: str,
    port: int,
    context: ssl.SSLContext | None = None,
    limits: Limits = LIMITS,
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[str]:
    """The main port, from here to the end of the block, which waits for what is in work. Answers the address."""
    runner = web.AppRunner(
        make_app(house, limits),
        access_log=None,  # it would print the query, which may hold a key
        logger=http_logger(),
        keepalive_timeout=limits.idle,
        handler_cancellation=True,  # a client that hangs up cancels the request to the vendor
        auto_decompress=False,  # inflated where it is counted (THR-15)
        shutdown_timeout=_LAST_WORDS,
    )
    await runner.setup()
    try:
        servers = await _bind(house, runner, (host, port), context, limits, sockets)
        try:
            yield _address(servers[0], context)
        finally:
            for server in servers:
                server.close()
            await _drain(house)
    finally:
        await runner.cleanup()


async def _bind(
    house: House,
    runner: web.AppRunner,
    where: tuple[str, int],
    context: ssl.SSLContext | None,
    limits: Limits,
    sockets: Sequence[socket.socket],
) -> list[asyncio.Server]:
    host, port = where
    counts = Counts(lambda address: is_loopback(address) or address in house.config.trusted_proxies, limits)
    protocols: Any = runner.server

    def connection() -> Watched:
        return Watched(protocols(), counts, limits.stall)

    loop = asyncio.get_running_loop()
    if sockets:
        return [await loop.create_server(connection, sock=one, ssl=context, backlog=_BACKLOG) for one in sockets]
    try:
        return [await loop.create_server(connection, host or None, port, ssl=context, backlog=_BACKLOG)]
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Misconfigured(
                f"port {port} on {host} is taken: stop what holds it, or set `port` or --port", code="port-taken"
            ) from error
        raise Misconfigured(
            f"cannot listen on {host}:{port}: {error.strerror}; see `host`", code="host-unusable"
        ) from error


async def _drain(house: House) -> None:
    """Lets requests in work end, by themselves or by the relay's hand (systemd's TimeoutStopSec is 90 s)."""
    house.draining.set()
    deadline = asyncio.get_running_loop().time() + GRACE + _LAST_WORDS
    while house.metrics.in_work and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # the ends of requests are counted, not announced: nothing more on the hot path


def tls_context(house: House) -> ssl.SSLContext | None:
    """None where the config asks for plain http. Raises Misconfigured naming the file."""
    tls = house.config.tls
    if not tls.cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "no matching PEM pair"
        raise Misconfigured(f"tls: {tls.cert} and {tls.key}: {reason}", code="certificate-unreadable") from error
    return context


async def _reload(house: House, context: ssl.SSLContext | None, told: Supervised) -> None:
    with told.reloading():
        await house.reload("SIGHUP")
        _read_certificate_again(house, context)


def _read_certificate_again(house: House, context: ssl.SSLContext | None) -> None:
    tls = house.config.tls
    if context is not None and tls.cert:
        # A renewed certificate; connections that are open keep the old one. Switching TLS on or off needs a restart.
        try:
            context.load_cert_chain(tls.cert, tls.key)
        except (OSError, ssl.SSLError):
            _log.error("the certificate cannot be read, the old one stays", extra={"file": tls.cert})
        else:
            _log.info("certificate read again", extra={"file": tls.cert})


def http_logger() -> logging.Logger:
    """aiohttp's own log, without its tracebacks: a refused request's quotes the header line that was wrong (THR-27)."""
    logger = logging.getLogger("vaultd.http")
    if not any(isinstance(known, _NoQuotes) for known in logger.filters):
        logger.addFilter(_NoQuotes())
    return logger


class _NoQuotes(logging.Filter):
    """A malformed request is one line without the exception, whose message quotes it. The rest passes."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args, record.exc_info = "malformed request refused", (), None
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.error = type(error).__name__
        return True


def _address(server: asyncio.Server, context: ssl.SSLContext | None) -> str:
    host, port = server.sockets[0].getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http{'s' if context else ''}://{shown}:{port}"
