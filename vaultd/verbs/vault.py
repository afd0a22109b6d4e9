"""What `vaultd vault` does to a folder's keys. Always on the folder itself, beside a daemon or without one.

Not in `VERBS`: the root key is nothing that a socket hands on. Prints nothing and asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vaultd.vault import recovery, rekey, rotate
from vaultd.vault.keyring import Keyring
from vaultd.vault.rekey import Rekeyed
from vaultd.vault.rootkey import Ask
from vaultd.vault.rotate import Outcome


def status(keyring: Keyring) -> dict[str, Any]:
    ring = keyring.ring
    return {
        "folder": str(keyring.credentials.folder),
        "root_key": keyring.root.source,
        "rekey_unfinished": ring.next_root is not None,
        "keys": len(ring.keys),
        "active_key": ring.active,
        "recovery_keys": recovery.kids(keyring),
        "sealed_files": sum(len(store.names()) for store, _ in keyring.stores()),
        "files_to_reseal": rotate.unfinished(keyring),
        "work": ring.work,
        "warnings": keyring.news,
    }


async def rekey_to_file(keyring: Keyring, default_key_file: Path, to: Path | None) -> Rekeyed:
    async with rotate.maintenance(keyring):
        return rekey.to_key_file(keyring, default_key_file, to)


async def rekey_to_passphrase(keyring: Keyring, ask: Ask) -> Rekeyed:
    async with rotate.maintenance(keyring):
        return rekey.to_passphrase(keyring, ask)


async def rekey_finish(keyring: Keyring) -> Rekeyed:
    async with rotate.maintenance(keyring):
        return rekey.finish(keyring)


async def rotate_keys(keyring: Keyring, *, full: bool) -> dict[str, Any]:
    return _outcome(await rotate.rotate(keyring, full=full))


async def recovery_add(keyring: Keyring, deliver: Callable[[bytes], None]) -> dict[str, Any]:
    kid, outcome = await recovery.add(keyring, deliver)
    return {"key": kid, **_outcome(outcome)}


async def recovery_remove(keyring: Keyring, kid: str) -> dict[str, Any]:
    return {"key": kid, **_outcome(await recovery.remove(keyring, kid))}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {"files_resealed": outcome.changed, "keys_dropped": outcome.keys_dropped, "left": outcome.left}
