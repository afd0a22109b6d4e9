"""Is it alive, can it serve and if not why, and the numbers. Nothing of a request, a key or a token is told here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from vaultd import __version__
from vaultd.house import House
from vaultd.net.process import resident
from vaultd.pool.explain import Standing
from vaultd.server.guard import Handler
from vaultd.server.responses_socket import Sockets
from vaultd.work.metrics import CONTENT_TYPE, Seen
from vaultd.work.relay import Relay

#: A readiness check is read by people in a terminal too: so many reasons fit one.
_REASONS: Final = 20
_encode: Final = msgspec.json.Encoder().encode


def healthz(_house: House) -> Handler:
    """200 while the loop turns."""

    async def handle(_request: web.Request) -> web.Response:
        return _json(200, {"status": "alive", "version": __version__})

    return handle


def readyz(house: House) -> Handler:
    """200 where at least one credential can serve now; else 503. Both say what is wrong, and what to do."""

    async def handle(_request: web.Request) -> web.Response:
        draining, seen = house.draining.is_set(), house.pool.seen(house)
        ready, reasons = await asyncio.to_thread(_readiness, seen, draining=draining)
        return _json(200 if ready else 503, {"ready": ready, "reasons": reasons})

    return handle


def _readiness(seen: Callable[[], list[Standing]], *, draining: bool) -> tuple[bool, list[str]]:
    """Whether one can serve now, and what is wrong."""
    rows = seen()
    if not rows:
        return False, ["no credential: `vaultd login --codex` or another `vaultd login --help` lists"]
    wrong = [row for row in rows if row.state != "available" or row.code]
    more = [f"and {len(wrong) - _REASONS} more: vaultd status"] if len(wrong) > _REASONS else []
    ending = ["the daemon is ending and takes no new request"] if draining else []
    ready = not draining and any(row.state == "available" for row in rows)
    return ready, [*ending, *(row.sentence for row in wrong[:_REASONS]), *more]


def metrics(house: House, relay: Relay, sockets: Sockets) -> Handler:
    """Prometheus text. Made in another thread: with thousands of credentials it takes some tenths of a second."""

    async def handle(_request: web.Request) -> web.Response:
        now = Seen(
            standings=house.pool.seen(house),
            credentials=house.pool.roster(house),
            wall=house.clock.now(),
            faults=house.alerts.faults if house.alerts is not None else {},
            vendors=house.renewer.vendors(),
            skew=house.renewer.skew(),
            due=house.renewer.due(),
            silences=relay.silences,
            websockets=sockets.open,
            lag=house.pulse.worst(),
            keeper=resident(house.keeper.pid),
        )
        text = await asyncio.to_thread(house.metrics.render, now)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    return handle


def _json(status: int, value: object) -> web.Response:
    return web.Response(status=status, body=_encode(value), content_type="application/json")
