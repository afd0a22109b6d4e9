"""Client keys: seen masked, made, switched, removed."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from vaultd.errors import Misconfigured
from vaultd.pool import explain
from vaultd.server.management.route import Call, Done, Query, Refused, Route
from vaultd.vault.clients import ClientKey


class Row(msgspec.Struct):
    """`created_at` is "" for a key of the configuration."""

    id: str
    alias: str
    masked: str
    enabled: bool
    source: Literal["vault", "config"]
    created_at: str


class Rows(msgspec.Struct):
    data: list[Row]


class Whole(msgspec.Struct):
    """`key` is masked unless it was just made, or asked for from this machine with `reveal=1`."""

    id: str
    alias: str
    key: str


class New(msgspec.Struct):
    alias: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+ -]*$")]


class Switch(msgspec.Struct):
    enabled: bool


async def every(call: Call) -> Rows:
    return Rows([_row(key) for key in call.house.clients.list()])


async def create(call: Call) -> Whole:
    try:
        key = await call.house.clients.create(call.body.alias)
    except Misconfigured as error:
        raise Refused(409, "client key not made", message=str(error)) from None
    call.changed.append(key.id)
    return Whole(key.id, key.alias, key.value.reveal())


async def one(call: Call) -> Whole:
    key = _named(call)
    return Whole(key.id, key.alias, key.value.reveal() if call.reveal else key.masked)


async def switch(call: Call) -> Done:
    key = _ours(call)
    clients = call.house.clients
    await (clients.enable(key.id) if call.body.enabled else clients.disable(key.id))
    return Done()


async def delete(call: Call) -> Done:
    await call.house.clients.delete(_ours(call).id)
    return Done()


def _named(call: Call) -> ClientKey:
    """By id alone: a whole key in a URL would end in logs."""
    wanted: Any = call.path["id"]
    for key in call.house.clients.list():
        if key.id == wanted:
            return key
    raise Refused(404, "item not found")


def _ours(call: Call) -> ClientKey:
    key = _named(call)
    if key.source == "config":
        raise Refused(409, "client key of the configuration", message="change `api-keys` there")
    return key


def _row(key: ClientKey) -> Row:
    made = explain.at(key.created_at) if key.created_at else ""
    return Row(key.id, key.alias, key.masked, key.enabled, key.source, made)


_UNKNOWN: Final = {404: "No such client key."}
_ELSEWHERE: Final = {**_UNKNOWN, 409: "The key stands in the configuration."}

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/client-keys", every, "Every client key, masked.", "client keys", answers=Rows),
    Route(
        "POST",
        "/client-keys",
        create,
        "Makes a client key; the answer is the one time it is whole.",
        "client keys",
        body=New,
        answers=Whole,
        also={409: "The alias is taken."},
    ),
    Route(
        "GET",
        "/client-keys/{id}",
        one,
        "One client key; whole with `reveal=1` from this machine.",
        "client keys",
        query=(Query("reveal", "Answer the whole key, on this machine alone.", "boolean"),),
        answers=Whole,
        also=_UNKNOWN,
    ),
    Route(
        "PATCH",
        "/client-keys/{id}",
        switch,
        "Switches a client key on or off.",
        "client keys",
        body=Switch,
        also=_ELSEWHERE,
    ),
    Route("DELETE", "/client-keys/{id}", delete, "Removes a client key.", "client keys", also=_ELSEWHERE),
)
