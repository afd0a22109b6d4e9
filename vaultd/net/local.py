"""The command line's side of the admin socket: one question per connection, plain HTTP/1.1 over a unix socket.

Without aiohttp: a command asks one question, and should not pay 300 ms of imports for it. Verbs are asked for and
waited for; a sign-in, whose person may change his mind at any moment, asks the management API without holding up its
loop (`manage`). The other side is `server/admin.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from vaultd import errors

#: A daemon that is alive answers who it is at once; a hung one must not hang `vaultd status`.
_ABOUT_SECONDS: Final = 2.0
#: One that the service manager only starts because we knock: a second as a rule, with a slow disk or a TPM some more.
STARTING_SECONDS: Final = 20.0
#: The slowest verb renews a credential at a vendor: 30 s for the request and as much again for a retry.
_VERB_SECONDS: Final = 90.0
#: The largest answer is a model list: a few hundred kB with thousands of models.
_ANSWER_LIMIT: Final = 16 * 1024 * 1024
#: BSD's 104, the smaller of the two, with its closing NUL.
_SUN_PATH: Final = 103


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            with reachable(self._path) as address:
                self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name for the socket that fits `sun_path` (108 bytes, unix(7)), whatever its folder is called."""
    if len(os.fsencode(path)) < _SUN_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def sockets(candidates: Sequence[Path]) -> Iterator[Path]:
    """The sockets that exist: each candidate, then those of further daemons beside it."""
    for path in candidates:
        yield from (found for found in [path, *_beside(path)] if _is_socket(found))


def _beside(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.glob(f"{path.stem}-*{path.suffix}"))
    except OSError:
        return []


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.stat().st_mode)
    except OSError:
        return False


#: Nobody has the socket; somebody has it whom we may not ask; somebody has it and does not say who he is.
Silence = Literal["nobody", "forbidden", "silent"]


def knock(path: Path, seconds: float = _ABOUT_SECONDS) -> dict[str, Any] | Silence:
    """Who answers there: `{folder, config, pid, version}`; or why nobody does."""
    connection = _UnixConnection(path, seconds)
    try:
        connection.connect()
    except PermissionError:
        return "forbidden"
    except (TimeoutError, BlockingIOError):  # its backlog is full: on Linux EAGAIN, at once (connect(2))
        return "silent"
    except OSError:
        return "nobody"
    try:
        status, answer = _told(connection, "GET", "/about", b"")
    except (OSError, http.client.HTTPException, ValueError):
        return "silent"
    if status == 403:
        return "forbidden"
    return answer if status == 200 and isinstance(answer.get("folder"), str) else "silent"


def ready(path: Path) -> dict[str, Any] | None:
    """Whether the daemon there could serve a request now: `{ready, reasons}`; None where it does not say."""
    try:
        _, answer = _exchange(path, "GET", "/readyz", b"", _ABOUT_SECONDS)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return answer if isinstance(answer.get("ready"), bool) else None


def call(path: Path, verb: str, args: Mapping[str, Any]) -> Any:
    """Asks the daemon for a verb. Raises the same class of error that the verb raised."""
    body = json.dumps(dict(args)).encode()
    try:
        _, answer = _exchange(path, "POST", f"/verb/{verb}", body, _VERB_SECONDS)
    except TimeoutError as error:
        raise errors.TimedOut(f"the daemon at {path} did not answer within {_VERB_SECONDS:.0f} s") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise errors.TryLater(f"the daemon at {path} broke off; look at its log") from error
    if "error" in answer:
        raise errors.revived(answer["error"])
    return answer.get("answer")


def _exchange(path: Path, method: str, target: str, body: bytes, timeout: float) -> tuple[int, dict[str, Any]]:
    return _told(_UnixConnection(path, timeout), method, target, body)


def _told(connection: _UnixConnection, method: str, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        connection.request(method, target, body, {"content-type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, _object(response.read(_ANSWER_LIMIT))
    finally:
        connection.close()


def _object(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise ValueError("the answer is not a JSON object")
    return value


async def manage(path: Path, method: str, target: str, body: Mapping[str, Any] | None = None) -> Any:
    """What a route of the management API answers; `target` begins after its base. Can be cancelled at any time.

    Raises Misconfigured where the daemon refuses, and TryLater where another try may do better.
    """
    try:
        async with asyncio.timeout(_VERB_SECONDS):
            status, answer = await _asked(path, method, f"/v0/management{target}", body)
    except TimeoutError as error:
        raise errors.TimedOut(f"the daemon at {path} did not answer within {_VERB_SECONDS:.0f} s") from error
    except (OSError, EOFError, ValueError) as error:
        raise errors.TryLater(f"the daemon at {path} broke off; look at its log") from error
    if status < 400:
        return answer
    message = str(answer.get("message") or answer.get("error") or "the daemon refused without a word")
    passing = status in {404, 429} or status >= 500
    raise errors.TryLater(message, own=True) if passing else errors.Misconfigured(message)


async def _asked(path: Path, method: str, target: str, body: Mapping[str, Any] | None) -> tuple[int, dict[str, Any]]:
    with reachable(path) as address:
        reader, writer = await asyncio.open_unix_connection(address)
    try:
        raw = b"" if body is None else json.dumps(dict(body)).encode()
        kind = "Content-Type: application/json\r\n" if raw else ""
        head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}"
        writer.write(f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
        # The answer ends with the connection: we asked for that, and accept no encoding.
        said, _, told = (await reader.read(-1)).partition(b"\r\n\r\n")
        return int(said.split(b" ", 2)[1]), _object(told)
    except IndexError as error:
        raise EOFError from error
    finally:
        writer.close()
