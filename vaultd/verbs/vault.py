"""What `vaultd vault` does to a folder's keys, in the daemon where one runs.

Each works on a keyring of its own and off the loop, as another process would: it reads and writes every file, and the
house's keyring, its keeper's and other daemons' follow by themselves. No key comes out of here: a recovery key's
private half never gets in, and a new root key goes in alone. A passphrase is for the terminal (`cli.vault`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from vaultd.errors import Misconfigured
from vaultd.house import House
from vaultd.vault import recovery, rekey, rootkey, rotate
from vaultd.vault.keyring import Keyring
from vaultd.vault.rekey import Rekeyed
from vaultd.vault.rotate import Outcome
from vaultd.verbs.arguments import flag, secret, text

T = TypeVar("T")


async def status(house: House, _args: Mapping[str, Any]) -> dict[str, Any]:
    async def told(keyring: Keyring) -> dict[str, Any]:
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

    return await _apart(house, told)


async def rotate_keys(house: House, args: Mapping[str, Any]) -> dict[str, Any]:
    """`full`: new content keys too."""
    full = flag(args, "full")
    return _outcome(await _apart(house, lambda keyring: rotate.rotate(keyring, full=full)))


async def recovery_add(house: House, args: Mapping[str, Any]) -> dict[str, Any]:
    """`public`: a JWK, whose private half is kept by then."""
    public = args.get("public")
    if not isinstance(public, dict):
        raise Misconfigured("public: a JWK is expected")
    kid, outcome = await _apart(house, lambda keyring: recovery.add(keyring, public))
    return {"id": kid, **_outcome(outcome)}


async def recovery_remove(house: House, args: Mapping[str, Any]) -> dict[str, Any]:
    kid = text(args, "id")
    return {"id": kid, **_outcome(await _apart(house, lambda keyring: recovery.remove(keyring, kid)))}


async def rekey_(house: House, args: Mapping[str, Any]) -> dict[str, Any]:
    """In place where the root key comes from a file of ours; else `root` is the next one, which lies in `file`."""
    place = house.places.key_file
    if "root" not in args:
        return await _rekeyed(house, lambda keyring: rekey.to_key_file(keyring, place))
    given, file = secret(args, "root"), text(args, "file")
    return await _rekeyed(house, lambda keyring: rekey.admit(keyring, given.reveal().encode(), file))


async def rekey_finish(house: House, _args: Mapping[str, Any]) -> dict[str, Any]:
    return await _rekeyed(house, rekey.finish)


async def _rekeyed(house: House, work: Callable[[Keyring], Rekeyed]) -> dict[str, Any]:
    async def maintained(keyring: Keyring) -> Rekeyed:
        async with rotate.maintenance(keyring):
            done = work(keyring)
            if rootkey.is_passphrase_kid(str(house.keyring.root.key.kid)):
                house.keyring.root = keyring.root  # nobody could be asked again
            return done

    done = await _apart(house, maintained)
    return {"source": done.source, "todo": done.todo}


async def _apart(house: House, work: Callable[[Keyring], Coroutine[Any, Any, T]]) -> T:
    def done() -> T:
        with house.keyring.steady():  # which takes up what a `vault rekey` did meanwhile
            root = house.keyring.root
        return asyncio.run(work(Keyring(house.keyring.folder, root, house.places.emergency)))

    return await asyncio.to_thread(done)


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {"files_resealed": outcome.changed, "keys_dropped": outcome.keys_dropped, "left": outcome.left}
