"""What a worker thread does for the owner: a file made durable, and then what tells of it; or its emergency copy.

In this order, so that whatever is killed in between, what is written down is never ahead of what it tells of: the
credential's file, the ledger, the journal. Apart from the owner because nothing of his is changed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from vaultd.errors import VaultdError
from vaultd.vault.anchors import Anchors
from vaultd.vault.credential import Credential
from vaultd.vault.emergency import Emergency
from vaultd.vault.envelope import TOKEN
from vaultd.vault.keyring import Keyring
from vaultd.vault.ledger import Intent, Page
from vaultd.vault.store.files import FileStore, Stamp, reason

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a commit. Without a stamp: `reason`, and where the emergency copy lies."""

    stamp: Stamp | None = None
    page: Page | None = None
    reason: str = ""
    copy: str = ""


class Commits:
    """Under the credential's lease, all of it."""

    def __init__(self, store: FileStore, keyring: Keyring, anchors: Anchors, emergency: Emergency) -> None:
        self._store: Final = store
        self._keyring: Final = keyring
        self._anchors: Final = anchors
        self._emergency: Final = emergency

    def write(self, new: Credential, intent: Intent | None, *, there: bool, copy: str) -> Written:
        """`intent`: what is still under way afterwards. `there`: the file is, but perhaps not for good. `copy`: where
        this very value lies sealed already."""
        name = f"{new.id}.json"
        try:
            if there:
                self._store.sync()
            with self._keyring.steady():
                stamp = self._store.stamp(name) if there else None
                stamp = stamp or self._store.commit(name, self._sealed(new))
        except (OSError, VaultdError) as error:
            return self._set_aside(new, reason(error), copy)
        page = self._anchors.advance(new.id, new.mark, intent)
        self._emergency.remove(name)
        return Written(stamp, page)

    def erase(self, id_: str) -> None:
        """Raises OSError with the file in place."""
        self._store.remove(f"{id_}.json")
        self._emergency.remove(f"{id_}.json")
        with suppress(OSError):  # an entry without its file says nothing that a later sign-in does not outdo
            self._anchors.forget(id_)

    def _set_aside(self, new: Credential, why: str, copy: str) -> Written:
        """Once for each value: it is tried again every second."""
        kept = "kept in memory"
        if not copy:
            try:
                copy = str(self._emergency.save(f"{new.id}.json", self._sealed(new)))
            except (OSError, VaultdError) as error:
                kept = f"kept in memory alone ({reason(error)})"
        where = f" and sealed in {copy}" if copy else ""
        return Written(reason=f"not saved ({why}), {kept}{where}; free space or repair the folder", copy=copy)

    def _sealed(self, new: Credential) -> bytes:
        plain = msgspec.json.encode(new.to_plain())
        name, generation = f"{new.id}.json", new.generation
        return self._keyring.seal(plain, typ=TOKEN, name=name, provider=new.provider, generation=generation)


async def whole(work: Callable[[], T]) -> tuple[asyncio.Future[T], bool]:
    """In a worker thread, to its end whatever happens to the caller, who is told whether he was cancelled meanwhile."""
    doing = asyncio.get_running_loop().run_in_executor(None, work)
    return doing, await outlasted(doing)


async def outlasted(doing: asyncio.Future[T]) -> bool:
    """Waits for it whatever happens to the caller, who is told whether he was cancelled meanwhile."""
    cancelled = False
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
