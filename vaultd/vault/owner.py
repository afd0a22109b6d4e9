"""THE owner of credentials: everybody reads its snapshot, everybody writes through a lease of it.

    async with owner.leased(id) as lease:      # no other task, no other process
        lease.current                          # what is on disk now
        await lease.put(new)                   # sealed, durable, then visible

Several processes may have one folder: a lease is a file lock, what stands on disk is read again after taking it, and a
commit of somebody else with a higher generation wins. A value that could not be committed is still the newest there is
(the refresh token on disk is spent): it is used from memory, reported by `troubles`, and committed as soon as may be.

A file that is not sealed by us for its name is never loaded, and neither is one that was rolled back; `refused` says
why. What is committed goes to the file, then to the ledger, then to the journal (`vault.anchors`).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Never, Protocol

from vaultd.errors import Misconfigured, TryLater, VaultdError
from vaultd.vault.anchors import NOWHERE, Anchors, RolledBack, rolled_back, words
from vaultd.vault.commit import Commits, Written, whole
from vaultd.vault.credential import Credential, file_stem, same, signed_in_over
from vaultd.vault.emergency import Emergency
from vaultd.vault.keyring import Keyring
from vaultd.vault.lease import Lease
from vaultd.vault.ledger import Intent, Page
from vaultd.vault.look import Look, look
from vaultd.vault.pending import Pending, newest
from vaultd.vault.store.files import FileStore, Stamp, reason

_log = logging.getLogger("vaultd.vault")

#: A retry of a failed commit does not queue behind a renewal: the next one comes anyway.
_RETRY_WAIT: Final = 1.0
#: SEC-46. A failing attempt costs two system calls.
_RETRY_EVERY: Final = 1.0

#: What becomes of a credential (the first) over which another is settled; None where that is not to be.
Over = Callable[[Credential, Credential], Credential | None]


class Sleeper(Protocol):
    async def sleep(self, seconds: float) -> None: ...


class Owner:
    """`state_dir` is for the commit journal; `emergency` are places for what the folder does not take, best first."""

    def __init__(
        self, store: FileStore, keyring: Keyring, *, state_dir: Path | None = None, emergency: Sequence[Path] = ()
    ) -> None:
        self.folder: Final[Path] = store.folder
        self._store: Final = store
        self._keyring: Final = keyring
        self._anchors: Final = Anchors(store.folder, keyring.pepper, state_dir)
        self._emergency: Final = Emergency(store.folder, emergency)
        self._commits: Final = Commits(store, keyring, self._anchors, self._emergency)
        self._held: dict[str, Credential] = {}  # what is on disk, by id
        self._stamps: dict[str, Stamp] = {}
        self._pending: Final = Pending()
        self._refused: dict[str, str] = {}
        self._rolled: dict[str, RolledBack] = {}
        self._unreadable: dict[str, str] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        #: Held by whoever gives a credential a name that no other may have: a lease is one credential's alone.
        self.naming: Final = asyncio.Lock()
        self._watchers: list[Callable[[], None]] = []
        self._unsaved: Final = asyncio.Event()
        self._table: dict[str, Credential] = {}
        self._snapshot: Mapping[str, Credential] = MappingProxyType(self._table)

    async def load(self) -> None:
        """Reads the folder, and commits what an emergency copy still holds."""
        await self._look_again()
        for name in self._emergency.names():
            with suppress(TryLater):
                async with self.leased(name.removesuffix(".json"), timeout=_RETRY_WAIT):
                    pass
        await self.retry()

    def snapshot(self) -> Mapping[str, Credential]:
        """All credentials by id, immutable; another object only after a change."""
        return self._snapshot

    def get(self, id: str) -> Credential | None:  # noqa: A002  - the house's word for it
        return self._snapshot.get(id)

    def is_gone(self, id: str) -> bool:  # noqa: A002  - the house's word for it
        """True where its file was looked for last and not found: not where it may not be used, or cannot be read."""
        return not (id in self._held or id in self._unreadable or f"{id}.json" in self._refused)

    def refused(self) -> Mapping[str, str]:
        """File name → why it is not used, and what to do."""
        return dict(self._refused)

    def rolled_back(self) -> Mapping[str, str]:
        """Credential id → why its file is not used: an older one than was seen. `refused` names these too."""
        return {id_: rolled.reason for id_, rolled in self._rolled.items()}

    def troubles(self) -> Mapping[str, str]:
        """Credential id → why what is used is not, or may not be, what is on disk."""
        return self._unreadable | self._pending.reasons

    def unsaved(self) -> Mapping[str, str]:
        """Credential id → where what the folder did not take lies sealed; empty where it is in memory alone."""
        return {id_: self._pending.copies.get(id_, "") for id_ in self._pending.values}

    def unsettled(self) -> frozenset[str]:
        """Credentials whose last renewal was begun and never ended, as far as this process has seen. What a task of
        its own has in hand is not among them."""
        begun = (id_ for id_ in self._anchors.begun() if self._anchors.intent(self.get(id_)) is not None)
        return frozenset(id_ for id_ in begun if id_ not in self._locks or not self._locks[id_].locked())

    def ledger_troubles(self) -> Mapping[str, str]:
        """Credential id → why what stands beside its file does not count, or could not be written."""
        return self._anchors.troubles()

    def journal_trouble(self) -> str:
        """Why the last commit is not in the journal outside the folder, or why that cannot be read."""
        return self._anchors.journal.trouble

    def emergency_troubles(self) -> Mapping[str, str]:
        """Path → why an emergency copy, or a place for one, is of no use."""
        return dict(self._emergency.troubles)

    def changed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls back, on the loop, after each new snapshot, and when a renewal turns out to be unsettled. The answer
        unsubscribes."""
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
                self._anchors.follow(id)
                self._take_in(id, look(self._store, self._keyring, f"{id}.json"))
                self._adopt(id)
                self._publish([id])
                yield Lease(self, id)
        finally:
            lock.release()

    async def rescan(self) -> bool:
        """Reads what changed in the folder, and commits what could not be before. True if the snapshot changed."""
        before = self._snapshot
        await self._look_again()
        await self.retry()
        return self._snapshot is not before

    def reread(self, id: str) -> Credential | None:  # noqa: A002  - the house's word for it
        """Looks at one file again, without its lease: somebody said that he committed it. On the loop: a third of a
        millisecond. What looks rolled back is left for the next rescan, which takes the lease to see."""
        self._anchors.follow(id)
        if id not in self._held or self._store.stamp(f"{id}.json") != self._stamps.get(id):
            seen = look(self._store, self._keyring, f"{id}.json")
            if seen.credential is None or not self._behind(seen.credential):
                self._take_in(id, seen)
                self._publish([id])
        return self.get(id)

    def forget(self, id: str) -> None:  # noqa: A002  - the house's word for it
        """Lets go of what was read of one, but of what waits to be saved: for a process that is asked about one after
        the other, and is to stay small. Its next lease reads it again."""
        if id not in self._pending.values and not (id in self._locks and self._locks[id].locked()):
            self._acquit(id)
            self._drop(id)
            self._publish([id])

    def hold(self, credential: Credential, why: str) -> None:
        """Takes in hand what another process could not commit."""
        waiting = self._pending.values.get(credential.id)
        if waiting is None or waiting.mark < credential.mark:
            self._pending.keep(credential, why)
        self._publish([credential.id])

    async def retry(self) -> None:
        """One attempt for each value that could not be committed."""
        for id_ in list(self._pending.values):
            with suppress(TryLater):
                async with self.leased(id_, timeout=_RETRY_WAIT):
                    if (waiting := self._pending.values.get(id_)) is not None:
                        await self._commit(waiting, self._anchors.intent(waiting))

    async def share(self, id: str) -> None:  # noqa: A002  - the house's word for it
        """Before another process is to act on it: what is used here and does not stand in the folder, because that took
        nothing or was rolled back, is saved. Raises TryLater where it lies in memory alone all the same: the other one
        would present the token that was spent for it."""
        if id not in self._pending.values and id not in self._rolled:
            return
        async with self.leased(id) as lease:
            if lease.current is not None and (id in self._pending.values or id in self._rolled):
                await self._commit(lease.current, lease.intent)
        if id in self._pending.values and not self._pending.copies.get(id):
            raise TryLater(f"{id}: {self._pending.reasons[id]}", own=True)

    async def keep_saving(self, clock: Sleeper) -> Never:
        """Asleep while all is saved; then an attempt every second (SEC-46)."""
        while True:
            await self._unsaved.wait()
            await clock.sleep(_RETRY_EVERY)
            await self.retry()

    async def accept(self, id: str) -> Credential:  # noqa: A002  - the house's word for it
        """A person's word that a rolled-back file is the right one: as it stands it becomes the furthest there is.

        Raises Misconfigured where it was not rolled back, TryLater where it could not be made durable.
        """
        async with self.leased(id) as lease:
            rolled = self._rolled.get(id)
            if rolled is None:
                raise Misconfigured(f"{id} was not rolled back: there is nothing to accept")
            return self._durable(await lease.put(rolled.credential), "accepted")

    async def settle(self, credential: Credential, over: Over = signed_in_over) -> Credential:
        """A sign-in: the same identity replaces its file, keeping the operator's settings; another identity never does.
        `over` says so, under the lease, of each that may be replaced.

        Raises TryLater where it could not be made durable; in this process it is usable all the same.
        """
        await self.rescan()
        for wanted, id_ in self._places_for(credential):
            async with self.leased(id_) as lease:
                rolled = self._rolled.get(id_)
                current = lease.current or (rolled.credential if rolled is not None else None)
                if current is None and self._store.stamp(f"{id_}.json") is not None:
                    continue  # a file that may not be used is somebody's too
                new = wanted if current is None else over(current, credential)
                if new is None:
                    continue
                put = await lease.put(new)
            return self._durable(put, "signed in")
        raise Misconfigured(
            f"the file names for {file_stem(credential)} are taken by files that may not be used: move them"
        )

    async def restore(self, kept: Credential) -> Credential:
        """A sealed file that somebody kept comes back. Raises Misconfigured where it was overtaken since: its tokens
        are spent, and presenting them may end the login that is alive."""
        await self.rescan()
        async with self.leased(kept.id) as lease:
            self.may_return(kept)
            current = lease.current
            if current is not None and replace(current, settings=kept.settings) == kept:
                kept = replace(current, settings=replace(current.settings, uploaded_as=kept.settings.uploaded_as))
            if kept == current:
                return current
            return self._durable(await lease.put(kept), "restored")

    def may_return(self, kept: Credential) -> None:
        """As things stand. Raises Misconfigured with why it may not."""
        id_, current = kept.id, self.get(kept.id)
        others = [held.id for held in self._snapshot.values() if held.id != id_ and same(held, kept)]
        if others:
            raise Misconfigured(f"the login of this file is here already, as {others[0]}")
        if why := self._behind(kept):
            raise Misconfigured(rolled_back(kept, why).reason.partition("; next:")[0], code="rolled-back")
        if current is None and id_ not in self._rolled and self._store.stamp(f"{id_}.json") is not None:
            raise Misconfigured(f"{id_}.json stands in the folder and may not be used: move it")
        if current is not None and not same(current, kept):
            raise Misconfigured(f"{id_} is another account's")

    def _durable(self, credential: Credential, done: str) -> Credential:
        if why := self._pending.reasons.get(credential.id):
            raise TryLater(f"{credential.id} is {done}, but only until this process ends: {why}", own=True)
        return credential

    def _places_for(self, credential: Credential) -> Iterator[tuple[Credential, str]]:
        if not any(credential.identity[1:]):
            for n in itertools.count(1):
                numbered = replace(credential, settings=replace(credential.settings, label=str(n)))
                yield numbered, file_stem(numbered)
        known = [id_ for id_, held in self._snapshot.items() if same(held, credential)]
        known += [id_ for id_, rolled in self._rolled.items() if same(rolled.credential, credential)]
        for id_ in (*known, file_stem(credential), file_stem(credential, distinct=True)):
            yield credential, id_

    async def _look_again(self) -> None:
        unsettled = self.unsettled()
        # What a `put` makes durable while the folder is read is newer than what was read.
        held = dict(self._held)
        pages, looks = await asyncio.get_running_loop().run_in_executor(None, self._look_around)
        self._anchors.take_in(pages)
        suspects = []
        for id_, seen in looks.items():
            if self._held.get(id_) is not held.get(id_):
                continue
            if seen.credential is not None and self._behind(seen.credential):
                suspects.append(id_)
            else:
                self._take_in(id_, seen)
        self._publish(looks)
        # Others commit while we read: whether a file is behind is certain under its lease alone.
        for id_ in suspects:
            try:
                async with self.leased(id_, timeout=_RETRY_WAIT):
                    pass
            except TryLater:
                if self._held.get(id_) is held.get(id_):
                    self._take_in(id_, looks[id_])
                    self._publish([id_])
        if self.unsettled() - unsettled:
            self._tell()

    def _look_around(self) -> tuple[dict[str, tuple[Page, Page]], dict[str, Look]]:
        """In a worker thread: reads the owner's state, changes none."""
        pages = self._anchors.look_around()
        stamps = self._store.stamps()
        known = {*self._held, *self._unreadable, *(name.removesuffix(".json") for name in self._refused)}
        missing = (name for id_ in known if (name := f"{id_}.json") not in stamps)
        looks = {name.removesuffix(".json"): look(self._store, self._keyring, name) for name in missing}
        for name, stamp in stamps.items():
            id_ = name.removesuffix(".json")
            if id_ not in self._held or self._stamps.get(id_) != stamp:
                looks[id_] = look(self._store, self._keyring, name)
        return pages, looks

    def _take_in(self, id_: str, seen: Look) -> None:
        """What a look at a file means for what is held."""
        held = self._held.get(id_)
        self._acquit(id_)
        if seen.trouble:
            self._unreadable[id_] = seen.trouble
        elif seen.refused:
            self._refused[f"{id_}.json"] = seen.refused
            self._drop(id_)
        elif seen.credential is None:
            if held is not None:  # somebody removed it: a value that waits to be committed goes with it
                self._pending.done(id_)
                self._emergency.remove(f"{id_}.json")
            self._drop(id_)
        elif why := self._behind(seen.credential):
            self._rolled[id_] = rolled = rolled_back(seen.credential, why)
            self._refused[f"{id_}.json"] = rolled.reason
            if held is not None and self._anchors.behind(held):
                self._drop(id_)
        else:
            assert seen.stamp is not None
            self._stamps[id_] = seen.stamp
            if seen.credential != held:
                self._held[id_] = seen.credential

    def _behind(self, seen: Credential) -> str:
        """Why this is an old file: by what this run has seen, or by what was written down."""
        held = self._held.get(seen.id)
        if held is not None and seen.mark < held.mark:
            return f"{words(held.mark, seen.mark)} was in use"
        return self._anchors.behind(seen)

    def _adopt(self, id_: str) -> None:
        """Takes in hand what lies in an emergency copy, or removes it where it is older. Under the lease."""
        name = f"{id_}.json"
        for store in self._emergency.holding(name):
            path = f"{store.folder / name}"
            seen = look(store, self._keyring, name)
            waiting = self._pending.values.get(id_)
            if seen.credential is None:
                why = seen.trouble or "damaged, or not sealed by this vault"
                self._emergency.troubles[path] = f"{why}: what it held is lost; remove it once {id_} works"
            elif self._anchors.behind(seen.credential) or newest(seen.credential, self._held.get(id_)) is None:
                with suppress(OSError):
                    store.remove(name)
            elif waiting is None or waiting.mark < seen.credential.mark:
                self._pending.keep(seen.credential, f"not saved yet, sealed in {path} meanwhile", path)

    def _acquit(self, id_: str) -> None:
        """Forgets what earlier looks found against the file."""
        self._refused.pop(f"{id_}.json", None)
        self._unreadable.pop(id_, None)
        self._rolled.pop(id_, None)

    def _drop(self, id_: str) -> None:
        self._held.pop(id_, None)
        self._stamps.pop(id_, None)

    def _publish(self, ids: Iterable[str]) -> None:
        """Makes visible what became of these. One of 10,000 costs a copy of the table and no comparison."""
        changed = {}
        for id_ in ids:
            before, now = self._table.get(id_), self._pending.over(id_, self._held.get(id_))
            if now is not before and now != before:
                changed[id_] = now
        if self._pending.values:
            self._unsaved.set()
        else:
            self._unsaved.clear()
        if not changed:
            return
        table = self._table.copy()
        for id_, now in changed.items():
            if now is None:
                del table[id_]
            else:
                table[id_] = now
        self._table, self._snapshot = table, MappingProxyType(table)
        self._tell()

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher()

    def _successor(self, credential: Credential) -> Credential:
        """With a mark past all that is known of it, also where a clock that was ahead is right again."""
        current = self.get(credential.id)
        known = current.mark if current is not None else NOWHERE
        past = max(known, self._anchors.mark(credential.id))
        generation = max(known.generation, credential.generation)
        if credential.created_at <= past.created_at:
            generation = max(generation, past.generation)
        return replace(credential, generation=generation + 1, created_at=max(credential.created_at, past.created_at))

    async def _announce(self, current: Credential, endpoint: str, boot: float, wall: float) -> None:
        held = self._held.get(current.id)
        committed = held.mark if held is not None else NOWHERE

        write = partial(self._anchors.announce, current, committed, endpoint, boot=boot, wall=wall)
        writing, cancelled = await whole(write)
        error = writing.exception()
        if error is None:
            self._anchors.know(current.id, writing.result())
        if cancelled:
            raise asyncio.CancelledError
        if isinstance(error, OSError | VaultdError):
            why = f"its renewal could not be announced ({reason(error)}): free space or repair the folder"
            raise TryLater(why, own=True) from error
        if error is not None:
            raise error

    async def _resolve(self, id_: str) -> None:
        resolving, cancelled = await whole(partial(self._anchors.resolve, id_))
        self._anchors.know(id_, resolving.result())
        if cancelled:
            raise asyncio.CancelledError

    async def _commit(self, new: Credential, intent: Intent | None) -> None:
        """`intent`: what is still under way afterwards."""
        there = self._held.get(new.id) == new and new.id not in self._rolled
        write = partial(self._commits.write, new, intent, there=there, copy=self._pending.copy_of(new))
        writing, cancelled = await whole(write)
        error = writing.exception()
        written = writing.result() if error is None else Written(reason=f"not saved ({type(error).__name__})")
        told = {"credential": new.id, "generation": new.generation}
        if written.stamp is not None:
            assert written.page is not None
            self._held[new.id], self._stamps[new.id] = new, written.stamp
            self._anchors.know(new.id, written.page)
            self._pending.done(new.id)
            self._acquit(new.id)
            # The one anchor that leaves the machine, where its log does.
            _log.info("committed", extra=told)
            for trouble in filter(None, (written.page.trouble, self.journal_trouble())):
                _log.warning("committed, but not noted everywhere", extra={**told, "reason": trouble})
        else:
            if self._pending.reasons.get(new.id) != written.reason:
                _log.error("not committed", extra={**told, "reason": written.reason})
            self._pending.keep(new, written.reason, written.copy)
        self._publish([new.id])
        if error is not None:
            raise error
        if cancelled:
            raise asyncio.CancelledError

    async def _remove(self, id_: str) -> None:
        removing, cancelled = await whole(partial(self._commits.erase, id_))
        if isinstance(error := removing.exception(), OSError):
            raise TryLater(f"{id_} cannot be removed: {error.strerror}", own=True) from error
        self._pending.done(id_)
        self._anchors.follow(id_)
        self._acquit(id_)
        self._drop(id_)
        self._publish([id_])
        if cancelled:
            raise asyncio.CancelledError
