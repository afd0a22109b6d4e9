"""Credentials as the house knows them: seen, changed, renewed, explained; cooldowns lifted. Each route is a verb of the
command line; what is here is the way in and out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from vaultd.house import House
from vaultd.pool.explain import at
from vaultd.server.management.route import Call, Query, Refused, Route
from vaultd.vault.credential import Credential
from vaultd.verbs import credentials as verbs
from vaultd.verbs import explain
from vaultd.wire.formats import FORMATS

_GROUP: Final = "credentials"
#: A change holds some names and patterns; a key is far below.
_LIMIT: Final = 64 * 1024


class Cooling(msgspec.Struct):
    """A rest of one credential; `model` empty: for all of them."""

    model: str
    until: str | None
    reason: str
    action: str


class Window(msgspec.Struct):
    """A window of the vendor's limits, as its last answer told it. `used`: 0 to 1."""

    name: str
    used: float
    resets_at: str | None
    noted_at: str


class Row(msgspec.Struct, kw_only=True):
    """One credential with how it stands."""

    id: str
    provider: str
    kind: str
    account: str
    plan: str
    label: str
    state: str
    reason: str
    until: str | None
    action: str
    cooling: list[Cooling]
    priority: int
    source: str
    expires_at: str | None
    expires_in: int | None
    weight: int
    max_parallel: int
    excluded_models: list[str]
    projects: list[str]
    own_proxy: bool
    renewed_at: str | None
    renewal_fails: str
    running: int
    quota: list[Window]
    #: The sealed file's name; empty for a key that stands in the configuration.
    file: str


class Alias(msgspec.Struct):
    name: str
    alias: str


class Whole(Row, kw_only=True):
    """Everything about one but its secrets."""

    created_at: str | None
    generation: int
    base_url: str
    models: list[Alias]
    facts: dict[str, Any]
    renewal_unsettled: bool
    not_saved: str


class NotLoaded(msgspec.Struct):
    """A file of the folder that is not used."""

    file: str
    reason: str
    action: str
    code: str


class Rows(msgspec.Struct):
    data: list[Row]
    refused: list[NotLoaded]


class Change(msgspec.Struct):
    """What is not there stays. A list replaces; an empty one, or an empty proxy or label, takes the setting away."""

    disabled: bool | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    weight: int | UnsetType = UNSET
    parallel: int | UnsetType = UNSET
    excluded_models: list[str] | UnsetType = UNSET
    projects: list[str] | UnsetType = UNSET
    proxy: str | UnsetType = UNSET
    label: str | UnsetType = UNSET


class Changed(msgspec.Struct):
    credential: Row
    status: str = "ok"


class Add(msgspec.Struct):
    """`provider`: one that takes keys, such as claude-api-key."""

    provider: str
    key: str
    label: str = ""
    base_url: str = ""


class Added(msgspec.Struct):
    id: str
    provider: str
    label: str


class Renewed(msgspec.Struct):
    id: str
    generation: int
    expires_at: str | None
    expires_in: int | None


class Accepted(msgspec.Struct):
    id: str
    generation: int


class Removed(msgspec.Struct):
    id: str
    removed: bool
    revoked: bool


class Rest(Cooling):
    credential: str


class Rests(msgspec.Struct):
    data: list[Rest]


class Lifted(msgspec.Struct):
    lifted: int
    status: str = "ok"


class Candidate(msgspec.Struct):
    """`tier`: 1 is asked first; null for one that cannot be asked as it stands."""

    credential: str
    provider: str
    model: str
    state: str
    reason: str
    until: str | None
    action: str
    tier: int | None


class Explained(msgspec.Struct):
    model: str
    candidates: list[Candidate]
    answer: str


async def list_(call: Call) -> Any:
    house = call.house
    failing, roster = house.renewer.failing(), house.pool.roster(house)
    rows = [row | _more(house, roster[row["id"]], failing) for row in verbs.rows_of(house) if row["id"] in roster]
    return {"data": rows, "refused": verbs.refused(house)}


async def show(call: Call) -> Any:
    credential = _named(call)
    shown = await verbs.show(call.house, {"id": credential.id})
    return shown | _more(call.house, credential, call.house.renewer.failing())


async def change(call: Call) -> Any:
    credential = _ours(call)
    args = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not UNSET}
    if not args:
        raise Refused(400, "no fields to update")
    call.changed.extend(args)
    disabled = args.pop("disabled", None)
    if args:
        await verbs.set_(call.house, {"id": credential.id, **args})
    if disabled is not None:
        await (verbs.disable if disabled else verbs.enable)(call.house, {"id": credential.id})
    return {"status": "ok", "credential": _row(call.house, credential.id)}


async def add(call: Call) -> Any:
    added = await verbs.add(call.house, msgspec.structs.asdict(call.body))
    call.changed.append(added["id"])
    return added


async def refresh(call: Call) -> Any:
    return await verbs.refresh(call.house, {"id": _named(call).id})


