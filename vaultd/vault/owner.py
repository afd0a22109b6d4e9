"""THE owner of credentials: everybody reads its snapshot, everybody writes through a lease of it.

    async with owner.leased(id) as lease:      # no other task, no other process
        lease.current                          # what is on disk now
        await lease.put(new)                   # sealed, durable, then visible

Several processes may have one folder: a lease is a file lock, what stands on disk is read again after taking it, and a
commit of somebody else with a higher generation wins. A value that could not be committed is still the newest there is
(the refresh token on disk is spent): it is used from memory, reported by `troubles`, and committed as soon as may be.

A file that is not sealed by us for its name is never loaded; `refused` says why. Within a run nothing goes back to an
older generation than was seen.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from vaultd.errors import Misconfigured, TryLater
from vaultd.vault.credential import Credential, Settings, file_stem
from vaultd.vault.envelope import TOKEN
from vaultd.vault.keyring import Keyring
from vaultd.vault.ledger import Intent
from vaultd.vault.look import GONE, Look, look
from vaultd.vault.store.files import FileStore, Stamp

#: A retry of a failed commit does not queue behind a renewal: the next rescan comes anyway.
_RETRY_WAIT: Final = 1.0


class Lease:
    """One credential, held. `current` is None where there is none, or none that may be used."""

    def __init__(self, owner: Owner, id: str) -> None:  # noqa: A002  - the house's word for it
        self.id: Final = id
        self._owner: Final = owner

    @property
    def current(self) -> Credential | None:
        return self._owner.get(self.id)

    @property
    def intent(self) -> Intent | None:
        """A renewal that somebody began and nobody ended: its outcome is unknown."""
        return None

    async def intend(self, endpoint: str, *, boot: float, wall: float) -> None:
        """From here on a renewal of `current` may be under way, whatever becomes of this process. Durable when it
        returns; the next `put` ends it. Raises TryLater where it cannot be written: then nothing may be sent."""

    async def resolve(self) -> None:
        """The renewal ended without a new token, and the old one was not spent: nothing is to be settled."""

    async def put(self, credential: Credential) -> Credential:
        """Makes it the credential, one generation up. Ends before a cancellation of the caller does.

        Where it cannot be made durable it is used from memory, and `Owner.troubles` says so.
        """
        known = self.current.generation if self.current is not None else 0
        new = replace(credential, id=self.id, generation=max(known, credential.generation) + 1, source="file")
        await self._owner._commit(new)  # noqa: SLF001  - a lease is a part of the owner, handed out
        return new

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Inside, the space of the first `put` is there already (SEC-44): a token is spent only where its successor can
        be kept. Raises TryLater where there is none. On the loop: two system calls, a twentieth of a millisecond."""
        store, name = self._owner._store, f"{self.id}.json"  # noqa: SLF001  - as in put
        try:
            store.make_room(name)
        except OSError as error:
            reason = f"its new token could not be saved ({error.strerror}): free space or repair the folder"
            raise TryLater(reason, own=True) from error
        try:
            yield
        finally:
            store.leave_room(name)

    async def remove(self) -> None:
        await self._owner._remove(self.id)  # noqa: SLF001  - as in put


