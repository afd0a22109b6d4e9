"""Makes every sealed file conform to the keyring: `rotate`, and what a change of recovery keys entails.

What is to be done stands in the keyring before the first file is touched, and each file is done on its own, under its
lease: killed at any point, the folder is a mixture that reads, and the next call goes on where this one ended. A key
leaves the ring only when a look at all files, with nobody writing, finds none that names it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from vaultd.errors import TryLater
from vaultd.vault import envelope, rootkey
from vaultd.vault.envelope import NotSealed, Refused, Typ
from vaultd.vault.keyring import Keyring, Ring, Work
from vaultd.vault.store.files import FileStore

_LEASE: Final = "maintenance.json"
#: As long as a renewal may hold its file: 30 s for the vendor's answer, and as much again.
_WAIT: Final = 60.0


@dataclass(slots=True)
class Outcome:
    """`left` tells, file by file, why it is still as it was; it keeps the old keys alive."""

    changed: int = 0
    left: dict[str, str] = field(default_factory=dict)
    keys_dropped: int = 0


@asynccontextmanager
async def maintenance(keyring: Keyring) -> AsyncIterator[None]:
    """One vault command at a time on a folder; a running daemon goes on meanwhile."""
    async with keyring.files.lease(_LEASE, wait=0, held="another `vaultd vault` command is at work on this folder"):
        yield


async def rotate(keyring: Keyring, *, full: bool = False) -> Outcome:
    """A new key for the files. `full`: new content keys too, which whoever had the old key may know.

    Goes on with an interrupted change first, and is done with that unless more was asked for than it does.
    """
    async with maintenance(keyring):
        interrupted = keyring.ring.work
        if interrupted:
            outcome = await conform(keyring)
            if not full or interrupted == "full":
                return outcome
        keyring.switch(lambda ring: _with_new_key(ring, "full" if full else "wrap"))
        return await conform(keyring)


async def conform(keyring: Keyring) -> Outcome:
    """Brings every file to the keyring's recipients, then drops the keys that nothing uses."""
    outcome = Outcome()
    for store, typ in keyring.stores():
        for name in store.names():
            try:
                async with store.lease(name, wait=_WAIT):
                    outcome.changed += _conform_one(keyring, store, typ, name)
            except (Refused, TryLater) as error:
                outcome.left[name] = str(error)
            except OSError as error:
                outcome.left[name] = error.strerror or type(error).__name__
    before = len(keyring.ring.keys)
    keyring.switch(lambda ring: _settled(keyring, ring))
    outcome.keys_dropped = before - len(keyring.ring.keys)
    return outcome


def unfinished(keyring: Keyring) -> int:
    """How many files are not sealed for the keys they should be."""
    return sum(
        1
        for store, _ in keyring.stores()
        for name in store.names()
        if _kids(store, name) not in (None, keyring.ring.kids)
    )


def _with_new_key(ring: Ring, work: Work) -> Ring:
    key = rootkey.generate()
    return replace(ring, keys={**ring.keys, str(key.kid): key}, active=str(key.kid), work=work)


def _conform_one(keyring: Keyring, store: FileStore, typ: Typ, name: str) -> bool:
    if _kids(store, name) is None:  # nothing that a key of ours could open
        return False
    if store.stamp(name) is None:  # removed while we waited for it
        return False
    data, _ = store.read(name)
    with keyring.steady() as ring:
        if envelope.kids(data) == ring.kids:
            return False
        opened = keyring.open(data, typ=typ, name=name)
        if ring.work == "full":
            # Of the same generation: it is no later than it was, and one that was rolled back must not look so.
            sealed = keyring.seal(
                opened.plain, typ=typ, name=name, provider=opened.provider, generation=opened.generation
            )
        else:
            sealed = keyring.rewrap(data)
        if keyring.open(sealed, typ=typ, name=name, provider=opened.provider).plain != opened.plain:
            raise Refused("re-sealing did not give the same content back; it is as it was")
        store.commit(name, sealed)
    return True


def _settled(keyring: Keyring, ring: Ring) -> Ring:
    """Inside `switch`, where nobody seals."""
    named = [_kids(store, name) for store, _ in keyring.stores() for name in store.names()]
    used = {kid for kids in named if kids is not None for kid in kids} | {ring.active}
    if any(kids == [] for kids in named):  # a file that could not be read may name any key
        used |= set(ring.keys)
    conforming = all(kids in (None, ring.kids) for kids in named)
    return replace(
        ring,
        keys={kid: key for kid, key in ring.keys.items() if kid in used},
        work="" if conforming else ring.work,
    )


def _kids(store: FileStore, name: str) -> list[str] | None:
    """None for what is no sealed file, an empty list for one that cannot be read."""
    try:
        data, _ = store.read(name)
    except (Refused, OSError):
        return []
    try:
        return envelope.kids(data)
    except NotSealed:
        return None
    except Refused:
        return []
