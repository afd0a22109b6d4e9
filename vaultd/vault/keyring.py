"""The keyring: root key → one sealed file of keys → every other sealed file.

The root key opens `.vault/keyring.jwe.json` alone, so that changing it (`rekey`) re-seals one file; the keys in it
open the rest, so that changing them (`rotate`) re-wraps files and touches no content. Recovery keys are taken from here
only: recipients of a file are not authenticated as a set, and whoever could add one would be sent the next token.

Several processes share the file. Whoever seals holds a shared lock on it and looks whether it changed first; whoever
changes it holds the lock alone. So no file is ever sealed with a key that was dropped a moment ago.

The root key stays in memory beside the keys it opens, for a rotation done by another process must be followed without
asking a person; it opens nothing that they do not.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from joserfc.jwk import ECKey, OctKey

from vaultd.errors import Misconfigured
from vaultd.vault import envelope, rootkey
from vaultd.vault.emergency import Emergency
from vaultd.vault.envelope import CLIENT, KEYRING, TOKEN, Opened, Refused, Typ, UnknownKey
from vaultd.vault.rootkey import Ask, RootKey
from vaultd.vault.store.files import FileStore, Stamp

FILE: Final = "keyring.jwe.json"
_PROVIDER: Final = "vaultd"

#: What a rotation or a change of recovery keys has yet to do to the files: nothing, new recipients, new content keys.
Work = Literal["", "wrap", "full"]


@dataclass(frozen=True, slots=True)
class Ring:
    """What the keyring file holds. Immutable; `Keyring.switch` makes the next one."""

    keys: Mapping[str, OctKey] = field(repr=False)
    active: str
    pepper: bytes = field(repr=False)
    recovery: tuple[ECKey, ...] = ()
    next_root: OctKey | None = field(default=None, repr=False)
    work: Work = ""
    generation: int = 0

    @property
    def kids(self) -> list[str]:
        """The recipients a file should have."""
        return [self.active, *(str(public.kid) for public in self.recovery)]


class Keyring:
    """Seals and opens for everybody else."""

    def __init__(self, folder: Path, root: RootKey, emergency: Sequence[Path] = ()) -> None:
        self.folder: Final = folder
        self.credentials: Final = FileStore(folder)
        own = self.credentials.folder / ".vault"
        self.clients: Final = FileStore(own / "clients", own / "locks" / "clients")
        self.files: Final = FileStore(own, own / "locks" / "own")
        self._copies: Final = Emergency(self.credentials.folder, emergency)
        self.root = root
        with self.files.locked(FILE):
            if self.files.stamp(FILE) is None:
                self._create()
            self._ring, self._stamp = self._load(root)

    @classmethod
    def open_or_create(cls, folder: Path, root: RootKey, emergency: Sequence[Path] = ()) -> Keyring:
        return cls(folder, root, emergency)

    @property
    def ring(self) -> Ring:
        return self._ring

    @property
    def pepper(self) -> bytes:
        return self._ring.pepper

    @property
    def news(self) -> list[str]:
        """What was done unasked: a key made, a folder shut."""
        made = [f"a new root key was made: {self.root.source}; back it up, nothing else opens the credentials"]
        shut = [*self.credentials.warnings, *self.files.warnings, *self.clients.warnings]
        return [*(made if self.root.created else []), *shut]

    def stores(self) -> list[tuple[FileStore, Typ]]:
        """Every folder of files sealed by these keys. An emergency copy holds the only token that still counts."""
        return [(self.credentials, TOKEN), *((store, TOKEN) for store in self._copies.stores()), (self.clients, CLIENT)]

    def stands(self) -> bool:
        """Whether its file is where it was. Without it the folder is another one, as where a disk is unmounted, and
        nothing that is missing there was removed."""
        try:
            return self.files.stamp(FILE) is not None
        except (OSError, Misconfigured):
            return False

    def as_found(self) -> Ring:
        """What a new process would open, another's changes included; without the lock, for whoever only looks. Raises
        Misconfigured where it would find no root key, or another than opens the keyring; OSError.

        A passphrase cannot be asked for: where another process changed it, what is known here stands."""
        if self.root.again is not None:
            return self._load(self.root.again())[0]
        try:
            return self._load(self.root)[0]
        except Misconfigured:
            return self._ring

    @contextmanager
    def steady(self) -> Iterator[Ring]:
        """Nobody changes the keys inside; hold it from `seal` until the file is committed."""
        with self.files.locked(FILE, shared=True):
            self._follow()
            yield self._ring

    def seal(self, plain: bytes, *, typ: Typ, name: str, provider: str, generation: int) -> bytes:
        """Inside `steady`."""
        ring = self._ring
        return envelope.seal(
            plain,
            typ=typ,
            name=name,
            provider=provider,
            generation=generation,
            keks=[ring.keys[ring.active]],
            recovery=ring.recovery,
        )

    def open(self, data: bytes, *, typ: Typ, name: str, provider: str | None = None) -> Opened:
        try:
            return envelope.open_(data, typ=typ, name=name, provider=provider, ring=self._ring.keys)
        except UnknownKey:
            before = self._ring
            with self.steady() as now:
                if now is before:
                    raise
                return envelope.open_(data, typ=typ, name=name, provider=provider, ring=now.keys)

    def rewrap(self, data: bytes) -> bytes:
        """Inside `steady`."""
        ring = self._ring
        return envelope.rewrap(data, ring=ring.keys, kek=ring.keys[ring.active], recovery=ring.recovery)

    def switch(self, change: Callable[[Ring], Ring]) -> None:
        """Makes `change(ring)` the keyring: sealed, opened again to see that every root key does, then committed."""
        with self.files.locked(FILE):
            self._follow()
            ring = change(self._ring)
            if ring.next_root is not None and ring.next_root.kid == self.root.key.kid:
                ring = replace(ring, next_root=None)
            ring = replace(ring, generation=self._ring.generation + 1)
            self._stamp = self._write(ring)
            self._ring = ring

    def admit(self, key: OctKey) -> None:
        """Seals the keyring for a second root key beside the present one."""
        self.switch(lambda ring: replace(ring, next_root=key))

    def adopt(self, root: RootKey) -> None:
        """Seals the keyring for this root key alone."""
        self.root = replace(root, again=self.root.again)
        self.switch(lambda ring: ring)

    def _create(self) -> None:
        if sealed_files_exist(self.folder):
            raise Misconfigured(
                f"{self.folder} holds sealed files and no .vault/{FILE}: restore it, nothing else opens them",
                code="keyring-missing",
            )
        key = rootkey.generate()
        self._write(Ring({str(key.kid): key}, str(key.kid), secrets.token_bytes(32), generation=1))

    def _write(self, ring: Ring) -> Stamp:
        roots = [self.root.key] + ([ring.next_root] if ring.next_root is not None else [])
        sealed = envelope.seal(
            msgspec.json.encode(_to_plain(ring)),
            typ=KEYRING,
            name=FILE,
            provider=_PROVIDER,
            generation=ring.generation,
            keks=roots,
            recovery=ring.recovery,
        )
        for root in roots:
            _open_ring(sealed, root)
        return self.files.commit(FILE, sealed)

    def _follow(self) -> None:
        """Takes up what another process made of the keyring. Under the lock."""
        stamp = self.files.stamp(FILE)
        if stamp == self._stamp:
            return
        if stamp is None:
            raise Misconfigured(
                f"{self.folder}/.vault/{FILE} is gone: restore it from a backup", code="keyring-missing"
            )
        try:
            self._ring, self._stamp = self._load(self.root)
        except Misconfigured:
            if self.root.again is None:
                raise
            root = self.root.again()
            self._ring, self._stamp = self._load(root)
            self.root = root

    def _load(self, root: RootKey) -> tuple[Ring, Stamp]:
        data, stamp = self.files.read(FILE)
        try:
            return _open_ring(data, root.key), stamp
        except Refused as error:
            wrong = isinstance(error, UnknownKey)
            why = "is not the key that seals it" if wrong else f"does not open it: {error}"
            if rootkey.is_passphrase_kid(str(root.key.kid)):
                wrong, why = True, "is wrong, or the keyring is damaged"
            code = "key-wrong" if wrong else "keyring-damaged"
            raise Misconfigured(f"the keyring of {self.folder}: {root.source} {why}", code=code) from None


def unlock(
    folder: Path,
    env: Mapping[str, str],
    config_key_file: Path | None,
    default_key_file: Path,
    *,
    ask: Ask | None = None,
    emergency: Sequence[Path] = (),
    make: bool = True,
) -> Keyring:
    """Finds the root key and opens the folder's keyring, or makes both on a first run. The one way in.

    `emergency`: where copies sealed by these keys may lie, for whoever changes them. `make`: whether there is to be a
    vault where none was; whoever only looks leaves nothing behind.
    """
    exist = sealed_files_exist(folder)
    if not make and not exist:
        raise Misconfigured(
            f"there is no vault in {folder}, and no daemon answers; one is made by `vaultd login --codex` (or another"
            " vendor) and by `vaultd serve`",
            code="vault-missing",
        )
    root = rootkey.find(
        env,
        config_key_file,
        default_key_file,
        sealed_files_exist=exist,
        ask=ask,
        passphrase_kid=passphrase_kid(folder),
    )
    return Keyring.open_or_create(folder, root, emergency)


def sealed_files_exist(folder: Path) -> bool:
    """Whether anything here could only be read with a key: then a missing one is an error, never a fresh start."""
    parts = (folder, folder / ".vault", folder / ".vault" / "clients")
    return any(b'"ciphertext"' in _bytes(file) for part in parts if part.is_dir() for file in part.glob("*.json"))


def passphrase_kid(folder: Path) -> str | None:
    """The passphrase's parameters, where the keyring is sealed by one."""
    file = folder / ".vault" / FILE
    try:
        kids = envelope.kids(_bytes(file)) if file.exists() else []
    except Refused as error:
        raise Misconfigured(
            f"{file} is {error}: restore it from a backup, nothing else opens the vault", code="keyring-damaged"
        ) from None
    return next((kid for kid in kids if rootkey.is_passphrase_kid(kid)), None)


