"""Power cuts below the file system's API: a record of the calls, and every disk that a cut may leave.

strace records one renewal. A cut may fall after each call, and what POSIX lets a disk keep then is less than ext4 does:
of a file what was there at its last fsync or what is there now, of a folder the names at its last fsync or those of
any moment since. Each such disk is laid out in a folder, and a start looks at it. Needs no mount, and sees what ext4's
journal would cover for.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final

from committing import refresh_token
from strikes import Range, trace

_CALLS: Final = "openat,pwrite64,write,ftruncate,fallocate,fsync,renameat,unlinkat,sendto"
_HEX: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FD: Final = re.compile(r"(?:\d+|AT_FDCWD)<([^>]*)>")
_CALL: Final = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?")

#: One call: its name, the texts and paths in it, its other words, and the path of the descriptor it returned.
Call = tuple[str, list[bytes], list[str], list[str], str]


@dataclass
class File:
    now: bytes = b""
    #: At the last fsync.
    kept: bytes = b""


@dataclass
class Folder:
    now: dict[str, File] = field(default_factory=dict)
    #: The names at the last fsync, and after each change since.
    kept: list[dict[str, File]] = field(default_factory=list)


class Disk:
    """What is on it, and what a cut may leave of that."""

    def __init__(self, home: Path) -> None:
        self._folders: dict[str, Folder] = {}
        for file in home.rglob("*"):
            if file.is_file():
                content = file.read_bytes()
                self._in(str(file.parent)).now[file.name] = File(content, content)
        for folder in self._folders.values():
            folder.kept = [dict(folder.now)]
        self.sent = self.done = False

    def take(self, call: Call) -> None:
        name, texts, paths, words, made = call
        if name == "openat" and "O_CREAT" in " ".join(words):
            self._create(Path(made))
        elif name in {"pwrite64", "write"} and (file := self._file(paths[0])):
            at = int(words[-1]) if name == "pwrite64" else len(file.now)
            file.now = file.now[:at].ljust(at, b"\0") + texts[0] + file.now[at + len(texts[0]) :]
        elif name in {"ftruncate", "fallocate"} and (file := self._file(paths[0])):
            size = int(words[-1])
            kept = file.now if name == "fallocate" else file.now[:size]
            file.now = kept.ljust(size, b"\0")
        elif name == "fsync":
            self._sync(paths[0])
        elif name == "renameat":
            source, target = self._in(paths[0]), self._in(paths[1])
            target.now[texts[1].decode()] = source.now.pop(texts[0].decode())
            self._changed(source, target)
        elif name == "unlinkat":
            self._in(paths[0]).now.pop(texts[0].decode(), None)
            self._changed(self._in(paths[0]))
        elif name == "sendto" and texts:
            self.sent |= b'"sent"' in texts[0]
            self.done |= b'"done"' in texts[0]

    def left(self) -> Iterator[dict[str, bytes]]:
        """Path → content, for each disk that a cut may leave now."""
        for names in product(*(folder.kept for folder in self._folders.values())):
            for late in (False, True):
                yield {
                    f"{path}/{name}": file.now if late else file.kept
                    for path, entries in zip(self._folders, names, strict=True)
                    for name, file in entries.items()
                }

    def _create(self, path: Path) -> None:
        folder = self._in(str(path.parent))
        if path.name not in folder.now:
            folder.now[path.name] = File()
            self._changed(folder)

    def _sync(self, path: str) -> None:
        if path in self._folders:
            self._folders[path].kept = [dict(self._folders[path].now)]
        elif file := self._file(path):
            file.kept = file.now

    def _changed(self, *folders: Folder) -> None:
        for folder in folders:
            if folder.kept[-1] != folder.now:
                folder.kept.append(dict(folder.now))

    def _in(self, path: str) -> Folder:
        return self._folders.setdefault(path, Folder(kept=[{}]))

    def _file(self, path: str) -> File | None:
        return self._in(str(Path(path).parent)).now.get(Path(path).name)


async def cuts(range_: Range) -> tuple[int, list[str]]:
    """How many different disks a cut in one renewal may leave, and what was wrong with which."""
    line, env, words = await range_.ready("simulated")
    at = Path(env["HOME"])
    disk, log = Disk(at), at.with_suffix(".calls")
    tracer = await trace(
        *("-f", "-y", "-xx", "-s", "1000000", "-p", str(words["main"]), "-o", str(log), "-e", f"trace={_CALLS}")
    )
    await range_.go(line)
    line.close()
    await tracer.wait()
    seen: set[tuple[object, ...]] = set()
    wrong = []
    for number, call in enumerate(_read(log.read_text())):
        disk.take(call)
        for left in disk.left():
            key = (disk.sent, disk.done, *sorted(left.items()))
            if key in seen:
                continue
            seen.add(key)
            _lay_out(at, left)
            found = await range_.look("simulated", env)
            if why := _wrong(disk, found):
                wrong.append(f"after call {number} ({call[0]} {call[2]}): {why}")
    assert disk.sent
    assert disk.done
    return len(seen), wrong


def _read(log: str) -> Iterator[Call]:
    begun: dict[str, str] = {}
    for row in log.splitlines():
        pid = row.split(" ", 1)[0]
        if row.endswith("<unfinished ...>"):
            begun[pid] = row.removesuffix("<unfinished ...>").rstrip()
            continue
        if "resumed>" in row:
            row = begun.pop(pid) + row.partition("resumed>")[2]  # noqa: PLW2901  - the two halves of one call
        match = _CALL.match(row)
        if match is None or int(match[3]) < 0:
            continue
        texts = [bytes.fromhex(text.replace("\\x", "")) for text in _HEX.findall(match[2])]
        bare = _HEX.sub("", match[2])
        yield match[1], texts, [_path(path) for path in _FD.findall(bare)], bare.split(", "), _path(match[4] or "")


def _path(shown: str) -> str:
    """-xx writes paths in hexadecimal too."""
    return bytes.fromhex(shown.replace("\\x", "")).decode() if shown.startswith("\\x") else shown


def _lay_out(home: Path, left: dict[str, bytes]) -> None:
    for file in [file for file in home.rglob("*") if file.is_file()]:
        file.unlink()
    shutil.rmtree(home / "run", ignore_errors=True)
    (home / "run").mkdir(mode=0o700)
    for path, content in left.items():
        file = Path(path)
        if file.is_relative_to(home) and not file.is_relative_to(home / "run"):
            file.write_bytes(content)
            file.chmod(0o600)


def _wrong(disk: Disk, found: dict[str, Any]) -> str:
    new = found.get("refresh") == refresh_token(2)
    if found.get("refused", {"start": "failed"}) or not found["generation"]:
        return f"{found}"
    if disk.done and not new:
        return "acknowledged and lost"
    if not new and disk.sent and not found["unsettled"]:
        return "the vendor was asked, and nothing says so"
    return f"left over: {found['left']}" if found["left"] else ""
