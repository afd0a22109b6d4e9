"""Client keys: what a client of ours presents. Those issued here are sealed, one file each; the config's are not.

    vk_<12 hex: id>_<43 characters: 32 random bytes>_<8 hex: CRC-32 of what stands before>

The checksum tells a typing mistake from an attack, and lets secret scanners match. A presented key is looked up by its
HMAC under the keyring's pepper, in a table in memory: one HMAC and one comparison whatever is presented. The value is
kept (sealed) so that it can be shown once more.
"""

from __future__ import annotations

import asyncio
import binascii
import hmac
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import msgspec

from vaultd.errors import Misconfigured
from vaultd.secret import Secret
from vaultd.vault.envelope import CLIENT, Refused
from vaultd.vault.keyring import Keyring
from vaultd.vault.store.files import Stamp

FORMAT: Final = 1
_PROVIDER: Final = "vaultd"
_VALUE: Final = re.compile(r"(vk_(?P<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43})_(?P<crc>[0-9a-f]{8})", re.ASCII)
_ALIAS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+ -]{0,63}", re.ASCII)
#: Ours have 68 characters; an operator's own may be longer, but nobody hashes a whole header for a stranger.
_LONGEST: Final = 1024
#: The lease under which keys are made and changed: aliases are unique among all of them.
_LEASE: Final = "client-keys.json"
_WAIT: Final = 10.0


#: What a miss is compared with, so that it costs what a hit costs (THR-02).
_NOBODY: Final = (bytes(32), None)


@dataclass(frozen=True, slots=True)
class ClientKey:
    id: str
    alias: str
    value: Secret
    enabled: bool = True
    created_at: float = 0.0
    source: Literal["vault", "config"] = "vault"
    generation: int = field(default=0, compare=False)

    @property
    def masked(self) -> str:
        return mask(self.value.reveal())


