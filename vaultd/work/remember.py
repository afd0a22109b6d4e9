"""What the pool knows, over a restart: `<auth-dir>/.vault/pool.json`. Without it a new daemon would ask each credential
that rests once more, and each conversation might move away from its prompt cache.

It holds no secret: ids, models, times, statuses, and of sessions only a hash. Losing it costs a few refused tries, so
it is renamed into place but not fsynced, and a fault in writing it is a log line. Written at most once a second, and
once more at the end; no request waits for it. Of several daemons on one folder the last writer wins: each goes on by
what it learns itself, and reads the file at its start alone.

Times are the wall clock's on disk, for the boot clock starts anew, and are believed only within bounds: nothing rests
longer than `cooldown.max-seconds` from the start, whatever this clock or the last one was set to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from vaultd.net.clock import Clock
from vaultd.pool.state import Kept
from vaultd.work.plan import Pool

_log = logging.getLogger("vaultd.pool")

NAME: Final = "pool.json"
#: Seconds between two writes at least: so much is forgotten when a daemon is killed.
PACE: Final = 1.0
#: A large pool takes longer to write; never more than a twentieth of the time goes into it.
_IDLE: Final = 19
#: 50 models of 1,000 credentials at rest, and 10,000 sessions, make some 10 MiB.
_LARGEST: Final = 64 * 1024 * 1024


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    #: When it was written, in seconds since 1970; the times in `kept` are counted from then.
    at: float
    kept: Kept
    version: Literal[1] = 1


class Memory:
    """The file of one pool: `recall` it at the start, `forever` keeps it, `close` writes it a last time."""

    def __init__(self, folder: Path, pool: Pool, clock: Clock) -> None:
        self.path: Final = folder / NAME
        self._pool, self._clock = pool, clock
        self._saved = pool.state.version
        self._number = 0
        self._writer = Writer(self.path)
        self._failing = ""

    def recall(self, longest: float) -> None:
        """Takes up what the last daemon left. `longest`: the seconds that anything may rest from now on."""
        try:
            said = _read(self.path)
        except (OSError, ValueError, RecursionError) as error:  # msgspec's are the latter two
            reason = error.strerror if isinstance(error, OSError) else "not as vaultd writes it"
            _log.warning("what the pool knew is left out", extra={"file": str(self.path), "reason": reason})
            return
        if said is not None:
            # A clock that was set back, as to 1970 at boot, says nothing of how long ago it was.
            passed = max(0.0, self._clock.now() - said.at)
            self._pool.restore(_bounded(said.kept, passed + longest), self._clock.boot() - passed)
            self._saved = self._pool.state.version

    async def forever(self) -> None:
        """Looks once a second, which costs one comparison: those who choose and report know nothing of it."""
        while True:
            began = self._clock.boot()
            await self._save()
            await self._clock.sleep(max(PACE, (self._clock.boot() - began) * _IDLE))

    async def close(self) -> None:
        """After `forever` has ended."""
        await self._save()

    async def _save(self) -> None:
        state = self._pool.state
        if state.version == self._saved:
            return
        self._saved = state.version
        self._number += 1
        said = _File(self._clock.now(), state.export(self._clock.boot()))
        try:
            await asyncio.to_thread(self._writer.write, said, self._number)
        except OSError as error:
            self._saved = -1
            reason = error.strerror or type(error).__name__
            if reason != self._failing:
                _log.warning("the pool cannot be kept", extra={"file": str(self.path), "reason": reason})
            self._failing = reason
        else:
            self._failing = ""


class Writer:
    """Writes in a thread of its own. One that was cancelled goes on to its end: it must not undo a later one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._last = 0

    def write(self, said: object, number: int) -> None:
        """Raises OSError with the old file in place."""
        data = msgspec.json.encode(said)
        with self._lock:
            if number < self._last:
                return
            temporary = self._path.with_name(f".{NAME}.{secrets.token_hex(8)}.tmp")
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                    file.write(data)
                temporary.replace(self._path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            self._last = number


def _read(path: Path) -> _File | None:
    """None where there is none. Raises OSError and ValueError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
            raise ValueError("no file of ours")
        return msgspec.json.decode(file.read(_LARGEST), type=_File)


def _bounded(kept: Kept, latest: float) -> Kept:
    """Nothing ends after `latest`, and nothing was in the future when it was kept."""
    replace = msgspec.structs.replace
    marks = [
        mark
        if mark.since <= 0 and mark.until <= latest
        else replace(mark, since=min(mark.since, 0.0), until=min(mark.until, latest))
        for mark in kept.marks
    ]
    homes = [home if home.used <= 0 else replace(home, used=0.0) for home in kept.homes]
    return Kept(marks, homes)
