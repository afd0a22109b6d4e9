"""How the house stands: status, doctor, vendors, models, who this is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from vaultd import __version__
from vaultd.catalog.manifest import Model, Provider
from vaultd.house import House
from vaultd.pool import explain
from vaultd.pool.state import Member
from vaultd.server.management.gate import scheme
from vaultd.server.management.route import Call, Reply, Route
from vaultd.verbs import doctor as examined
from vaultd.verbs import status as seen
from vaultd.wire.refusal import Refusal
from vaultd.work.sign_in import ways

#: What CLIProxyAPI calls the vendors' sign-in routes; every other is called by the manifest's id.
_AUTH_URLS: Final = {"claude": "/anthropic-auth-url", "gemini": "/gemini-cli-auth-url"}
#: So many credentials are named for one model: a page shows some, and a pool may have ten thousand.
_MEMBERS: Final = 100


class Management(msgspec.Struct):
    allow_remote: bool


class About(msgspec.Struct):
    """`near`: secrets may be asked for with `reveal=1`. `client_address`: the base address a client should use, as this
    caller reached us."""

    version: str
    commit: str
    address: str
    started_at: str
    config_file: str
    folder: str
    near: bool
    management: Management
    usage_enabled: bool
    client_address: str


class Vendor(msgspec.Struct):
    """`ways`: how a person may sign in; `keys`: whether it takes API keys; `sunset`: the day this way in was closed."""

    id: str
    name: str
    ways: list[Literal["browser", "paste-page", "device"]]
    keys: bool
    sunset: str
    sunset_note: str
    verified: str
    formats: list[str]
    auth_url: str


class Vendors(msgspec.Struct):
    data: list[Vendor]


class Server(msgspec.Struct):
    """How one credential stands for one model."""

    id: str
    provider: str
    state: str
    reason: str
    until: str


class Served(msgspec.Struct):
    id: str
    providers: list[str]
    formats: list[str]
    context: int
    max_output: int
    thinking: dict[str, Any] | None
    credentials: list[Server]


class Models(msgspec.Struct):
    data: list[Served]


class Daemon(msgspec.Struct):
    pid: int
    address: str
    admin_socket: str
    started_at: str
    draining: bool


class Status(msgspec.Struct):
    """What `vaultd status --json` says."""

    version: str
    daemon: Daemon | None
    folder: str
    config: str
    needs_a_person: list[str]
    warnings: list[str]
    credentials: list[dict[str, Any]]
    client_keys: int


class Check(msgspec.Struct):
    check: str
    code: str
    state: Literal["ok", "warn", "fail"]
    subject: str
    says: str
    action: str


class Doctor(msgspec.Struct):
    """What `vaultd doctor --json` says."""

    well: bool
    checks: list[Check]


async def about(call: Call) -> About:
    house, request = call.house, call.request
    daemon = house.daemon
    address = daemon.address if daemon is not None else ""
    over_tcp = request.transport is not None and isinstance(request.transport.get_extra_info("peername"), tuple)
    return About(
        version=__version__,
        commit="",
        address=address,
        started_at=explain.at(daemon.started_at) if daemon is not None else "",
        config_file=str(house.places.config_file or ""),
        folder=str(house.owner.folder),
        near=call.caller.near,
        management=Management(house.config.remote_management.allow_remote),
        usage_enabled=house.config.usage_statistics_enabled,
        client_address=f"{scheme(house.config, request)}://{request.headers.get('Host', '')}" if over_tcp else address,
    )


async def status(call: Call) -> Any:
    return await seen.status(call.house, {})


async def doctor(call: Call) -> Any:
    return await examined.doctor(call.house, {})


async def providers(call: Call) -> Vendors:
    entries = sorted(call.house.catalog.providers.items())
    return Vendors([_vendor(entry.provider) for _, entry in entries])


async def models(call: Call) -> Models:
    house = call.house
    resting: dict[str, dict[str, explain.Standing]] = {}
    for row in house.pool.standings(house):
        resting.setdefault(row.credential, {})[row.model] = row
    served = house.pool.models(house)
    return Models([_served(house, name, model, ids, resting) for name, (model, ids) in served.items()])


def _vendor(provider: Provider) -> Vendor:
    offered = ways(provider) if provider.oauth is not None else []
    return Vendor(
        id=provider.id,
        name=provider.name or provider.id,
        ways=list(offered),
        keys=provider.keys,
        sunset=provider.sunset,
        sunset_note=provider.sunset_note,
        verified=provider.verified,
        formats=list(provider.api.formats),
        auth_url=_AUTH_URLS.get(provider.id, f"/{provider.id}-auth-url") if offered else "",
    )


def _served(
    house: House, name: str, model: Model, providers: list[str], resting: Mapping[str, Mapping[str, explain.Standing]]
) -> Served:
    entries = [house.catalog.providers[id_].provider for id_ in providers]
    formats = sorted({fmt for provider in entries for fmt in provider.api.formats})
    try:
        tiers = house.pool.route(house, entries[0].api.formats[0], name).tiers
    except Refusal:  # gone since the list was made
        tiers = ()
    members = [member for tier in tiers for member in tier.members][:_MEMBERS]
    return Served(
        id=name,
        providers=providers,
        formats=list(formats),
        context=model.context,
        max_output=model.max_output,
        thinking=None if model.thinking is None else msgspec.to_builtins(model.thinking),
        credentials=[_server(member, resting.get(member.id, {})) for member in members],
    )


def _server(member: Member, rows: Mapping[str, explain.Standing]) -> Server:
    """It rests for a model while it rests for each way in which it serves it."""
    own = rows.get("")
    if own is None or own.state == "available":
        slots = [rows[variant.slot] for variant in member.variants if variant.slot in rows]
        if len(slots) == len(member.variants):
            own = min(slots, key=lambda row: row.until or 0.0)
    if own is None:
        return Server(member.id, member.provider.id, "available", "", "")
    until = explain.at(own.until) if own.until is not None else ""
    return Server(member.id, member.provider.id, own.state, own.reason, until)


async def openapi(_call: Call) -> Reply:
    from vaultd.server.management.openapi import page  # noqa: PLC0415 - it describes every route, this one too

    return Reply(page())


ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/about", about, "Which vaultd this is, and how it is reached.", "overview", answers=About),
    Route(
        "GET", "/status", status, "What needs a person, and how every credential stands.", "overview", answers=Status
    ),
    Route("GET", "/doctor", doctor, "Every check, what it saw, and the next action.", "overview", answers=Doctor),
    Route("GET", "/providers", providers, "Every vendor, and the ways to sign in.", "overview", answers=Vendors),
    Route(
        "GET", "/models", models, "Every model that can be asked for, and who serves it.", "overview", answers=Models
    ),
    Route("GET", "/openapi.json", openapi, "This API, as OpenAPI 3.1.", "overview", answers=dict[str, Any]),
)
