"""Recovery keys: P-256 key pairs whose private half is kept elsewhere and opens every file with any JOSE tool.

The private half is delivered before the public half is used, and is nowhere kept here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

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


async def add(keyring: Keyring, deliver: Callable[[bytes], None]) -> tuple[str, Outcome]:
    """Makes a pair, hands the private JWK to `deliver` (once), and seals every file for it. Answers its key id."""
    if len(keyring.ring.recovery) >= _LIMIT:
        raise Misconfigured(f"there are {_LIMIT} recovery keys, the most a file has room for: remove one first")
    private = ECKey.generate_key("P-256", auto_kid=True)
    async with maintenance(keyring):
        deliver(msgspec.json.encode(private.as_dict(private=True)) + b"\n")
        public = ECKey.import_key(private.as_dict(private=False))
        keyring.switch(lambda ring: replace(ring, recovery=(*ring.recovery, public), work=ring.work or "wrap"))
        return str(private.kid), await conform(keyring)


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
