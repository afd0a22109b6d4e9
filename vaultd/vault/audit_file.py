"""The audit log on the disk: lines in one file, turned over when it is large, and its head in the credentials' folder.

Order of one line: the line, durable; then the head, durable; then the writer is told. A kill between the two leaves the
log one line ahead of its head. That is no tampering, and is worth nothing to whoever would cut that line off: what it
asked for has not begun, or, where it is an outcome, the line that asked still stands and has none. The next writer
brings the head up before anything else, so it is never two.

A log that is not as its head says is never mended: the chain goes on from the farthest that is known, with a line that
says so, and it counts as broken until somebody accepts it. A line that a power cut broke off in the writing was
promised to nobody: it is kept, and the next line names its bytes.

Everything in here blocks, and writing wants the lock (`audit.Audit`).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from vaultd.errors import Misconfigured
from vaultd.vault.audit_chain import (
    BROKEN,
    LONGEST,
    TORN,
    Finding,
    Head,
    Keys,
    Line,
    Outcome,
    Report,
    Walk,
    rest_of,
    torn,
)
from vaultd.vault.envelope import Refused
from vaultd.vault.store.files import FileStore, make_private

HEAD: Final = "audit.json"
#: 40,000 lines, so 20,000 changes; read in a second. Eight of them are years of a busy household, and all that a
#: program which changes something each second may take of a disk.
FILE_BYTES: Final = 16 * 1024 * 1024
FILES: Final = 8
#: Who writes the log's own lines.
LOG: Final = "audit log"


class Said(NamedTuple):
    """What a line is to say. `asked`: the number of the line that asked for it. `at`: RFC 3339."""

    at: str
    who: str
    action: str
    outcome: Outcome
    what: str = ""
    status: str = ""
    asked: int = 0


class _End(NamedTuple):
    """Where the log ends: its last good line, and the bytes that stand after it."""

    line: Line | None = None
    rest: bytes = b""


class _Standing(NamedTuple):
    """`head`: what the next line follows on. `wrong`: how the log is not as it was left; empty where it is."""

    head: Head
    wrong: str
    behind: bool
    rest: bytes


class Log(NamedTuple):
    """The log at one moment, for a walk that takes seconds and holds up nobody who writes: what is appended later lies
    beyond the sizes, and files that are open are not lost when they are turned over. `seen`: the last line that this
    process knows of."""

    head: Head | None
    wrong: str
    seen: int
    files: list[tuple[str, BinaryIO, int]]
    files_open: ExitStack


class AuditFile:
    def __init__(self, path: Path, store: FileStore, keys: Keys, most: int = FILE_BYTES) -> None:
        self.path: Final = path
        self.head_path: Final = store.folder / HEAD
        self._store: Final = store
        self._most: Final = most
        self._keys: Final = keys
        #: As far as this process has seen the chain come: head and log that are put back together are noticed by it.
        self._seen = Head()

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, said: Said) -> Line:
        """Raises OSError, Misconfigured."""
        standing = self._standing()
        head, rest = standing.head, standing.rest
        if standing.behind:
            self._commit(head)
        start = b"\n" if rest and not rest.endswith(b"\n") else b""
        if standing.wrong:
            head, _ = self._put(
                head, said._replace(who=LOG, action=BROKEN, outcome="noted", what=standing.wrong), start
            )
        elif rest:
            head, _ = self._put(head, said._replace(who=LOG, action=TORN, outcome="noted", what=rest_of(rest)), start)
        head, line = self._put(head, said, b"")
        # A full file that cannot be turned over is written on.
        with suppress(OSError):
            self._turn_over(head)
        return line

    def _put(self, head: Head, said: Said, start: bytes) -> tuple[Head, Line]:
        line = Line(**said._asdict(), seq=head.seq + 1, prev=head.mac)
        data, line = self._keys.write(line)
        self._write(start + data)
        head = head.after(line)
        self._commit(head)
        return head, line

    def _write(self, data: bytes) -> None:
        make_private(self.path.parent)
        new = not self.path.exists()
        fd = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            os.fchmod(fd, 0o600)
            size = os.fstat(fd).st_size
            try:
                if os.write(fd, data) != len(data):
                    raise OSError(0, "it was written in part: free space")
                os.fsync(fd)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(fd, size)  # what nobody was told of
                raise
        finally:
            os.close(fd)
        if new:
            self._sync_folder()

    def _commit(self, head: Head) -> None:
        self._store.commit(HEAD, self._keys.write_head(head))
        self._seen = head

    def _turn_over(self, head: Head) -> None:
        """Older files are called by their last line's number, so that one rename is all there is to it."""
        if self.path.stat().st_size >= self._most:
            self.path.rename(self.path.with_name(f"{self.path.name}.{head.seq}"))
            self._sync_folder()
            head = head.turned_over(FILES - 1)
            self._commit(head)
            # After the head says so: a file that should be gone and is there is no loss.
            for path in self._older():
                if _number(path) < min(head.first, head.turned[0]):
                    path.unlink()

    def _sync_folder(self) -> None:
        fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    # --- how it stands ------------------------------------------------------------------------------------------------

    def trouble(self) -> str:
        """How the log's end is not as its head says; empty where it is. Two small reads, without the lock: whoever
        writes meanwhile changes the head, and then it is looked at again."""
        while True:
            before = self._head()
            standing = self._standing()
            if self._head() == before:
                break
        if standing.wrong:
            return standing.wrong
        return (
            f"its line {standing.head.broken} says that it was not as it had been left" if standing.head.broken else ""
        )

    def unwritable(self) -> str:
        """Why no line could be written now, as far as a look can tell."""
        for place in (self.path if self.path.exists() else _existing(self.path.parent), self.head_path.parent):
            if not os.access(place, os.W_OK):
                return f"{place} cannot be written"
            free = os.statvfs(place)
            if free.f_bavail * free.f_frsize < LONGEST:
                return f"no space left for {place}"
        return ""

    def _standing(self) -> _Standing:
        known, wrong = self._head()
        end = self._end()
        line, head = end.line, known or Head()
        if line is not None and not wrong and (line.seq, line.prev) == (head.seq + 1, head.mac):
            head = head.after(line)
        reached = (line.seq, line.mac) if line is not None else (0, Head().mac)
        if self._seen.seq > head.seq or (self._seen.seq == head.seq and self._seen.mac != head.mac):
            wrong = wrong or f"{HEAD} knows of line {head.seq}, and line {self._seen.seq} was written"
        if reached != (head.seq, head.mac):
            wrong = wrong or f"it ends with line {reached[0]}, and {HEAD} knows of line {head.seq}"
        elif end.rest and not torn(end.rest):
            wrong = wrong or f"{len(end.rest)} bytes that are none of ours stand after line {head.seq}"
        if wrong:
            of_line = msgspec.structs.replace(head, seq=line.seq, mac=line.mac) if line is not None else Head()
            head = max(head, self._seen, of_line, key=lambda one: one.seq)
        return _Standing(head, wrong, known is not None and head.seq == known.seq + 1 and not wrong, end.rest)

    def _head(self) -> tuple[Head | None, str]:
        try:
            return self._keys.read_head(self._store.read(HEAD)[0]), ""
        except FileNotFoundError:
            return None, ""
        except (Misconfigured, Refused) as error:
            return None, f"{self.head_path}: {error}"

    def _end(self) -> _End:
        with suppress(FileNotFoundError):
            if (end := self._end_of(self.path)) is not None:
                return end
        for older in reversed(self._older()):
            if (end := self._end_of(older)) is not None:
                return _End(end.line)
        return _End()

    def _end_of(self, path: Path) -> _End | None:
        """None for an empty file."""
        with self._opened(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 2 * LONGEST))
            data = file.read()
        if not data:
            return None
        at = len(data)
        # Its last line, or the one before it where that was broken off; farther up it is not our own doing any more.
        for raw in reversed(data.splitlines(keepends=True)):
            if raw.endswith(b"\n") and (line := self._keys.read(raw[:-1])) is not None:
                return _End(line, data[at:])
            at -= len(raw)
        return _End(None, data)

    # --- reading ------------------------------------------------------------------------------------------------------

    def as_it_is(self) -> Log:
        """Wants the lock. Raises OSError."""
        head, wrong = self._head()
        with ExitStack() as stack:
            files = [(path.name, stack.enter_context(self._opened(path))) for path in self._all()]
            sizes = [os.fstat(file.fileno()).st_size for _, file in files]
            return Log(
                head,
                wrong,
                self._seen.seq,
                [(*one, size) for one, size in zip(files, sizes, strict=True)],
                stack.pop_all(),
            )

    def walk(self, log: Log) -> Report:
        """All of it, and closes it. Raises OSError."""
        walk = Walk(self._keys, log.head)
        with log.files_open:
            for name, file, size in log.files:
                walk.lines(name, _raw_lines(file, size))
        report = walk.end(self.path.name, f".vault/{HEAD}", log.wrong)
        if log.seen > report.last:
            says = f"line {log.seen} was written by this process, and the log and its head end before it"
            report.problems.append(Finding(self.path.name, 0, says))
            report.sound = False
        return report

    def last(self, most: int) -> list[Line]:
        """The last lines that are sound, oldest first. Raises OSError."""
        found: deque[Line] = deque(maxlen=most)
        for path in reversed(self._all()):
            of_file: deque[Line] = deque(maxlen=most - len(found))
            with self._opened(path) as file:
                of_file.extend(line for raw in _raw_lines(file) if (line := self._keys.read(raw.rstrip(b"\n"))))
            found.extendleft(reversed(of_file))
            if len(found) == most:
                break
        return list(found)

    def _all(self) -> list[Path]:
        return [*self._older(), *([self.path] if self.path.exists() else [])]

    def _older(self) -> list[Path]:
        """Oldest first."""
        beside = [path for path in self.path.parent.glob(f"{self.path.name}.*") if path.suffix[1:].isdecimal()]
        return sorted(beside, key=_number)

    def _opened(self, path: Path) -> BinaryIO:
        return open(self._open(os.O_RDONLY, path), "rb")  # noqa: PTH123  - a descriptor

    def _open(self, flags: int, path: Path | None = None) -> int:
        """No link, and no pipe, on which a reader or writer would wait."""
        path = path or self.path
        try:
            fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise OSError(0, f"{path.name} is a link: put the file itself there") from error
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(0, f"{path.name} is no regular file: move it away")
        return fd


def _number(path: Path) -> int:
    return int(path.suffix[1:])


def _raw_lines(file: BinaryIO, size: int = sys.maxsize) -> Iterator[bytes]:
    while raw := file.readline(min(LONGEST, size)):
        size -= len(raw)
        yield raw


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: in that one it would be made."""
    return next(part for part in (folder, *folder.parents) if part.exists())
