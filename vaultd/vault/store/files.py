"""A folder of sealed files: the one way bytes come in from it, and the one way they are made durable in it.

A commit: reserve the space → temporary file (`O_EXCL`, 0600) → write → fsync → read back → rename → fsync the folder.
Power cuts on ext4, 800 of 800: the old file or the new one. Without the last fsync half of the acknowledged writes are
gone, with writing in place most files are unreadable, and only the read-back notices a kernel that lies about a write.

Names are checked here, and files are opened below a folder descriptor without following links: nothing that stands in
the folder (a link, a pipe, a device, a stranger's file) can make us wait, leave the folder, or read what is not ours.
Knows nothing of keys or credentials.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import random
import re
import secrets
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

from vaultd.errors import Misconfigured, TryLater
from vaultd.vault.envelope import FILE_LIMIT, NAME, Refused

#: Inode, size, times: a changed file differs in one of them, and a stat costs a fiftieth of an open.
Stamp = tuple[int, int, int, int]

_NO_FILE: Final = "not a regular file: put the file itself here, not a link to it"
_TEMPORARY: Final = re.compile(r"\.(?P<name>.+\.json)\.[0-9a-f]{16}\.tmp")
#: From a blink to a tenth of a second: a lease is held for one commit (1 ms) or one renewal (a second or so).
_BACKOFF: Final = (0.002, 0.1)


class FileStore:
    """Sealed files of one folder, and the leases on them.

    `locks` is where the lease files stand: `.vault/locks` in the folder itself, but for our own files.
    """

    def __init__(self, folder: Path, locks: Path | None = None) -> None:
        # Symbolic links (`StateDirectory=` under `DynamicUser=` is one) give no file events: the real path it is.
        self.folder: Final = Path(os.path.realpath(folder))
        self._locks: Final = locks or self.folder / ".vault" / "locks"
        self.warnings: list[str] = []
        #: Space reserved for the next commit of a name: temporary file and descriptor.
        self._rooms: dict[str, tuple[str, int]] = {}
        make_private(self.folder)
        make_private(self._locks)
        with self._open_folder():
            pass
        self._sweep()

    def names(self) -> list[str]:
        """Everything that looks meant as a sealed file, also what `read` will refuse: it is to be reported."""
        with self._open_folder() as folder:
            return sorted(map(_told, _entries(folder)))

    def stamps(self) -> dict[str, Stamp]:
        """What stands in the folder, without opening it."""
        found = {}
        with self._open_folder() as folder:
            for name in _entries(folder):
                with suppress(FileNotFoundError):
                    found[_told(name)] = _stamp(os.stat(name, dir_fd=folder, follow_symlinks=False))
        return found

    def stamp(self, name: str) -> Stamp | None:
        """One file's stamp, None where nothing has this name."""
        with self._open_folder() as folder:
            try:
                return _stamp(os.stat(name, dir_fd=folder, follow_symlinks=False))
            except FileNotFoundError:
                return None

    def read(self, name: str) -> tuple[bytes, Stamp]:
        """The file's bytes. Raises Refused, with the reason, for all but a private regular file of ours."""
        _check(name)
        with self._open_folder() as folder:
            return _safe_read(folder, name)

    def make_room(self, name: str) -> None:
        """Reserves what the next commit of `name` may need, until that or `leave_room`. Raises OSError."""
        _check(name)
        with self._open_folder() as folder:
            self._rooms[name] = _reserve(folder, name, FILE_LIMIT)

    def leave_room(self, name: str) -> None:
        if room := self._rooms.pop(name, None):
            os.close(room[1])
            with self._open_folder() as folder, suppress(OSError):
                os.unlink(room[0], dir_fd=folder)

    def commit(self, name: str, data: bytes) -> Stamp:
        """Durable when it returns. Raises OSError with the old file in place (or, after the rename, the new one)."""
        _check(name)
        with self._open_folder() as folder:
            temporary, fd = self._rooms.pop(name) if name in self._rooms else _reserve(folder, name, len(data))
            try:
                os.ftruncate(fd, len(data))
                _fill(fd, data)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
                stamp = _stamp(os.fstat(fd))  # after the rename, which is a change of the inode too
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            finally:
                os.close(fd)
            os.fsync(folder)
            return stamp

    def sync(self) -> None:
        """Makes a rename durable of which that is not known: somebody's last fsync failed. Raises OSError."""
        with self._open_folder() as folder:
            os.fsync(folder)

    def remove(self, name: str) -> None:
        _check(name)
        with self._open_folder() as folder:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    @asynccontextmanager
    async def lease(self, name: str, *, wait: float, held: str = "") -> AsyncIterator[None]:
        """Holds `name` against every other process. Raises TryLater after `wait` seconds, in the words of `held`.

        `flock`, not record locks: those fall when anybody in the process closes the file. Asked for without waiting
        and with a growing pause: a thread that waits in the kernel cannot be cancelled.
        """
        deadline = asyncio.get_running_loop().time() + wait
        pause = _BACKOFF[0]
        fd = self._open_lock(name)
        try:
            while not _take(fd, fcntl.LOCK_EX):
                if asyncio.get_running_loop().time() >= deadline:
                    held = held or f"{name} is in another vaultd process's hands for {wait:.0f} s now"
                    raise TryLater(f"{held}: try again", own=True)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  - spreads waiters, guards nothing
                pause = min(pause * 2, _BACKOFF[1])
            yield
        finally:
            os.close(fd)

    @contextmanager
    def locked(self, name: str, *, shared: bool = False) -> Iterator[None]:
        """The same lock waited for in the kernel: for worker threads, where it is held for milliseconds only."""
        fd = self._open_lock(name)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _open_lock(self, name: str) -> int:
        """Lock files stay for ever: one removed or renamed while another waits on it would let both in."""
        _check(name)
        path = self._locks / f"{name.removesuffix('.json')}.lock"
        flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with suppress(FileNotFoundError):
                return os.open(path, os.O_RDONLY | flags)  # enough for flock, and possible where nothing can be written
            return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
        except OSError as error:
            raise TryLater(f"{name} cannot be locked: {path}: {error.strerror}", own=True) from error

    @contextmanager
    def _open_folder(self) -> Iterator[int]:
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            facts = os.fstat(fd)
            if facts.st_uid != os.geteuid():
                raise Misconfigured(
                    f"{self.folder} belongs to another user: chown it to the one that runs vaultd",
                    code="folder-foreign",
                )
            if facts.st_mode & 0o077:
                os.fchmod(fd, 0o700)
                self.warnings.append(f"{self.folder} was open to others ({facts.st_mode & 0o777:04o}); it is 0700 now")
            yield fd
        finally:
            os.close(fd)

    def _sweep(self) -> None:
        """Removes what a killed commit left. Whoever is committing now holds the lease, and keeps his.

        What cannot be removed now, on a disk that became read-only, stays: it is in nobody's way.
        """
        with self._open_folder() as folder:
            for entry in os.listdir(folder):  # noqa: PTH208  - below a descriptor
                left = _TEMPORARY.fullmatch(entry)
                if left is None or not NAME.fullmatch(left["name"]):
                    continue
                with suppress(OSError, TryLater):
                    fd = self._open_lock(left["name"])
                    try:
                        if _take(fd, fcntl.LOCK_EX):
                            os.unlink(entry, dir_fd=folder)
                    finally:
                        os.close(fd)


