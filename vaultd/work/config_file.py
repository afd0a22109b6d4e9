"""The configuration's file: read whole, replaced whole, held against other processes that edit it.

Replaced, never written in place: a kill leaves the old file or the new one. A link keeps pointing where it did. Mode,
owner and extended attributes (an access list) stay.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

#: Another process's edit takes milliseconds; one that hangs must not hold up a page for longer than it waits.
_WAIT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.02


class ConfigFile:
    """One file, which may not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._target = path.resolve()

    @property
    def writable(self) -> bool:
        """As far as one can tell beforehand: its folder is, or the first that exists above it."""
        folder = next((folder for folder in self._target.parents if folder.is_dir()), self._target.parent)
        return os.access(folder, os.W_OK | os.X_OK)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Against every other editor of ours. The lock is on the folder: on the file it would be replaced with it.
        Raises OSError."""
        folder = self._target.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
            while not _taken(fd):
                if asyncio.get_running_loop().time() >= deadline:
                    raise OSError(errno.EWOULDBLOCK, "another vaultd process is editing it")
                await asyncio.sleep(_PAUSE_SECONDS)
            yield
        finally:
            os.close(fd)

    def read(self) -> bytes | None:
        """None where there is no such file. Raises OSError."""
        try:
            return self._target.read_bytes()
        except FileNotFoundError:
            return None

    def replace(self, data: bytes, before: bytes | None) -> bool:
        """False, and nothing done, where the file is no longer `before`. Raises OSError with the file as it was."""
        self._sweep()
        beside = self._target.with_name(f".{self._target.name}.{secrets.token_hex(6)}.new")
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                _write(fd, data)
                if before is not None:
                    self._dress(fd)
                os.fsync(fd)
            finally:
                os.close(fd)
            if self.read() != before:
                return False
            beside.rename(self._target)
        except OSError as error:
            if error.errno == errno.EBUSY:  # a container has the file alone mounted
                raise OSError(error.errno, "the file itself is a mount; mount its folder instead") from error
            raise
        finally:
            beside.unlink(missing_ok=True)
        with suppress(OSError):  # the new file is there and whole; this concerns a crash of the machine alone
            _sync(self._target.parent)
        return True

    def _dress(self, fd: int) -> None:
        facts = self._target.stat()
        if (facts.st_uid, facts.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(fd, facts.st_uid, facts.st_gid)
        os.fchmod(fd, facts.st_mode & 0o7777)
        with suppress(OSError):  # not every file system has them
            for name in os.listxattr(self._target):
                with suppress(OSError):
                    os.setxattr(fd, name, os.getxattr(self._target, name))

    def _sweep(self) -> None:
        """What a kill left: under the lock nobody else has one."""
        for stale in self._target.parent.glob(f".{self._target.name}.*.new"):
            with suppress(OSError):
                stale.unlink()


def _taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
