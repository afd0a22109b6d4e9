"""The log in a file: written like stderr, turned over when it is large, read from its end, emptied on request.

Only its owner may read it (0600): of who asks what when, other users of the machine are told nothing.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TextIO

from vaultd.net.logs import Gathered

#: As much as CLIProxyAPI keeps in one file; five of them are a month of a busy household.
FILE_BYTES: Final = 10 * 1024 * 1024
_FILES: Final = 5


#: How `logs.JsonLine` begins.
_JSON: Final = '{"ts":"'


class Tail(NamedTuple):
    """Lines, oldest first, and the unix second of the last."""

    lines: list[str]
    latest: int


class LogFile(Gathered):
    """`path`, and beside it `path.1` (younger) to `path.4` (older)."""

    def __init__(self, path: Path, most: int = FILE_BYTES) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path: Final = path
        self._most: Final = most
        super().__init__(_opened(path))

    def flush(self) -> None:
        """Turned over only between two writes: a file may be larger than `most` by what came in a tenth of a second."""
        assert self.lock is not None
        with self.lock:
            super().flush()
            with suppress(OSError, ValueError):  # as there: nothing that a log tells of may fail because of it
                if os.fstat(self.stream.fileno()).st_size >= self._most:
                    self._turn_over()

    def close(self) -> None:
        super().close()
        with suppress(OSError, ValueError):
            self.stream.close()

    def clear(self) -> int:
        """Empties the file, removes the older ones; answers how many. Raises OSError."""
        assert self.lock is not None
        with self.lock:
            super().flush()
            # The file stays the one that is written to: opened for appending, it goes on at its new end.
            os.ftruncate(self.stream.fileno(), 0)
            older = [path for path in self._older() if path.exists()]
            for path in older:
                path.unlink()
            return len(older)

    def tail(self, after: int, lines: int, size: int) -> Tail:
        """As `tail_of`, with what waits to be written."""
        assert self.lock is not None
        with ExitStack() as stack:
            with self.lock:
                super().flush()
                files = _open_all(stack, self._path)
            return _tail(files, after, lines, size)

    def _older(self) -> Iterator[Path]:
        return _older(self._path)

    def _turn_over(self) -> None:
        # The new one first: where none can be made, the full one is written on, and the older ones stay.
        beside = self._path.with_name(f"{self._path.name}.new")
        fresh = _opened(beside)
        paths = [self._path, *self._older()]
        for young, old in reversed(list(itertools.pairwise(paths))):
            with suppress(FileNotFoundError):
                young.replace(old)
        beside.replace(self._path)
        full, self.stream = self.stream, fresh
        full.close()


def tail_of(path: Path, after: int, lines: int, size: int) -> Tail:
    """The last `lines` of at most `size` bytes, but none of the second `after` or earlier. For a file that some other
    process writes, or none any more. Raises OSError."""
    with ExitStack() as stack:
        return _tail(_open_all(stack, path), after, lines, size)


def _tail(files: Sequence[BinaryIO], after: int, lines: int, size: int) -> Tail:
    found: list[str] = []
    for file in files:
        young, size = _lines(file, size)
        wanted = [line for line in young if _second(line) > after]
        found = wanted + found
        if len(found) >= lines or size <= 0 or len(wanted) < len(young):
            break
    found = found[-lines:]
    return Tail(found, _second(found[-1]) if found else max(after, 0))


def _open_all(stack: ExitStack, path: Path) -> list[BinaryIO]:
    """Newest first. All at once, for they are renamed when one is full."""
    files: list[BinaryIO] = []
    for one in (path, *_older(path)):
        with suppress(FileNotFoundError):
            files.append(stack.enter_context(one.open("rb")))
    return files


def _older(path: Path) -> Iterator[Path]:
    for number in range(1, _FILES):
        yield path.with_name(f"{path.name}.{number}")


def _opened(path: Path) -> TextIO:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    os.fchmod(file, 0o600)
    return open(file, "a", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123 - a descriptor, kept


def _lines(file: BinaryIO, size: int) -> tuple[list[str], int]:
    """The whole lines among the last `size` bytes, and how many bytes more may be read."""
    whole = file.seek(0, os.SEEK_END)
    start = max(0, whole - size)
    file.seek(max(0, start - 1))
    data = file.read(whole - max(0, start - 1))
    if start > 0:  # what begins before stays out, a line that begins just there does not
        data = data.partition(b"\n")[2]
    return data.decode("utf-8", errors="backslashreplace").splitlines(), size - (whole - start)


def _second(line: str) -> int:
    """When a line was written, in either form; 0 for one that does not begin with that, which none of ours does."""
    begins = line.removeprefix(_JSON).partition('"' if line.startswith(_JSON) else " ")[0]
    try:
        return int(dt.datetime.fromisoformat(begins).timestamp())
    except ValueError:
        return 0
