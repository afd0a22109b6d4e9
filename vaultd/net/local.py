"""The command line's side of the admin socket: one verb per connection, plain HTTP/1.1 over a unix socket.

Synchronous and without aiohttp: a command asks one question, and should not pay 300 ms of imports for it.
The other side is `server/admin.py`.
"""

from __future__ import annotations

import http.client
import json
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from vaultd import errors

#: Where the packaged unit makes it.
SYSTEM_SOCKET: Final = Path("/run/vaultd/admin.sock")
#: A daemon that is alive answers who it is at once; a hung one must not hang `vaultd status`.
_ABOUT_SECONDS: Final = 2.0
#: The slowest verb renews a credential at a vendor: 30 s for the request and as much again for a retry.
_VERB_SECONDS: Final = 90.0
#: The largest answer is a model list: a few hundred kB with thousands of models.
_ANSWER_LIMIT: Final = 16 * 1024 * 1024


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def sockets(candidates: Sequence[Path], *, system_wide: bool) -> Iterator[Path]:
    """The sockets that exist: each candidate, those of further daemons beside it, then the packaged unit's."""
    named = [*candidates, SYSTEM_SOCKET] if system_wide else list(candidates)
    seen: set[Path] = set()
    for path in named:
        for found in [path, *_beside(path)]:
            if found not in seen and _is_socket(found):
                seen.add(found)
                yield found


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
        raise _revived(answer["error"])
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


def _revived(error: Mapping[str, Any]) -> errors.VaultdError:
    """The error as the verb raised it: the class decides the exit code."""
    message = str(error.get("message", "the daemon refused"))
    kind = getattr(errors, str(error.get("class")), None)
    if kind is errors.UpstreamRefused:
        return errors.UpstreamRefused(message, status=int(error.get("status", 0)))
    if isinstance(kind, type) and issubclass(kind, errors.VaultdError):
        return kind(message)
    return errors.VaultdError(message)
