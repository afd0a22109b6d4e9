"""A backup leaves in pages, sealed before it leaves; its members come back opened, for the key that opens them never
comes here (it is the operator's, and stays where the command runs)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from vaultd.config import places
from vaultd.config.load import read
from vaultd.errors import Misconfigured
from vaultd.house import House
from vaultd.vault import backup as format_
from vaultd.verbs.arguments import text
from vaultd.verbs.credentials import refused
from vaultd.work import backing_up
from vaultd.work.backing_up import Row, Texts
from vaultd.work.health.codes import found

#: Half of what one answer over the socket may hold (`net.local`).
_PAGE: Final = 8 * 1024 * 1024
#: Members that are files of the configuration, put back before anything is read by it, in this order.
_TEXTS: Final = ("providers", "config", "prices")


async def backup(house: House, args: Mapping[str, Any]) -> Any:
    """`{"id", "after", "recipient"}`: each member's sealed lines, from the one after `after` on, as many as fit; `more`
    where there are others. Without a recipient it is sealed for the vault's recovery keys. `left_out`: files of logins
    and client keys that cannot be used, and so not be taken along."""
    keys = format_.recipients(await _recipients(house, args))
    await house.owner.rescan()
    await house.clients.rescan()
    after = text(args, "after", "")
    wanted = [name for name in backing_up.names(house.owner, house.clients, house.places) if name > after]
    data: list[dict[str, Any]] = []
    size = 0
    async for member in backing_up.members(wanted, house.owner, house.clients, house.places):
        lines = format_.seal(member, text(args, "id"), keys)
        data.append({"name": member.name, "lines": lines})
        size += sum(map(len, lines))
        if size > _PAGE:
            break
    more = bool(data) and data[-1]["name"] != wanted[-1]
    recipients = [key.as_dict(private=False) for key in keys]
    return {"data": data, "more": more, "recipients": recipients, "left_out": _left_out(house)}


def _left_out(house: House) -> list[dict[str, str]]:
    # A file that was rolled back under a daemon that holds the newest is refused, and the login goes along.
    held = house.owner.snapshot()
    rows = [row for row in refused(house) if row["file"].removesuffix(".json") not in held]
    for file, reason in sorted(house.clients.refused().items()):
        finding = found("client-key-damaged", reason, subject=str(house.keyring.clients.folder / file))
        rows.append({"file": file, "reason": finding.says, "action": finding.action, "code": finding.code})
    return rows


async def plan_restore(house: House, args: Mapping[str, Any]) -> Any:
    """`{"members": [{"name", "data"}]}`: what would become of each. Changes nothing."""
    return await _restore(house, args, act=False)


async def restore(house: House, args: Mapping[str, Any]) -> Any:
    return await _restore(house, args, act=True)


async def _restore(house: House, args: Mapping[str, Any], *, act: bool) -> Any:
    members = args.get("members")
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise Misconfigured("members: a list of {name, data} is expected")
    await house.owner.rescan()
    given = {text(member, "name"): text(member, "data", "") for member in members}
    if outside := [name for name in given if not format_.is_member(name)]:  # a path elsewhere among them
        raise Misconfigured(f"{outside[0]!r}: no member of a backup is called so")
    texts = await asyncio.to_thread(_weighed, house, given)
    # Manifests before the configuration: what it says of their providers is wrong until they are there.
    rows = [asdict(await _back(house, texts, name, given[name], act=act)) for name in sorted(given, key=_turn)]
    if act and any(row["name"].partition("/")[0] in _TEXTS and row["does"] == "new" for row in rows):
        await house.take_up()
    return {"acted": act, "data": rows}


def _weighed(house: House, given: Mapping[str, str]) -> Texts:
    """In a worker thread: it may be a hundred manifests."""
    here = read(house.env, house.config_option)
    ours = {name: data for name, data in given.items() if name.partition("/")[0] in _TEXTS}
    return backing_up.weighed(ours, here, lambda config: places.find(house.env, house.config_option, config))


def _turn(name: str) -> int:
    kind = name.partition("/")[0]
    return _TEXTS.index(kind) if kind in _TEXTS else len(_TEXTS)


async def _back(house: House, texts: Texts, name: str, data: str, *, act: bool) -> Row:
    if name.partition("/")[0] in _TEXTS:
        return await backing_up.text_back(name, data, texts, act=act)
    folder = read(house.env, house.config_option).places.auth_dir.resolve()
    if act and folder != house.owner.folder.resolve():
        raise Misconfigured(f"the configuration keeps credentials in {folder}: restart vaultd, then restore once more")
    try:
        if name.startswith("client-key/"):
            return await backing_up.key_back(name, data, house.clients, act=act)
        return await backing_up.login_back(name, data, house.owner, house.catalog, now=house.clock.now(), act=act)
    except Misconfigured as error:  # written by a later vaultd, or by nobody: the others are good all the same
        return Row(name, "cannot be read", "left", str(error))


async def _recipients(house: House, args: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    given = args.get("recipient")
    if isinstance(given, dict):
        return [given]
    keys = await asyncio.get_running_loop().run_in_executor(None, _recovery_keys, house)
    if not keys:
        raise Misconfigured("there is no recovery key: vaultd vault recovery add, or --to a public key of yours")
    return keys


def _recovery_keys(house: House) -> list[dict[str, Any]]:
    """As they are now: for one that was removed nothing more is sealed. In a worker thread, for it may wait."""
    with house.keyring.steady() as ring:
        return [dict(public.as_dict(private=False)) for public in ring.recovery]
