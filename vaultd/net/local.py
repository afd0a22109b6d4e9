"""The command line's side of the admin socket: one verb per connection, plain HTTP/1.1 over a unix socket.

Synchronous and without aiohttp: a command asks one question, and should not pay 300 ms of imports for it.
The other side is `server/admin.py`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vaultd import errors

#: A daemon that is alive answers who it is at once; a hung one must not hang `vaultd status`.
_ABOUT_SECONDS: Final = 2.0
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
        with reachable(self._path) as address:
            self.sock.connect(address)


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


def about(path: Path) -> dict[str, Any] | None:
    """Who answers there: `{folder, config, pid, version}`; None where nobody does or we may not ask."""
    try:
        status, answer = _exchange(path, "GET", "/about", b"", _ABOUT_SECONDS)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return answer if status == 200 and isinstance(answer.get("folder"), str) else None


def hangs(path: Path) -> bool:
    """True where somebody has the socket and does not say who he is: a daemon that is stopped, or stuck."""
    connection = _UnixConnection(path, _ABOUT_SECONDS)
    try:
        connection.connect()
    except TimeoutError:  # its backlog is full
        return True
    except OSError:
        return False
    finally:
        connection.close()
    return about(path) is None


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
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target, body, {"content-type": "application/json"} if body else {})
        response = connection.getresponse()
        value = json.loads(response.read(_ANSWER_LIMIT))
    finally:
        connection.close()
    if not isinstance(value, dict):
        raise ValueError("the answer is not a JSON object")
    return response.status, value
