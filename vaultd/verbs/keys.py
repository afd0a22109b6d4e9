"""Client keys: what clients present to this daemon. A whole value leaves only by `create` and `get`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaultd.house import House
from vaultd.vault.clients import ClientKey
from vaultd.verbs.arguments import text

#: Status words of the gateway's command line whose shape `--json` has: 1 is on, 0 is off.
_ON, _OFF = 1, 0


async def list_(house: House, _args: Mapping[str, Any]) -> Any:
    keys = [_masked(key) for key in house.clients.list()]
    return {"data": keys, "count": len(keys)}


async def create(house: House, args: Mapping[str, Any]) -> Any:
    return {"data": _whole(await house.clients.create(text(args, "alias")))}


async def get(house: House, args: Mapping[str, Any]) -> Any:
    return {"data": _whole(house.clients.get(text(args, "key")))}


async def enable(house: House, args: Mapping[str, Any]) -> Any:
    return {"data": _state(await house.clients.enable(text(args, "key")))}


async def disable(house: House, args: Mapping[str, Any]) -> Any:
    return {"data": _state(await house.clients.disable(text(args, "key")))}


async def delete(house: House, args: Mapping[str, Any]) -> Any:
    key = await house.clients.delete(text(args, "key"))
    return {"data": {"id": key.id, "deleted": True}}


def _masked(key: ClientKey) -> dict[str, Any]:
    return {"id": key.id, "alias": key.alias, "vApiKey": key.masked, "status": _status(key)}


def _whole(key: ClientKey) -> dict[str, Any]:
    return {"id": key.id, "alias": key.alias, "vApiKey": key.value.reveal()}


def _state(key: ClientKey) -> dict[str, Any]:
    return {"id": key.id, "status": _status(key)}


def _status(key: ClientKey) -> int:
    return _ON if key.enabled else _OFF