def make_private(folder: Path) -> None:
    """Makes the folder and its missing parents, 0700 whatever the umask says."""
    try:
        for missing in reversed([part for part in (folder, *folder.parents) if not part.exists()]):
            with suppress(FileExistsError):
                missing.mkdir(mode=0o700)
    except OSError as error:
        raise Misconfigured(f"{folder} cannot be made: {error.strerror}", code="folder-unwritable") from error


def reason(error: BaseException) -> str:
    """Why something failed, without the path that an OSError's text ends with."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _entries(folder: int) -> list[str]:
    found = os.listdir(folder)
    return [name for name in found if name.endswith(".json") and not name.startswith(".")]


def _told(name: str) -> str:
    """A name that is no UTF-8 is none of ours: it is only ever told, and half a character cannot be, in JSON."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _check(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Refused("its name is none that a sealed file may have: letters, digits and ._@+- and at most 127 of them")


def _take(fd: int, operation: int) -> bool:
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stamp(facts: os.stat_result) -> Stamp:
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def _safe_read(folder: int, name: str) -> tuple[bytes, Stamp]:
    try:
        # O_NONBLOCK: opening a pipe must not wait for its writer.
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise Refused(_NO_FILE, code="file-not-regular") from None
        raise
    try:
        facts = os.fstat(fd)
        _check_private(facts)
        data = b""
        while chunk := os.read(fd, FILE_LIMIT + 1 - len(data)):
            data += chunk
        return data, _stamp(facts)
    finally:
        os.close(fd)


def _check_private(facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise Refused(_NO_FILE, code="file-not-regular")
    if facts.st_uid != os.geteuid():
        raise Refused("it belongs to another user: chown it", code="file-open")
    if facts.st_mode & 0o077:
        raise Refused(
            f"open to others ({facts.st_mode & 0o777:04o}): chmod 600 it, if nobody else had a hand in it",
            code="file-open",
        )
    if facts.st_nlink != 1:
        raise Refused("it has another name elsewhere (a hard link): put a copy here", code="file-not-regular")
    if facts.st_size > FILE_LIMIT:
        raise Refused(f"larger than {FILE_LIMIT} bytes, so no sealed file")


def _reserve(folder: int, name: str, size: int) -> tuple[str, int]:
    """Space first: on a full disk this fails before anything is spent that only the write could save."""
    temporary = f".{name}.{secrets.token_hex(8)}.tmp"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        os.fchmod(fd, 0o600)  # a umask takes bits away: one of 0777 would leave a file that we cannot read ourselves
        os.posix_fallocate(fd, 0, size)
    except BaseException:
        os.close(fd)
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return temporary, fd


def _fill(fd: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], written)
    os.fsync(fd)
    if os.pread(fd, len(data) + 1, 0) != data:
        raise OSError(errno.EIO, "what was written does not read back")
