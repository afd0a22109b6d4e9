"""What `Owner.leased` gives: one credential, held against every other task and process.

A part of the owner, handed out: the one way to change a credential.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from vaultd.errors import TryLater
from vaultd.vault.credential import Credential
from vaultd.vault.ledger import Intent

if TYPE_CHECKING:
    from vaultd.vault.owner import Owner


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
        return self._owner._anchors.intent(self.current)  # noqa: SLF001  - a lease is a part of the owner, handed out

    async def intend(self, endpoint: str, *, boot: float, wall: float) -> None:
        """From here on a renewal of `current` may be under way, whatever becomes of this process. Durable when it
        returns; the next `put` that is more than a change of settings ends it. Raises TryLater where it cannot be
        written: then nothing may be sent."""
        assert self.current is not None
        await self._owner._announce(self.current, endpoint, boot, wall)  # noqa: SLF001  - as in intent

    async def resolve(self) -> None:
        """The renewal ended without a new token, and the old one was not spent: nothing is to be settled."""
        await self._owner._resolve(self.id)  # noqa: SLF001  - as in intent

    async def put(self, credential: Credential) -> Credential:
        """Makes it the credential, one generation up. Ends before a cancellation of the caller does.

        Where it cannot be made durable it is used from memory, and `Owner.troubles` says so.
        """
        current = self.current
        new = self._owner._successor(replace(credential, id=self.id, source="file"))  # noqa: SLF001  - as in intent
        # What an operator says meanwhile tells nothing of a token that may be spent.
        resettled = current is not None and new == replace(current, settings=new.settings, generation=new.generation)
        await self._owner._commit(new, self.intent if resettled else None)  # noqa: SLF001  - as in intent
        return new

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Inside, the space of the first `put` is there already (SEC-44): a token is spent only where its successor can
        be kept. Raises TryLater where there is none. On the loop: two system calls, a twentieth of a millisecond."""
        store, name = self._owner._store, f"{self.id}.json"  # noqa: SLF001  - as in intent
        try:
            store.make_room(name)
        except OSError as error:
            why = f"its new token could not be saved ({error.strerror}): free space or repair the folder"
            raise TryLater(why, own=True) from error
        try:
            yield
        finally:
            store.leave_room(name)

    async def remove(self) -> None:
        await self._owner._remove(self.id)  # noqa: SLF001  - as in intent
