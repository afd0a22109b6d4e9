"""Where a new token lies, sealed as ever, while the credentials' folder does not take it (SEC-46).

In the first of some places that works: one that outlives a restart of the machine first, then one in memory, which is
not full when a disk is. Written under the credential's lease, and gone once the folder has taken it, or something
newer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from vaultd.errors import VaultdError
from vaultd.vault.envelope import NAME
from vaultd.vault.journal import tag
from vaultd.vault.store.files import FileStore, reason


class Emergency:
    """Copies of the files of `folder`, by their names there. Each folder of credentials has a folder in each place."""

    def __init__(self, folder: Path, places: Sequence[Path]) -> None:
        self._folders: Final = tuple(place / tag(folder) for place in places)
        # The credentials' own: whoever holds a credential holds its copies.
        self._locks: Final = folder / ".vault" / "locks"
        self._stores: dict[Path, FileStore] = {}
        #: Path → why it is of no use.
        self.troubles: dict[str, str] = {}

    def _listed(self) -> Iterator[tuple[FileStore, list[str]]]:
        """The places that were ever needed, and what lies there: two system calls where none was."""
        for folder in self._folders:
            try:
                if not folder.is_dir():
                    self._stores.pop(folder, None)
                    continue
                store = self._store(folder)
                names = store.names()
            except (OSError, VaultdError) as error:
                self.troubles[str(folder)] = reason(error)
            else:
                self.troubles.pop(str(folder), None)
                yield store, names

    def stores(self) -> list[FileStore]:
        return [store for store, names in self._listed() if names]

    def names(self) -> list[str]:
        """Of what lies in any of them."""
        return sorted({name for _, names in self._listed() for name in names if NAME.fullmatch(name)})

    def holding(self, name: str) -> list[FileStore]:
        return [store for store, names in self._listed() if name in names]

    def save(self, name: str, sealed: bytes) -> Path:
        """Durable when it returns, as far as its place is. Raises OSError where there is none."""
        reasons = []
        for folder in self._folders:
            try:
                if not folder.is_dir():  # a service manager takes the runtime folder away with the service
                    self._stores.pop(folder, None)
                self._store(folder).commit(name, sealed)
            except (OSError, VaultdError) as error:
                reasons.append(f"{folder}: {reason(error)}")
            else:
                return folder / name
        raise OSError(0, "; ".join(reasons) or "there is no place for one")

    def remove(self, name: str) -> None:
        """What cannot be removed stays: it is older than what stands in the folder, and is looked at again."""
        for store in self.holding(name):
            try:
                store.remove(name)
            except OSError as error:
                self.troubles[str(store.folder / name)] = reason(error)
            else:
                self.troubles.pop(str(store.folder / name), None)

    def _store(self, folder: Path) -> FileStore:
        if folder not in self._stores:
            self._stores[folder] = FileStore(folder, self._locks)
        return self._stores[folder]