class ClientKeys:
    def __init__(self, keyring: Keyring) -> None:
        self._keyring: Final = keyring
        self._store: Final = keyring.clients
        #: The pepper taken in once: each digest starts from a copy, which costs half of `hmac.digest`.
        self._mac: Final = hmac.new(keyring.pepper, digestmod="sha256")
        self._issued: dict[str, ClientKey] = {}
        self._stamps: dict[str, Stamp] = {}
        self._refused: dict[str, str] = {}
        self._configured: dict[str, ClientKey] = {}
        self._by_digest: dict[bytes, tuple[bytes, ClientKey | None]] = {}
        self._take_up(*self._look_around())

    async def rescan(self) -> None:
        """Takes up what other processes did."""
        self._take_up(*await asyncio.get_running_loop().run_in_executor(None, self._look_around))

    def _look_around(self) -> tuple[dict[str, Stamp], dict[str, ClientKey | str] | None]:
        """In a worker thread: what is there, and its contents where anything changed."""
        stamps = self._store.stamps()
        return stamps, None if stamps == self._stamps else {name: self._read(name) for name in stamps}

    def _take_up(self, stamps: dict[str, Stamp], seen: dict[str, ClientKey | str] | None) -> None:
        if seen is None:
            return
        self._issued = {key.id: key for key in seen.values() if isinstance(key, ClientKey)}
        self._refused = {name: why for name, why in seen.items() if isinstance(why, str)}
        self._stamps = stamps
        self._index()

    def with_config_keys(self, values: Sequence[str]) -> None:
        """The keys of the config's `api-keys`, taken as they are; replaces those given before."""
        self._configured = {}
        for value in values:
            if len(value) > _LONGEST:
                raise Misconfigured(
                    f"a key in `api-keys` has {len(value)} characters; at most {_LONGEST} are looked at"
                )
            # Not the value's own beginning: an id is shown, logged and counted by.
            id_ = f"config-{self._digest(value).hex()[:8]}"
            self._configured[id_] = ClientKey(id_, id_, Secret(value), source="config")
        self._index()

    def identify(self, presented: str) -> ClientKey | None:
        """Whose key this is; None for unknown and for disabled ones."""
        if len(presented) > _LONGEST:
            return None
        digest = self._digest(presented)
        stored, key = self._by_digest.get(digest, _NOBODY)
        same = hmac.compare_digest(stored, digest)
        return key if same and key is not None and key.enabled else None

    def id_of(self, value: str) -> str:
        """How a key is called that another program shows in clear: as it is here, or would be in `api-keys`."""
        digest = self._digest(value)
        _, key = self._by_digest.get(digest, _NOBODY)
        return key.id if key is not None else f"config-{digest.hex()[:8]}"

    def list(self) -> list[ClientKey]:
        return sorted((self._issued | self._configured).values(), key=lambda key: (key.source, key.created_at, key.id))

    def refused(self) -> dict[str, str]:
        """File name → why it is not used."""
        return dict(self._refused)

    def get(self, ref: str) -> ClientKey:
        """By id, alias or value. Raises Misconfigured, without repeating what may be a key."""
        if any(sign in ref for sign in ("…", "...", "*")):
            raise Misconfigured("that is a masked key, which names none: give its id or alias (`vaultd keys list`)")
        keys = self._issued | self._configured
        if ref in keys:
            return keys[ref]
        for key in keys.values():
            if key.alias == ref or key.value == Secret(ref):
                return key
        if ref.startswith("vk_"):
            raise Misconfigured(_why_unknown(ref))
        raise Misconfigured("no client key has this id, alias or value: see `vaultd keys list`")

    async def create(self, alias: str) -> ClientKey:
        if not _ALIAS.fullmatch(alias) or alias.startswith("vk_"):
            raise Misconfigured("an alias is 1 to 64 letters, digits and ._@+- or spaces, and does not begin with vk_")
        async with self._alone():
            if any(alias in {key.alias, key.id} for key in self.list()):
                raise Misconfigured(f"a client key {alias} exists: choose another alias")
            value = new_value()
            key = ClientKey(value[3:15], alias, Secret(value), created_at=time.time())
            return await self._put(key)

    async def adopt(self, alias: str, value: Secret, *, enabled: bool = True, created_at: float = 0.0) -> ClientKey:
        """A key that clients have from elsewhere, with a name for it. Where its value is known, what is known stays."""
        if not _ALIAS.fullmatch(alias) or not 0 < len(value.reveal()) <= _LONGEST:
            raise Misconfigured("a client key has an alias of 1 to 64 plain characters and a value of at most 1024")
        async with self._alone():
            if known := next((key for key in self.list() if key.value == value), None):
                return known
            ours = _VALUE.fullmatch(value.reveal())
            id_ = ours["id"] if ours else self._digest(value.reveal()).hex()[:12]
            taken = {name for key in self.list() for name in (key.alias, key.id)}
            alias = alias if alias not in taken else f"{alias[:51]}-{id_}"
            return await self._put(ClientKey(id_, alias, value, enabled, created_at or time.time()))

    async def enable(self, ref: str) -> ClientKey:
        return await self._change(ref, lambda key: replace(key, enabled=True))

    async def disable(self, ref: str) -> ClientKey:
        return await self._change(ref, lambda key: replace(key, enabled=False))

    async def delete(self, ref: str) -> ClientKey:
        async with self._alone():
            key = self._ours(ref)
            async with self._store.lease(_name(key), wait=_WAIT):
                await asyncio.get_running_loop().run_in_executor(None, self._store.remove, _name(key))
            self._issued.pop(key.id, None)
            self._stamps.pop(_name(key), None)
            self._index()
            return key

    async def _change(self, ref: str, change: Callable[[ClientKey], ClientKey]) -> ClientKey:
        async with self._alone():
            return await self._put(change(self._ours(ref)))

    def _ours(self, ref: str) -> ClientKey:
        key = self.get(ref)
        if key.source == "config":
            raise Misconfigured(f"{key.id} stands in the config: change `api-keys` there")
        return key

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._store.lease(_LEASE, wait=_WAIT):
            await self.rescan()
            yield

    async def _put(self, key: ClientKey) -> ClientKey:
        key = replace(key, generation=key.generation + 1)
        async with self._store.lease(_name(key), wait=_WAIT):
            try:
                stamp = await asyncio.get_running_loop().run_in_executor(None, self._write, key)
            except OSError as error:
                raise Misconfigured(f"the client key {key.id} cannot be saved: {error.strerror}") from error
        self._issued[key.id], self._stamps[_name(key)] = key, stamp
        self._index()
        return key

    def _write(self, key: ClientKey) -> Stamp:
        plain = {"v": FORMAT} | {
            "alias": key.alias,
            "value": key.value.reveal(),
            "enabled": key.enabled,
            "created_at": key.created_at,
        }
        with self._keyring.steady():
            sealed = self._keyring.seal(
                msgspec.json.encode(plain),
                typ=CLIENT,
                name=_name(key),
                provider=_PROVIDER,
                generation=key.generation,
            )
            return self._store.commit(_name(key), sealed)

    def _read(self, name: str) -> ClientKey | str:
        try:
            data, _ = self._store.read(name)
            opened = self._keyring.open(data, typ=CLIENT, name=name, provider=_PROVIDER)
            plain: dict[str, Any] = msgspec.json.decode(opened.plain)
            if plain["v"] != FORMAT:
                raise Refused(f"in format {plain['v']}, this vaultd knows {FORMAT}: use the one that wrote it")
            value = Secret(plain["value"])
            return ClientKey(
                name.removesuffix(".json"),
                plain["alias"],
                value,
                enabled=plain["enabled"],
                created_at=plain["created_at"],
                generation=opened.generation,
            )
        except (Misconfigured, KeyError, msgspec.DecodeError) as error:
            return str(error)
        except OSError as error:
            return f"cannot be read: {error.strerror}"

    def _index(self) -> None:
        keys = [*self._issued.values(), *self._configured.values()]
        digests = [self._digest(key.value.reveal()) for key in keys]
        self._by_digest = {digest: (digest, key) for digest, key in zip(digests, keys, strict=True)}

    def _digest(self, value: str) -> bytes:
        mac = self._mac.copy()
        mac.update(_encode(value))
        return mac.digest()


def new_value() -> str:
    body = f"vk_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
    return f"{body}_{_crc(body)}"


def mask(value: str) -> str:
    """Enough to recognise a key by, nothing to use: of ours the id, of others at most seven of sixteen characters."""
    if ours := _VALUE.fullmatch(value):
        return f"vk_{ours['id']}…"
    return f"{value[:3]}…{value[-4:]}" if len(value) >= 16 else "…"


def _name(key: ClientKey) -> str:
    return f"{key.id}.json"


def _encode(value: str) -> bytes:
    # aiohttp hands undecodable header bytes on as surrogates.
    return value.encode(errors="surrogatepass")


def _crc(body: str) -> str:
    return f"{binascii.crc32(body.encode()):08x}"


def _why_unknown(ref: str) -> str:
    parts = _VALUE.fullmatch(ref)
    if parts is None or parts["crc"] != _crc(parts[1]):
        return "that is no whole client key: a character is wrong or missing (its checksum does not fit)"
    return "no such client key: it was deleted, or belongs to another vaultd"
