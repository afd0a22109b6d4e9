"""What is known of each credential beside its file: how far it has come, and whether a renewal is under way.

One small file per credential (`.vault/ledger/<id>.json`), authenticated with the keyring's pepper and no secret in it.
An intent is written, and durable, before a refresh token leaves (SEC-44); as long as it stands the outcome of that
renewal is unknown, and the next process settles it at once (SEC-45). The generation written after each commit is the
anchor that shows that a file was rolled back.

The key comes from the one secret of the keyring that no rotation changes (as `compaction_seal`'s does), so that neither
`rotate` nor `rekey` need know of these files. An entry is written under its credential's lease.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vaultd.errors import Misconfigured
from vaultd.secret import Secret
from vaultd.vault.credential import Mark
from vaultd.vault.envelope import Refused
from vaultd.vault.store.files import FileStore, Stamp, make_private, reason

FORMAT: Final = 1
#: RFC 5869 §3.2: a key of its own for each use.
_OF_ENTRIES: Final = b"vaultd ledger"
_OF_TOKENS: Final = b"vaultd ledger token"
#: 64 bits: tells a credential's tokens from each other, and is of no use to whoever would guess one.
_FINGERPRINT: Final = 16


@dataclass(frozen=True, slots=True)
class Intent:
    """A renewal that was about to leave. `token`: the refresh token's fingerprint; `boot`, `wall`: when, in seconds."""

    generation: int
    token: str
    endpoint: str
    boot: float
    wall: float


@dataclass(frozen=True, slots=True)
class Entry:
    """How far a credential has come, and what was begun with it."""

    mark: Mark
    intent: Intent | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What one look at one file found. Without an `entry`, `trouble` says what keeps the file from counting."""

    entry: Entry | None = None
    stamp: Stamp | None = None
    trouble: str = ""


BLANK: Final = Page()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    generation: int
    created_at: float
    intent: Intent | None
    mac: str


class Ledger:
    """The files. Keeps nothing in memory; blocks."""

    def __init__(self, folder: Path, pepper: bytes) -> None:
        # The credentials' own locks: who holds a credential holds its entry, and a sweep leaves his commit alone.
        self._store: Final = FileStore(folder / ".vault" / "ledger", folder / ".vault" / "locks")
        self._key: Final = _derived(pepper, _OF_ENTRIES)
        self._token_key: Final = _derived(pepper, _OF_TOKENS)

    def fingerprint(self, refresh: Secret) -> str:
        return hmac.digest(self._token_key, refresh.reveal().encode(), "sha256").hex()[:_FINGERPRINT]

    def look(self, id_: str) -> Page:
        """An entry that is damaged, not ours or another credential's counts for nothing, but is told of."""
        try:
            data, stamp = self._store.read(f"{id_}.json")
        except FileNotFoundError:
            return BLANK
        except Refused as error:
            return Page(trouble=f"its ledger entry does not count: {error}")
        except (OSError, Misconfigured) as error:
            return Page(trouble=f"its ledger entry cannot be read: {reason(error)}")
        try:
            file = msgspec.json.decode(data, type=_File)
        except msgspec.DecodeError:
            return Page(stamp=stamp, trouble="its ledger entry is damaged; the next commit writes it anew")
        entry = Entry(Mark(file.created_at, file.generation), file.intent)
        # The version is authenticated with the rest: another one's entry is another's.
        if file.v != FORMAT or not hmac.compare_digest(file.mac.encode(), self._mac(id_, entry).encode()):
            return Page(stamp=stamp, trouble="its ledger entry is forged or another's; the next commit writes it anew")
        return Page(entry, stamp)

    def look_around(self, known: Mapping[str, Page]) -> dict[str, Page]:
        """What differs from what is known. A stat costs a fiftieth of an open: those come first."""
        try:
            stamps = self._store.stamps()
        except FileNotFoundError:  # a folder put back from before there were ledgers
            stamps = {}
        except (OSError, Misconfigured):  # what is known stays; whoever takes a lease is told
            return {}
        found = {name.removesuffix(".json"): stamp for name, stamp in stamps.items()}
        changed = {id_: BLANK for id_ in list(known) if id_ not in found}
        for id_, stamp in found.items():
            if known.get(id_, BLANK).stamp != stamp:
                changed[id_] = self.look(id_)
        return changed

    def changed(self, id_: str, known: Page) -> Page:
        """`known`, or what stands there by now."""
        try:
            stamp = self._store.stamp(f"{id_}.json")
        except FileNotFoundError:
            return BLANK
        except (OSError, Misconfigured) as error:
            return Page(trouble=f"its ledger entry cannot be read: {reason(error)}")
        if stamp is not None and stamp == known.stamp:
            return known
        return BLANK if stamp is None else self.look(id_)

    def write(self, id_: str, entry: Entry) -> Page:
        """Durable when it returns. Raises OSError, Misconfigured or TryLater."""
        (created_at, generation), intent = entry.mark, entry.intent
        file = _File(FORMAT, generation, created_at, intent, self._mac(id_, entry))
        make_private(self._store.folder)  # it goes with a folder that is put back from before there were ledgers
        return Page(entry, self._store.commit(f"{id_}.json", msgspec.json.encode(file)))

    def remove(self, id_: str) -> None:
        self._store.remove(f"{id_}.json")

    def _mac(self, id_: str, entry: Entry) -> str:
        """Bound to the name, so that no entry can stand for another's. JSON, in which no two values look alike."""
        (created_at, generation), intent = entry.mark, entry.intent
        # As floats, which is how they come back: a whole number of seconds is written like any other.
        begun = intent and (intent.generation, intent.token, intent.endpoint, float(intent.boot), float(intent.wall))
        said = msgspec.json.encode((FORMAT, id_, generation, float(created_at), begun))
        return hmac.digest(self._key, said, "sha256").hex()


def _derived(pepper: bytes, use: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=use).derive(pepper)
