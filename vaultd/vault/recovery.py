"""Recovery keys: P-256 key pairs whose private half is kept elsewhere and opens every file with any JOSE tool.

The pair is made by whoever asked for it, in his own process: he keeps the private half, and only then hands in the
public one. Beside a daemon the private half so crosses no socket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
from joserfc.jwk import ECKey

from vaultd.errors import Misconfigured
from vaultd.vault import envelope
from vaultd.vault.keyring import Keyring
from vaultd.vault.rotate import Outcome, conform, maintenance

#: The daemon's own recipient, and during a rekey a second one on the keyring file, need their places too.
_LIMIT: Final = envelope.MAX_RECIPIENTS - 2


def kids(keyring: Keyring) -> list[str]:
    return [str(public.kid) for public in keyring.ring.recovery]


class Pair(NamedTuple):
    kid: str
    #: The JWK as a file's text.
    private: bytes
    public: dict[str, Any]


def pair() -> Pair:
    key = ECKey.generate_key("P-256", auto_kid=True)
    text = msgspec.json.encode(key.as_dict(private=True)) + b"\n"
    return Pair(str(key.kid), text, dict(key.as_dict(private=False)))


def room(present: Sequence[str]) -> None:
    """To be asked before a private half is delivered for nothing."""
    if len(present) >= _LIMIT:
        raise Misconfigured(f"there are {_LIMIT} recovery keys, the most a file has room for: remove one first")


async def add(keyring: Keyring, jwk: Mapping[str, Any]) -> tuple[str, Outcome]:
    """Seals every file for this public key too. Answers its key id, a thumbprint (RFC 7638) whatever it was called."""
    public = _public(jwk)
    async with maintenance(keyring):
        room(kids(keyring))
        if public.kid in kids(keyring):
            raise Misconfigured(f"{public.kid} is a recovery key already")
        keyring.switch(lambda ring: replace(ring, recovery=(*ring.recovery, public), work=ring.work or "wrap"))
        return str(public.kid), await conform(keyring)


def _public(jwk: Mapping[str, Any]) -> ECKey:
    if "d" in jwk:
        raise Misconfigured("that is a private key: send its public half, and make another from now on")
    if (jwk.get("kty"), jwk.get("crv")) != ("EC", "P-256"):
        raise Misconfigured("a recovery key is a JWK of kty EC and crv P-256")
    try:
        key = ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})
        key.ensure_kid()
    except Exception:  # noqa: BLE001 - joserfc and cryptography raise nearly all of Python's classes
        raise Misconfigured("a recovery key is a JWK of kty EC and crv P-256") from None
    return key


async def remove(keyring: Keyring, kid: str) -> Outcome:
    """Files are no longer sealed for it; copies made before still are, and content keys it has seen stay the same."""
    if kid not in kids(keyring):
        raise Misconfigured(f"no recovery key {kid}: see `vaultd vault recovery list`")
    async with maintenance(keyring):
        keyring.switch(
            lambda ring: replace(
                ring, recovery=tuple(public for public in ring.recovery if public.kid != kid), work=ring.work or "wrap"
            )
        )
        return await conform(keyring)
