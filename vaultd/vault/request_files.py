"""Requests that were kept, each in a sealed file of its own: what a client and a vendor said to each other.

A file is lines of sealed JSON (`vault.envelope`), which hold 48 KiB each: first the facts for a list, then the text,
compressed and cut. Each line is bound to the file's name and its place in it. A recovery key opens them as it does all
else; a rotation leaves them alone, and when the key they were sealed with is gone they cannot be read any more, which
within a day they could not be anyway.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from vaultd.vault.envelope import FILE_LIMIT, PLAIN_LIMIT, REQUEST, NotSealed, Refused
from vaultd.vault.keyring import Keyring
from vaultd.vault.store.files import make_private

#: Unix milliseconds, by which files are sorted and grow old, and six digits against two in one of them.
NAME: Final = re.compile(r"[0-9]{13}-[0-9a-f]{6}", re.ASCII)
#: THR-30.
_AGE: Final = 24 * 3600.0
#: More than anybody looks through; one busy agent asks as often in an hour.
FILES: Final = 500
#: What a small server's disk has to spare for a day of looking.
BYTES: Final = 64 * 1024 * 1024
#: The text of one file: many times what `work.request_note` keeps of a request.
_TEXT: Final = 64 * 1024 * 1024
_PROVIDER: Final = "vaultd"
_SUFFIX: Final = ".json"


class Kept(NamedTuple):
    name: str
    size: int

    @property
    def at(self) -> float:
        return int(self.name[:13]) / 1000


class RequestFiles:
    """The folder is made when there is something to put in it."""

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self.folder: Final = folder
        self._keyring: Final = keyring

    def put(self, name: str, facts: bytes, text: str) -> None:
        """Raises OSError. Not made durable: a power cut may take what was kept to be looked at today."""
        packed = zlib.compress(text.encode("utf-8", "backslashreplace"), 6)
        pieces = [facts, *(packed[at : at + PLAIN_LIMIT] for at in range(0, len(packed), PLAIN_LIMIT))]
        file = name + _SUFFIX
        with self._keyring.steady():
            sealed = [
                self._keyring.seal(piece, typ=REQUEST, name=file, provider=_PROVIDER, generation=number)
                for number, piece in enumerate(pieces)
            ]
        make_private(self.folder)
        beside = self.folder / f".{file}.tmp"
        try:
            with os.fdopen(
                os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb"
            ) as opened:
                opened.write(b"\n".join(sealed))
            beside.rename(self.folder / file)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise

    def kept(self) -> list[Kept]:
        """Newest first. Of a folder that cannot be read, none: whoever writes there hears why."""
        found = []
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                stem = entry.name.removesuffix(_SUFFIX)
                if entry.name.endswith(_SUFFIX) and NAME.fullmatch(stem) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        found.append(Kept(stem, entry.stat(follow_symlinks=False).st_size))
        return sorted(found, reverse=True)

    def facts(self, name: str) -> bytes:
        """Raises Refused, OSError."""
        with self._open(name) as file:
            return self._opened(name, file.readline(FILE_LIMIT + 1), 0)

    def text(self, name: str) -> str:
        """Raises Refused, OSError."""
        with self._open(name) as file:
            lines = file.read(_TEXT).split(b"\n")
        packed = b"".join(self._opened(name, line, number) for number, line in enumerate(lines) if number)
        unpacking = zlib.decompressobj()
        try:
            text = unpacking.decompress(packed, _TEXT).decode()
        except (zlib.error, UnicodeDecodeError):
            raise Refused("damaged: what is in it cannot be unpacked") from None
        if not unpacking.eof:
            raise Refused("damaged: it ends in the middle")
        return text

    def remove(self, name: str) -> bool:
        try:
            (self.folder / f"{_checked(name)}{_SUFFIX}").unlink()
        except FileNotFoundError:
            return False
        return True

    def sweep(self, now: float) -> None:
        """What is too old, or dated from a day to come, goes; then the oldest, until number and size are as they may
        be. So does what a kill left half written."""
        for kept in self._too_much(now):
            self.remove(kept.name)
        for left in self.folder.glob(".*.tmp"):  # only the one thread that sweeps makes such files
            left.unlink(missing_ok=True)

    def _too_much(self, now: float) -> Iterator[Kept]:
        files = size = 0
        for kept in self.kept():
            files, size = files + 1, size + kept.size
            if abs(now - kept.at) > _AGE or files > FILES or size > BYTES:
                yield kept

    def _open(self, name: str) -> BinaryIO:
        return (self.folder / f"{_checked(name)}{_SUFFIX}").open("rb")

    def _opened(self, name: str, line: bytes, number: int) -> bytes:
        opened = self._keyring.open(line.rstrip(b"\n"), typ=REQUEST, name=name + _SUFFIX, provider=_PROVIDER)
        if opened.generation != number:
            raise Refused("damaged: its parts are not in their order")
        return opened.plain


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise NotSealed("no request has such a name")
    return name
