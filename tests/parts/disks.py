"""Disks that are full, for the block that runs in it, or that fail as a test says."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vaultd.vault.store.files import FileStore, Stamp


@contextmanager
def a_full_disk() -> Iterator[None]:
    """The kernel refuses every write beyond a hundred bytes of a file, as a full disk would."""
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


@contextmanager
def in_the_way(path: Path) -> Iterator[None]:
    """A folder stands where a file should: it can be neither read nor replaced. The file is back afterwards."""
    aside = path.with_name(f"{path.name}.aside")
    if path.exists():
        path.rename(aside)
    path.mkdir(mode=0o700, parents=True)
    try:
        yield
    finally:
        path.rmdir()
        if aside.exists():
            aside.rename(path)


class SickStore(FileStore):
    """A folder on a disk that fails, as `sick` says: an errno of each commit, or of the sync that ends one. Or that is
    slow: `meanwhile` happens once, after a file was read and before anybody has what it held."""

    sick: int = 0
    unsynced: int = 0
    meanwhile: Callable[[], object] | None = None

    def read(self, name: str) -> tuple[bytes, Stamp]:
        found = super().read(name)
        if (meanwhile := self.meanwhile) is not None:
            self.meanwhile = None
            meanwhile()
        return found

    def commit(self, name: str, data: bytes) -> Stamp:
        if self.sick:
            raise OSError(self.sick, os.strerror(self.sick))
        stamp = super().commit(name, data)
        self._fail_to_sync()
        return stamp

    def sync(self) -> None:
        self._fail_to_sync()
        super().sync()

    def _fail_to_sync(self) -> None:
        if self.unsynced:
            raise OSError(self.unsynced, os.strerror(self.unsynced))