async def accept(call: Call) -> Any:
    """A file that was rolled back is in no list."""
    id_ = call.path["id"].removesuffix(".json")
    if id_ not in call.house.owner.rolled_back():
        _named(call)
        raise Refused(409, f"{id_} was not rolled back: there is nothing to accept")
    return await verbs.accept(call.house, {"id": id_})


async def remove(call: Call) -> Any:
    args = {"id": _ours(call).id, "everywhere": call.query.get("everywhere", "").lower() in {"1", "true", "yes", "on"}}
    return await verbs.logout(call.house, args)


async def cooldowns(call: Call) -> Any:
    return await explain.cooldowns(call.house, {})


async def lift(call: Call) -> Any:
    id_ = call.query.get("credential", "").removesuffix(".json")
    if id_ and id_ not in call.house.pool.roster(call.house):
        raise Refused(404, "item not found")
    args = {"credential": id_, "model": call.query.get("model", "")}
    return {"status": "ok", **await explain.lift(call.house, args)}


async def explained(call: Call) -> Any:
    return await explain.explain(call.house, {"format": "openai-chat", **call.query})


def _row(house: House, id_: str) -> dict[str, Any]:
    credential = house.pool.roster(house)[id_]
    row = next(row for row in verbs.rows_of(house) if row["id"] == id_)
    return row | _more(house, credential, house.renewer.failing())


def _more(house: House, credential: Credential, failing: Mapping[str, str]) -> dict[str, Any]:
    return {
        **verbs.settings_of(credential),
        "renewed_at": at(credential.renewed_at) if credential.renewed_at else None,
        "renewal_fails": failing.get(credential.id, ""),
        "running": house.pool.state.running(credential.id),
        "quota": [
            {
                "name": window.name,
                "used": window.used,
                "resets_at": at(window.resets_at) if window.resets_at else None,
                "noted_at": at(window.noted_at),
            }
            for window in house.quotas.of(credential.id)
        ],
        "file": f"{credential.id}.json" if credential.source == "file" else "",
    }


def _named(call: Call) -> Credential:
    credential = call.house.pool.roster(call.house).get(call.path["id"].removesuffix(".json"))
    if credential is None:
        raise Refused(404, "item not found")
    return credential


def _ours(call: Call) -> Credential:
    credential = _named(call)
    if credential.source == "config":
        raise Refused(409, f"{credential.id} stands in the configuration: change it there")
    return credential


_NOT_FOUND: Final = {404: "no such credential"}
_IN_CONFIG: Final = {409: "it is a key that stands in the configuration"}

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/credentials", list_, "Every credential with how it stands, and the files that are not used.", _GROUP,
          answers=Rows),
    Route("POST", "/credentials", add, "Seals an API key, so that none need lie in the configuration.", _GROUP,
          body=Add, answers=Added, limit=_LIMIT,
          also={400: "no such provider, or it takes no keys", 503: "it could not be saved yet"}),
    Route("GET", "/credentials/{id}", show, "Everything about one credential but its secrets.", _GROUP, answers=Whole,
          also=_NOT_FOUND),
    Route("PATCH", "/credentials/{id}", change, "Changes how one is used, or switches it off and on.", _GROUP,
          body=Change, answers=Changed, limit=_LIMIT,
          also={**_NOT_FOUND, **_IN_CONFIG, 400: "a value is out of its range", 503: "it could not be saved yet"}),
    Route("DELETE", "/credentials/{id}", remove, "Removes one here; everywhere: ends it at the vendor first.", _GROUP,
          query=(Query("everywhere", "End the login at the vendor too.", "boolean"),), answers=Removed,
          also={**_NOT_FOUND, **_IN_CONFIG, 502: "the vendor refused", 503: "the vendor did not answer"}),
    Route("POST", "/credentials/{id}/refresh", refresh, "Renews a login now.", _GROUP, answers=Renewed,
          also={**_NOT_FOUND, 400: "a key is not renewed", 409: "a person has to sign in again",
                502: "the vendor refused", 503: "the vendor did not answer"}),
    Route("POST", "/credentials/{id}/accept", accept, "Uses a file again that was rolled back.", _GROUP,
          answers=Accepted, also={**_NOT_FOUND, 409: "it was not rolled back", 503: "it could not be saved yet"}),
    Route("GET", "/cooldowns", cooldowns, "Which credential rests, for which model, until when and why.", _GROUP,
          answers=Rests),
    Route("DELETE", "/cooldowns", lift, "Ends rests: all, one credential's, one model's.", _GROUP,
          query=(Query("credential", "Its id."), Query("model", "As the vendor calls it.")), answers=Lifted,
          also=_NOT_FOUND),
    Route("GET", "/explain", explained, "Who would serve a model now, and why the others would not.", _GROUP,
          query=(Query("model", "As a client names it.", required=True),
                 Query("format", "The client's; openai-chat if not given.", choices=tuple(FORMATS))),
          answers=Explained),
)  # fmt: skip
