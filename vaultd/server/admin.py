"""The admin socket: the local way in for the command line, one verb per request, and for the management API without its
key. The other side is `net/local.py`.

Who may connect is decided by the file's mode. One of our own has 0600 in a 0700 folder, and the peer's uid is checked
as well where the kernel shows it (THR-44). One that the service manager opened has the mode its unit says, and outlives
the daemon. No client key, no TCP, no page: nothing of the relay is reachable here.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec
from aiohttp import web

from vaultd import __version__
from vaultd.errors import Misconfigured, VaultdError, told
from vaultd.house import House
from vaultd.net.local import reachable
from vaultd.server.management import app as management
from vaultd.server.run import http_logger
from vaultd.server.slow import Counts, Limits, Watched, body_deadline
from vaultd.server.status import readyz
from vaultd.verbs import VERBS, run
from vaultd.work.story import CLIENT_GONE

_log = logging.getLogger("vaultd.admin")

#: A command holds one connection, a sign-in two or three. A user's share is half of all: a loop of one shuts nobody
#: else out, nor do all those together whom `PrivateUsers=` shows as one user shut out root.
ADMIN_LIMITS: Final = Limits(connections=128, per_peer=64)
#: The largest request is an import of token files, some kB each; a megabyte is a hundred of them.
_BODY_LIMIT: Final = 1024 * 1024
#: For a command that still waits for a renewal when the daemon ends. The renewal ends without it (`House.close`), and
#: streams, renewals and keeper may take 82 of a service manager's 90 s.
_LAST_WORDS: Final = 5.0
#: What a peer outside our user namespace reads as (`/proc/sys/kernel/overflowuid`): under `PrivateUsers=` everyone
#: but root and the daemon, so there the mode alone decides.
_NOBODY: Final = 65534
#: struct ucred of unix(7): pid, uid, gid.
_UCRED: Final = struct.Struct("3i")


@contextlib.asynccontextmanager
async def listening(
    house: House, inherited: socket.socket | None = None, limits: Limits = ADMIN_LIMITS
) -> AsyncIterator[Path]:
    """The daemon's admin socket, from here to the end of the block. Answers where it is."""
    path, bound = _claim(house.places.admin_sockets[0]) if inherited is None else (_shared(inherited), inherited)
    app = make_app(house, any_peer=inherited is not None, limits=limits)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=http_logger(),
        # 15 s between requests and for a head. A command asks at once, one question a connection; what it waits for,
        # a verb's 90 s or a sign-in, is a request in hand, which this does not count.
        keepalive_timeout=limits.idle,
        handle_signals=False,
        shutdown_timeout=_LAST_WORDS,
    )
    await runner.setup()
    protocols: Any = runner.server
    counts = Counts(lambda _user: False, limits)

    def connection() -> Watched:
        return Watched(protocols(), counts, limits.stall, _user_of)

    try:
        server = await asyncio.get_running_loop().create_server(connection, sock=bound)
        if house.daemon is not None:
            house.daemon.admin_socket = str(path)
        _log.info("admin socket ready", extra={"file": str(path)})
        try:
            yield path
        finally:
            server.close()
    finally:
        await runner.cleanup()
        if inherited is None:
            path.unlink(missing_ok=True)


def _shared(inherited: socket.socket) -> Path:
    """Where the service manager opened it. Its mode is all that guards it, so one that is open to all is refused."""
    name = inherited.getsockname() if inherited.family == socket.AF_UNIX else None
    path = Path(name) if isinstance(name, str) and name else None
    if path is None:
        raise Misconfigured("the admin socket handed in is no file: ListenStream= must be a path")
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise Misconfigured(f"{path}: the admin socket handed in is not there: {error.strerror}") from error
    if mode & 0o007:
        raise Misconfigured(f"{path}: everybody may connect ({mode & 0o777:04o}): set SocketMode=0660 in its unit")
    return path


def make_app(house: House, *, any_peer: bool = False, limits: Limits = ADMIN_LIMITS) -> web.Application:
    """`any_peer`: whoever could connect is let in."""
    guards = [_hang_ups] if any_peer else [_hang_ups, _known_peers_only]
    app = web.Application(client_max_size=_BODY_LIMIT, middlewares=guards)
    turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def about(_request: web.Request) -> web.Response:
        config = str(house.places.config_file or "")
        folder = str(house.owner.folder)
        return _json({"folder": folder, "config": config, "pid": os.getpid(), "version": __version__})

    async def verb(request: web.Request) -> web.Response:
        (pid, _), who = _peer(request), who_of(request)  # known while it is there
        # One at a time per peer: a loop of one caller must not starve another (THR-44).
        async with turns.setdefault(pid, asyncio.Lock()):
            # Timed from here on: what waits for its turn is not slow.
            body = await _body(request, limits)
            return await _run(house, request.match_info["name"], body, who)

    app.router.add_get("/about", about)
    app.router.add_get("/readyz", readyz(house))
    app.router.add_post("/verb/{name}", verb)
    management.mount(app, house, who_of, limits)
    return app


