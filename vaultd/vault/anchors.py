"""What tells that a file was rolled back: the ledger beside the files, and the journal outside their folder.

An old file holds a spent refresh token; presenting it makes a vendor revoke the login that is alive. So a file that is
behind what one of these knows of it (`credential.Mark`) is not used. Each is written after the file: ahead of them is
what a file is after a crash between the two. The third anchor, what this run has seen, is what `Owner` holds.

Not caught: folder and journal restored together. Then the vendor's refusal tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaultd.errors import VaultdError
from vaultd.pool.explain import renewing
from vaultd.vault.credential import Credential, Mark
from vaultd.vault.journal import Journal
from vaultd.vault.ledger import BLANK, Entry, Intent, Ledger, Page
from vaultd.vault.store.files import reason

#: Before any life.
NOWHERE: Final = Mark(0.0, 0)


class Anchors:
    """What is known, by id. Changed on the loop alone; `look_around`, `advance` and `announce` are for worker threads
    and change nothing but files."""

    def __init__(self, folder: Path, pepper: bytes, state_dir: Path | None) -> None:
        self._ledger: Final = Ledger(folder, pepper)
        self.journal: Final = Journal.of(folder, state_dir)
        self._pages: dict[str, Page] = {}
        self._begun: dict[str, Intent] = {}

    def look_around(self) -> dict[str, tuple[Page, Page]]:
        """In a worker thread, and before the files are looked at: what stands here then stands in a file by then.

        What was known beside what is found, for `take_in`.
        """
        self.journal.follow()
        before = dict(self._pages)
        return {id_: (before.get(id_, BLANK), page) for id_, page in self._ledger.look_around(before).items()}

    def take_in(self, pages: Mapping[str, tuple[Page, Page]]) -> None:
        """But for what was written here while others were read: that is newer."""
        for id_, (before, page) in pages.items():
            if self._pages.get(id_, BLANK) is before:
                self.know(id_, page)

    def follow(self, id_: str) -> None:
        """What others wrote about this one. On the loop: three stats."""
        self.journal.follow()
        known = self._pages.get(id_, BLANK)
        if (page := self._ledger.changed(id_, known)) is not known:
            self.know(id_, page)

    def know(self, id_: str, page: Page) -> None:
        if page == BLANK:
            self._pages.pop(id_, None)
        else:
            self._pages[id_] = page
        if page.entry is not None and page.entry.intent is not None:
            self._begun[id_] = page.entry.intent
        else:
            self._begun.pop(id_, None)

    def mark(self, id_: str) -> Mark:
        """The furthest that anything here knows of."""
        return max(self._in_ledger(id_), self.journal.marks.get(id_, NOWHERE))

    def behind(self, credential: Credential) -> str:
        """Who knows of a later one and which, in words; empty where nobody does."""
        for known, who in (
            (self._in_ledger(credential.id), "the ledger"),
            (self.journal.marks.get(credential.id, NOWHERE), "the commit journal"),
        ):
            if credential.mark < known:
                return f"{who} knows {words(known, credential.mark)}"
        return ""

    def intent(self, credential: Credential | None) -> Intent | None:
        """What was begun with this one's refresh token. With another token it has ended, whatever the ledger says."""
        if credential is None or credential.id not in self._begun or credential.dead is not None:
            return None
        refresh = credential.tokens.refresh if credential.tokens is not None else None
        intent = self._begun[credential.id]
        return intent if refresh is not None and self._ledger.fingerprint(refresh) == intent.token else None

    def begun(self) -> list[str]:
        return list(self._begun)

    def troubles(self) -> dict[str, str]:
        return {id_: page.trouble for id_, page in self._pages.items() if page.trouble}

    def announce(self, credential: Credential, committed: Mark, endpoint: str, *, boot: float, wall: float) -> Page:
        """In a worker thread. Raises what keeps it from being durable."""
        assert credential.tokens is not None
        assert credential.tokens.refresh is not None
        token = self._ledger.fingerprint(credential.tokens.refresh)
        intent = Intent(credential.generation, token, endpoint, boot, wall)
        return self._ledger.write(credential.id, Entry(max(self._in_ledger(credential.id), committed), intent))

    def advance(self, id_: str, mark: Mark, intent: Intent | None) -> Page:
        """In a worker thread, after the commit of `mark`. Raises nothing: what is committed is."""
        page = self._write(id_, Entry(mark, intent))
        self.journal.append(id_, mark)
        return page

    def resolve(self, id_: str) -> Page:
        """In a worker thread: nothing is under way."""
        return self._write(id_, Entry(self._in_ledger(id_)))

    def forget(self, id_: str) -> None:
        """In a worker thread. The journal keeps what it knows: a sign-in after this is a later life. Raises OSError."""
        self._ledger.remove(id_)

    def _write(self, id_: str, entry: Entry) -> Page:
        try:
            return self._ledger.write(id_, entry)
        except (OSError, VaultdError) as error:
            # What stands there is out of date, but what it should say is known; with its stamp it is not read again.
            stands = self._pages.get(id_, BLANK).stamp
            return Page(entry, stands, f"its ledger entry cannot be written: {reason(error)}")

    def _in_ledger(self, id_: str) -> Mark:
        entry = self._pages.get(id_, BLANK).entry
        return entry.mark if entry is not None else NOWHERE


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A file that is not used, and why."""

    credential: Credential
    reason: str


def words(known: Mark, seen: Mark) -> str:
    return f"generation {known.generation}" if known.created_at == seen.created_at else "a later sign-in"


def rolled_back(seen: Credential, why: str) -> RolledBack:
    return RolledBack(
        seen,
        f"rolled back: it is generation {seen.generation}, and {why}; an old file holds spent tokens, so it is not"
        f" used; next: {renewing(seen)}, or vaultd credentials accept {seen.id}, if this file is the right one",
    )
