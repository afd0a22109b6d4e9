"""The commit journal: a line per commit, outside the credentials' folder, for a restored backup of that to be seen.

    VAULTD_COMMIT <credential> <generation> <created_at>

The last of the anchors that show that a file was rolled back (`vault.anchors`): whoever restores the whole folder, its
ledger included, brings back old tokens that this file still knows to be old. It is written after everything else and
not synced: a line that a power cut takes leaves the anchor behind the file, which is harmless.

Several processes append, each line in one write at the end. A line that a kill cut short is no line, and one half of a
number is a smaller number.
"""

from __future__ import annotations

import fcntl
import hashlib
import math
import os
import secrets
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from vaultd.errors import Misconfigured
from vaultd.vault.credential import Mark
from vaultd.vault.envelope import NAME
from vaultd.vault.store.files import make_private, reason

_WORD: Final = "VAULTD_COMMIT"
#: 15,000 lines or so, which a start reads in 20 ms: a year of one credential that is renewed every hour, and more.
_LARGE: Final = 1024 * 1024


def tag(folder: Path) -> str:
    """Tells the folders of one machine apart, by the real path (two names of one folder are one)."""
    return hashlib.sha256(os.path.realpath(folder).encode()).hexdigest()[:8]


class Journal:
    """`path` None: none is kept. Safe for threads, and against other processes' appending and compacting."""

    def __init__(self, path: Path | None) -> None:
        self.path: Final = path
        self._unread = self._unwritten = ""
        self._marks: dict[str, Mark] = {}
        self._read: tuple[int, int] = (0, 0)  # inode, and how far it was read
        self._limit = _LARGE
        self._mutex = threading.Lock()

    @classmethod
    def of(cls, folder: Path, state_dir: Path | None) -> Journal:
        return cls(state_dir / f"commits-{tag(folder)}.log" if state_dir is not None else None)

    @property
    def trouble(self) -> str:
        """Why the last line is not in it, or why it cannot be read; empty where all is well. Each ends by itself: a
        daemon only reads, its keeper writes."""
        return self._unwritten or self._unread

    @property
    def marks(self) -> Mapping[str, Mark]:
        """Credential id → the furthest it came."""
        return self._marks

    def follow(self) -> None:
        """Takes up what was appended since. One stat where that is nothing."""
        if self.path is None:
            return
        with self._mutex:
            try:
                facts = self.path.stat(follow_symlinks=False)
                if (facts.st_ino, facts.st_size) != self._read:
                    self._take_up(self.path)
            except FileNotFoundError:
                self._unread = ""  # nothing was written yet, or it is begun anew
            except OSError as error:
                self._unread = f"{self.path} cannot be read: {reason(error)}"
            else:
                self._unread = ""

    def append(self, id_: str, mark: Mark) -> None:
        """Raises nothing: a commit is one, journal or none. `trouble` tells."""
        if self.path is None:
            return
        line = f"{_WORD} {id_} {mark.generation} {float(mark.created_at)!r}\n".encode()
        try:
            make_private(self.path.parent)
            with self._locked(self.path):
                fd = _opened(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
                try:
                    size = os.fstat(fd).st_size
                    if size and os.pread(fd, 1, size - 1) != b"\n":
                        line = b"\n" + line  # somebody was killed in the middle of his
                    if os.write(fd, line) != len(line):
                        raise OSError(0, "it was written in part: free space")
                finally:
                    os.close(fd)
                if size > self._limit:
                    self._compact(self.path)
        except (OSError, Misconfigured) as error:
            self._unwritten = f"{self.path} cannot be written: {reason(error)}"
        else:
            self._unwritten = ""

    def _take_up(self, path: Path) -> None:
        fd = _opened(path, os.O_RDONLY)
        with open(fd, "rb") as file:  # noqa: PTH123  - a descriptor
            inode = os.fstat(fd).st_ino
            known, offset = self._read
            # Another file, or a shorter one: compacted, or taken away and begun anew.
            file.seek(offset if known == inode and offset <= os.fstat(fd).st_size else 0)
            start, data = file.tell(), file.read()
        whole = data.rfind(b"\n") + 1
        for id_, mark in _lines(data[:whole]):
            if mark > self._marks.get(id_, _NEVER):
                self._marks[id_] = mark
        self._read = (inode, start + whole)

    def _compact(self, path: Path) -> None:
        """One line for each credential. Under the lock: nobody appends to the file that is being replaced."""
        furthest: dict[str, Mark] = {}
        for id_, mark in _lines(path.read_bytes()):
            furthest[id_] = max(mark, furthest.get(id_, _NEVER))
        data = b"".join(
            f"{_WORD} {id_} {mark.generation} {mark.created_at!r}\n".encode() for id_, mark in furthest.items()
        )
        temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:  # noqa: PTH123  - a descriptor
                file.write(data)
                file.flush()
                os.fsync(fd)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        # As much again may come before it is worth while once more.
        self._limit = max(_LARGE, 2 * len(data))

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """A file of its own: the journal is replaced when it is compacted, and its lock would go with it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path.with_suffix(".lock"), flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


_NEVER: Final = Mark(-math.inf, -1)


def _opened(path: Path, flags: int) -> int:
    """No link, and no pipe, which would take what is written until it is full and then make the writer wait."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(0, "not a regular file")
    return fd


def _lines(data: bytes) -> Iterator[tuple[str, Mark]]:
    for line in data.decode("ascii", "replace").splitlines():
        match line.split(" "):
            case [word, id_, generation, created_at] if word == _WORD and NAME.fullmatch(f"{id_}.json"):
                with suppress(ValueError):
                    mark = Mark(float(created_at), int(generation))
                    if math.isfinite(mark.created_at) and mark.generation >= 0:
                        yield id_, mark