class Owner:
    def __init__(self, store: FileStore, keyring: Keyring) -> None:
        self.folder: Final[Path] = store.folder
        self._store: Final = store
        self._keyring: Final = keyring
        self._held: dict[str, Credential] = {}  # what is on disk, by id
        self._stamps: dict[str, Stamp] = {}
        self._pending: dict[str, Credential] = {}  # what should be on disk and is not
        self._refused: dict[str, str] = {}
        self._unreadable: dict[str, str] = {}
        self._uncommitted: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._watchers: list[Callable[[], None]] = []
        self._snapshot: Mapping[str, Credential] = MappingProxyType({})

    async def load(self) -> None:
        await self.rescan()

    def snapshot(self) -> Mapping[str, Credential]:
        """All credentials by id, immutable; another object only after a change."""
        return self._snapshot

    def get(self, id: str) -> Credential | None:  # noqa: A002  - the house's word for it
        return self._snapshot.get(id)

    def refused(self) -> Mapping[str, str]:
        """File name → why it is not used, and what to do."""
        return dict(self._refused)

    def troubles(self) -> Mapping[str, str]:
        """Credential id → why what is used is not, or may not be, what is on disk."""
        return self._unreadable | self._uncommitted

    def unsettled(self) -> frozenset[str]:
        """Credentials whose last renewal was begun and never ended, as far as this process has seen."""
        return frozenset()

    def changed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back, on the loop, after each new snapshot. The answer unsubscribes."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    @asynccontextmanager
    async def leased(self, id: str, *, timeout: float = 60.0) -> AsyncIterator[Lease]:  # noqa: A002, ASYNC109
        """The credential, held against every other task and process. Raises TryLater after `timeout` seconds."""
        lock = self._locks.setdefault(id, asyncio.Lock())
        try:
            async with asyncio.timeout(timeout):
                await lock.acquire()
        except TimeoutError:
            raise TryLater(f"{id} is in another task's hands for {timeout:.0f} s now: try again", own=True) from None
        try:
            async with self._store.lease(f"{id}.json", wait=timeout):
                self._take_in(id, look(self._store, self._keyring, f"{id}.json"))
                self._publish()
                yield Lease(self, id)
        finally:
            lock.release()

    async def rescan(self) -> bool:
        """Reads what changed in the folder, and commits what could not be before. True if the snapshot changed."""
        before = self._snapshot
        # What a `put` makes durable while the folder is read is newer than what was read.
        held = dict(self._held)
        looks = await asyncio.get_running_loop().run_in_executor(None, self._look_around)
        for id_, seen in looks.items():
            if self._held.get(id_) is held.get(id_):
                self._take_in(id_, seen)
        self._publish()
        for id_ in list(self._pending):
            with suppress(TryLater):
                async with self.leased(id_, timeout=_RETRY_WAIT) as lease:
                    if id_ in self._pending and lease.current is not None:
                        await self._commit(lease.current)
        return self._snapshot is not before

    async def settle(self, credential: Credential) -> Credential:
        """A sign-in: the same identity replaces its file, keeping the operator's settings; another identity never does.

        Raises TryLater where it could not be made durable; in this process it is usable all the same.
        """
        await self.rescan()
        for wanted, id_ in self._places_for(credential):
            async with self.leased(id_) as lease:
                current = lease.current
                if current is None and self._store.stamp(f"{id_}.json") is not None:
                    continue  # a file that may not be used is somebody's too
                if current is not None and not _same(current, credential):
                    continue
                put = await lease.put(wanted if current is None else _signed_in_again(current, wanted))
            if id_ in self._uncommitted:
                raise TryLater(f"{id_} is signed in, but only until this process ends: {self._uncommitted[id_]}")
            return put
        raise Misconfigured(
            f"the file names for {file_stem(credential)} are taken by files that may not be used: move them"
        )

    def _places_for(self, credential: Credential) -> Iterator[tuple[Credential, str]]:
        if not any(credential.identity[1:]):
            for n in itertools.count(1):
                numbered = replace(credential, settings=replace(credential.settings, label=str(n)))
                yield numbered, file_stem(numbered)
        known = [id_ for id_, held in self._snapshot.items() if _same(held, credential)]
        for id_ in (*known, file_stem(credential), file_stem(credential, distinct=True)):
            yield credential, id_

    def _look_around(self) -> dict[str, Look]:
        """In a worker thread: reads the owner's state, changes none."""
        stamps = self._store.stamps()
        known = {*self._held, *self._unreadable, *(name.removesuffix(".json") for name in self._refused)}
        looks = {id_: GONE for id_ in known if f"{id_}.json" not in stamps}
        for name, stamp in stamps.items():
            id_ = name.removesuffix(".json")
            if id_ not in self._held or self._stamps.get(id_) != stamp:
                looks[id_] = look(self._store, self._keyring, name)
        return looks

    def _take_in(self, id_: str, seen: Look) -> None:
        """What a look at a file means for what is held."""
        held = self._held.get(id_)
        for reasons, key in self._judged(id_):
            reasons.pop(key, None)
        if seen.trouble:
            self._unreadable[id_] = seen.trouble
        elif seen.refused:
            self._refused[f"{id_}.json"] = seen.refused
            self._drop(id_)
        elif seen.credential is None:
            if held is not None:  # somebody removed it: a value that waits to be committed goes with it
                self._pending.pop(id_, None)
                self._uncommitted.pop(id_, None)
            self._drop(id_)
        elif held is not None and _older(seen.credential, held):
            self._refused[f"{id_}.json"] = (
                f"rolled back: it is generation {seen.credential.generation} and {held.generation} was in use;"
                " an old file holds spent tokens, so it is not used"
            )
        else:
            assert seen.stamp is not None
            self._stamps[id_] = seen.stamp
            if seen.credential != held:
                self._held[id_] = seen.credential

    def _judged(self, id_: str) -> tuple[tuple[dict[str, str], str], ...]:
        """Where a look at a file leaves what it found against it."""
        return (self._refused, f"{id_}.json"), (self._unreadable, id_)

    def _drop(self, id_: str) -> None:
        self._held.pop(id_, None)
        self._stamps.pop(id_, None)

    def _publish(self) -> None:
        for id_, waiting in list(self._pending.items()):
            newest = _newest(waiting, self._held.get(id_))
            if newest is None:
                del self._pending[id_]
                self._uncommitted.pop(id_, None)
            else:
                self._pending[id_] = newest
        now = self._held | self._pending
        if now != self._snapshot:
            self._snapshot = MappingProxyType(now)
            for watcher in list(self._watchers):
                watcher()

    async def _commit(self, new: Credential) -> None:
        writing = asyncio.get_running_loop().run_in_executor(None, self._write, new)
        cancelled = await _finished(writing)
        error = writing.exception()
        if error is None:
            self._held[new.id], self._stamps[new.id] = new, writing.result()
            self._pending.pop(new.id, None)
            for reasons, key in (*self._judged(new.id), (self._uncommitted, new.id)):
                reasons.pop(key, None)
        else:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._pending[new.id] = new
            self._uncommitted[new.id] = f"not saved ({reason}), kept in memory; free space or repair the folder"
        self._publish()
        if error is not None and not isinstance(error, OSError | Misconfigured):
            raise error
        if cancelled:
            raise asyncio.CancelledError

    def _write(self, new: Credential) -> Stamp:
        """In a worker thread: reads the owner's state, changes none."""
        name = f"{new.id}.json"
        plain = msgspec.json.encode(new.to_plain())
        with self._keyring.steady():
            sealed = self._keyring.seal(plain, typ=TOKEN, name=name, provider=new.provider, generation=new.generation)
            return self._store.commit(name, sealed)

    async def _remove(self, id_: str) -> None:
        removing = asyncio.get_running_loop().run_in_executor(None, self._store.remove, f"{id_}.json")
        cancelled = await _finished(removing)
        if isinstance(error := removing.exception(), OSError):
            raise TryLater(f"{id_} cannot be removed: {error.strerror}") from error
        for waiting in (self._pending, self._uncommitted):
            waiting.pop(id_, None)
        self._drop(id_)
        self._publish()
        if cancelled:
            raise asyncio.CancelledError