async def _body(request: web.Request, limits: Limits) -> bytes:
    deadline = body_deadline(request, limits)
    try:
        return await request.read()
    finally:
        if deadline is not None:
            deadline.cancel()


async def _run(house: House, name: str, body: bytes, who: str) -> web.Response:
    if name not in VERBS:
        return _refusal(404, "Misconfigured", f"this daemon (vaultd {__version__}) has no verb {name!r}")
    try:
        args = msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
        return _refusal(400, "Misconfigured", "the verb's arguments are not a JSON object")
    try:
        answer = await run(house, name, args, who)
    except VaultdError as error:
        return _json({"error": told(error)}, 422)
    except Exception as error:  # noqa: BLE001 - one verb's failure is not the daemon's; its message may quote a secret
        _log.exception("verb failed", extra={"verb": name})
        return _refusal(500, "VaultdError", f"the daemon failed ({type(error).__name__}); look at its log")
    return _json({"answer": answer})


def _json(value: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=management.encoded(value), status=status, content_type="application/json")


def _refusal(status: int, kind: str, message: str) -> web.Response:
    return _json({"error": {"class": kind, "message": message}}, status)


def who_of(request: web.Request) -> str:
    """For the audit log: as far as the kernel shows it."""
    uid = _peer(request)[1]
    return f"admin socket uid {uid}{' (another user)' if uid == _NOBODY and not _sees_every_uid() else ''}"


@web.middleware
async def _hang_ups(request: web.Request, handler: Any) -> web.StreamResponse:
    """A command that was ended, or cut off, within its request: aiohttp would tell of it as a fault of ours."""
    try:
        answer: web.StreamResponse = await handler(request)
    except ConnectionError:
        if request.transport is not None and not request.transport.is_closing():
            raise
        return web.Response(status=CLIENT_GONE)  # nobody sees it
    return answer


@web.middleware
async def _known_peers_only(request: web.Request, handler: Any) -> web.StreamResponse:
    _, uid = _peer(request)
    if uid in {os.getuid(), 0} or (uid == _NOBODY and not _sees_every_uid()):
        answer: web.StreamResponse = await handler(request)
        return answer
    _log.warning("refused a peer of another user", extra={"peer": f"uid {uid}"})
    return _refusal(403, "Misconfigured", f"this socket belongs to uid {os.getuid()}; run the command as that user")


def _peer(request: web.Request) -> tuple[int, int]:
    """pid and uid of who connected."""
    assert request.transport is not None
    return _credentials(request.transport)


def _user_of(transport: asyncio.Transport) -> str:
    return f"uid {_credentials(transport)[1]}"


def _credentials(transport: asyncio.Transport) -> tuple[int, int]:
    connection = transport.get_extra_info("socket")
    pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return pid, uid


def _sees_every_uid() -> bool:
    """False in a user namespace that maps only some (user_namespaces(7))."""
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def _claim(wanted: Path) -> tuple[Path, socket.socket]:
    """Binds the socket, or one beside it while another daemon answers there. Never two daemons at once in here."""
    folder = wanted.parent
    _own(folder)
    claim = os.open(folder / ".admin.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(claim, fcntl.LOCK_EX)
        path = wanted if _free(wanted) else wanted.with_stem(f"{wanted.stem}-{os.getpid()}")
        if not _free(path):
            raise Misconfigured(f"{path}: another daemon answers there")
        return path, _bound(path)
    finally:
        os.close(claim)


def _own(folder: Path) -> None:
    """A folder of ours that nobody else may enter."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:  # after su the environment may still name another person's runtime folder
        raise Misconfigured(
            f"{folder}: no admin socket can be made there ({error.strerror}); XDG_RUNTIME_DIR must be yours, or unset"
        ) from error
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return  # the service manager's link (`RuntimeDirectory=` under `DynamicUser=`) leads to a folder of its own
    if found.st_uid != os.getuid():
        raise Misconfigured(f"{folder}: belongs to uid {found.st_uid}, the admin socket cannot be made there")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def _free(path: Path) -> bool:
    """True once nothing is there: a socket that nobody answers was left by a daemon that was killed."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    if not stat.S_ISSOCK(found.st_mode):
        raise Misconfigured(f"{path}: is in the way of the admin socket and no socket; move it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, reachable(path) as address:
        probe.setblocking(False)  # a daemon with a full backlog is a daemon: EAGAIN, not a wait
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            path.unlink()
            return True
        except OSError:
            return False
    return False


def _bound(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with reachable(path) as address:
            bound.bind(address)
    finally:
        os.umask(before)
    bound.setblocking(False)
    return bound