def _bytes(file: Path) -> bytes:
    """A look before there is a key. Without `FileStore.read`'s conditions: a sealed file too open is a sealed file."""
    if not file.is_file():
        return b""
    with file.open("rb") as opened:
        return opened.read(envelope.FILE_LIMIT)


def _open_ring(data: bytes, root: OctKey) -> Ring:
    opened = envelope.open_(data, typ=KEYRING, name=FILE, provider=_PROVIDER, ring={str(root.kid): root})
    return _from_plain(msgspec.json.decode(opened.plain), opened.generation)


def _to_plain(ring: Ring) -> dict[str, Any]:
    return {
        "v": 1,
        "keys": [key.as_dict(private=True) for key in ring.keys.values()],
        "active": ring.active,
        "recovery": [public.as_dict(private=False) for public in ring.recovery],
        "api_key_pepper": urlsafe_b64encode(ring.pepper).decode(),
        "next_root": ring.next_root.as_dict(private=True) if ring.next_root is not None else None,
        "work": ring.work,
    }


def _from_plain(plain: dict[str, Any], generation: int) -> Ring:
    if plain["v"] != 1:
        raise Misconfigured(
            f"the keyring is in format {plain['v']} and this vaultd knows 1: use the one that wrote it",
            code="keyring-newer",
        )
    keys = {str(jwk["kid"]): OctKey.import_key(jwk) for jwk in plain["keys"]}
    return Ring(
        keys=keys,
        active=plain["active"],
        pepper=urlsafe_b64decode(plain["api_key_pepper"]),
        recovery=tuple(ECKey.import_key(jwk) for jwk in plain["recovery"]),
        next_root=OctKey.import_key(plain["next_root"]) if plain["next_root"] else None,
        work=plain["work"],
        generation=generation,
    )