async def _finished(work: asyncio.Future[Any]) -> bool:
    """Waits for it whatever happens to the caller, who is told whether he was cancelled meanwhile."""
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _same(one: Credential, other: Credential) -> bool:
    """One identity. Who has no name at all is nobody else's equal."""
    return one.identity == other.identity and any(one.identity[1:])


def _older(seen: Credential, held: Credential) -> bool:
    """Of one login. A later sign-in starts a life of its own, whatever its number."""
    return seen.generation < held.generation and seen.created_at <= held.created_at


def _age(credential: Credential) -> float:
    """When its tokens were given."""
    issued = credential.tokens.issued_at if credential.tokens is not None else 0.0
    return max(issued, credential.created_at, credential.renewed_at)


def _newest(waiting: Credential, held: Credential | None) -> Credential | None:
    """Of a value that waits to be committed and one that somebody else committed meanwhile. None: the latter.

    Where he changed settings over tokens that are spent by now, it is our tokens under his settings.
    """
    if held is None or held == waiting or held.generation < waiting.generation:
        return waiting
    if _age(held) >= _age(waiting):
        return None
    return replace(waiting, settings=held.settings, generation=held.generation + 1)


def _signed_in_again(current: Credential, new: Credential) -> Credential:
    """The operator's word on the old login stays, but for what this sign-in said anew."""
    unsaid = Settings()
    kept = {
        field.name: getattr(current.settings, field.name)
        for field in fields(Settings)
        if getattr(new.settings, field.name) == getattr(unsaid, field.name)
    }
    return replace(new, settings=replace(new.settings, **kept))
