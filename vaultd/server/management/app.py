"""Hangs the routes of `table` into a server: on the main port behind `gate`, on the admin socket behind its mode alone.

One wrapper for all of them: who asks, the query, the body as its type says, the audit log (asked first: what cannot be
written there is not done), the handler, the answer as JSON. A handler's failure is an answer here, in `{"error": …}`,
and never more of it than its class.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from vaultd.config.yaml import MAX_DEPTH
from vaultd.errors import PortTaken, SignInRequired, TimedOut, TryLater, UpstreamRefused, VaultdError
from vaultd.errors import ProtocolError as PeerBroke
from vaultd.house import House
from vaultd.server.management.gate import VERSION, Gate
from vaultd.server.management.route import Call, Caller, Query, Refused, Reply, Route
from vaultd.server.management.table import BASE, ROUTES
from vaultd.server.slow import LIMITS, Limits, body_deadline
from vaultd.work.story import CLIENT_GONE

_log = logging.getLogger("vaultd.server")

#: What every answer says of itself; the gate adds what a page of another origin may know.
_PLAIN: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_HEADERS: Final = web.RequestKey("management-headers", dict)
#: A longer answer is packed for whoever takes that: a panel's first page has to arrive in 100 kB. Nobody learns a
#: secret from the packed length (CVE-2013-3587): no page but ours can ask with the key.
_PACKED: Final = 1000

#: Parameters whose value may stand in the audit log: they name a thing. A `state` would let its reader finish a
#: sign-in. Where a key is what names the thing, a mark stands for it.
_NAMES: Final = frozenset({"id", "name", "credential", "model", "provider", "index"})
_KEYS: Final = frozenset({"value", "api-key"})

#: What a database and a browser both hold exactly (RFC 8259 §6), in decimal digits.
INTEGER_MOST: Final = 10**15 - 1
_KINDS: Final[Mapping[str, re.Pattern[str]]] = {
    "integer": re.compile(r"-?\d{1,15}", re.ASCII),
    "number": re.compile(r"-?\d{1,15}(\.\d{1,9})?", re.ASCII),
    "boolean": re.compile(r"(1|true|yes|on|0|false|no|off|)", re.IGNORECASE),
}
#: A configuration's depth and what an edit wraps round it. Python's own limit, met within a handler, would be a fault.
_DEEPEST: Final = MAX_DEPTH + 8
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{\]}]', re.DOTALL)
#: The classes of `vaultd.errors` by what the caller does next; Misconfigured is what is left: he asked for something
#: that is not so.
_STATUS: Final[tuple[tuple[type[VaultdError], int], ...]] = (
    (SignInRequired, 409),
    (PortTaken, 409),
    (TimedOut, 504),
    (TryLater, 503),
    (UpstreamRefused, 502),
    (PeerBroke, 502),
)


#: By which a request comes in: the gate lets in or refuses. Without one, whoever gets here may do all, and is told
#: apart only for the audit log.
Door = Gate | Callable[[web.Request], str]


def mount(app: web.Application, house: House, door: Door, limits: Limits = LIMITS) -> None:
    """Every route, and what answers where there is none."""
    for route in ROUTES:
        app.router.add_route(route.method, BASE + route.path, _handler(house, door, route, limits))
    app.router.add_route("*", BASE + "/{path:(?s:.*)}", _unknown(house, door))
    app.on_response_prepare.append(_dress)


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    """Streams too: they are sent from within their handler."""
    if (headers := request.get(_HEADERS)) is not None:
        response.headers.update(headers)


def _handler(house: House, door: Door, route: Route, limits: Limits) -> Any:
    async def handle(request: web.Request) -> web.StreamResponse:
        request[_HEADERS] = dict(_PLAIN)
        deadline, status = body_deadline(request, limits), CLIENT_GONE
        try:
            response = await answered(request)
            status = response.status
            return response
        finally:
            house.metrics.managed(route.method, status)
            if deadline is not None:
                deadline.cancel()

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            caller = await _caller(house, door, request)
            call = await _call(house, caller, route, request)
            if route.leaves_lines(reveal=call.reveal):
                return await _audited(route, call)
            return _response(await route.handle(call))
        except Exception as error:  # noqa: BLE001 - one request's failure is not the daemon's; its message may quote a secret
            return _refusal(error, request, route)

    return handle


async def _audited(route: Route, call: Call) -> web.StreamResponse:
    """Raises TryLater, before anything is done, where the audit log cannot be written."""
    named = f"{route.method} {BASE}{route.plain_path}"
    async with call.house.audit.action(call.caller.who, named, _names(call)) as told:
        try:
            response = _response(await route.handle(call))
        except asyncio.CancelledError:  # the client hung up, which ends no commit that has begun
            told.status = str(CLIENT_GONE)
            raise
        except Exception as error:  # noqa: BLE001 - as above
            response = _refusal(error, call.request, route)
        finally:
            told.what = _names(call)
        told.status = str(response.status)
        told.outcome = "done" if response.status < 400 else "refused" if response.status < 500 else "failed"
        return response


async def _caller(house: House, door: Door, request: web.Request) -> Caller:
    if not isinstance(door, Gate):
        request[_HEADERS].update(VERSION)
        return Caller(door(request), near=True)
    request[_HEADERS].update(door.headers(request))
    caller = await door.admit(request)
    request[_HEADERS].update(VERSION)
    if house.draining.is_set():
        raise TryLater("vaultd is stopping: ask again in a moment", after=1, own=True)
    return caller


def _unknown(house: House, door: Door) -> Any:
    """405 where another method would do, else 404; and a browser's question whether it may ask at all."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[_HEADERS] = dict(_PLAIN)
        try:
            if isinstance(door, Gate) and request.method == "OPTIONS":
                request[_HEADERS].update(door.headers(request))
                return door.preflight(request)
            await _caller(house, door, request)
            allowed: set[str] = set()
            for resource in request.app.router.resources():
                _, methods = await resource.resolve(request)
                allowed |= methods
            allowed.discard("*")
            if not allowed:
                raise Refused(404, "no such route")
            response = _error(405, "method not allowed")
            response.headers["Allow"] = ", ".join(sorted(allowed))
            return response
        except Exception as error:  # noqa: BLE001 - as above
            return _refusal(error, request, None)

    return handle


# --- in ---------------------------------------------------------------------------------------------------------------


async def _call(house: House, caller: Caller, route: Route, request: web.Request) -> Call:
    for query in route.query:
        _check(query, request.query.get(query.name))
    body = None if route.body is None else await _body(route, request)
    return Call(house, caller, request.match_info, request.query, body, request)


def _check(query: Query, value: str | None) -> None:
    """What is not declared is not looked at."""
    if value is None:
        if query.required:
            raise Refused(400, "invalid query", message=f"{query.name} is missing")
        return
    pattern = _KINDS.get(query.type)
    if (pattern is not None and not pattern.fullmatch(value)) or (query.choices and value not in query.choices):
        wanted = f"one of {', '.join(query.choices)}" if query.choices else f"of type {query.type}"
        raise Refused(400, "invalid query", message=f"{query.name} is to be {wanted}")


async def _body(route: Route, request: web.Request) -> Any:
    raw = await _read(route, request)
    # A page elsewhere may post a form, plain text or bytes without a type unasked, and nothing else (THR-20).
    given = request.content_type.lower() if "Content-Type" in request.headers else ""
    if given not in route.takes and (raw or given):
        raise Refused(415, "unsupported content type", message=f"send {' or '.join(route.takes)}")
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"identity", ""}:
        raise Refused(415, "unsupported content encoding", message="send it as it is")
    if route.body is bytes:
        return raw
    try:
        return _decoded(raw, route.body)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError):
        raise Refused(400, "invalid body") from None


def _decoded(raw: bytes, kind: Any) -> Any:
    if _depth(raw) > _DEEPEST:
        raise Refused(400, "invalid body", message=f"nested deeper than {_DEEPEST}")
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        # JSON has one kind of number: 5.0 is an integer (JSON Schema 2020-12, core §4.2.3), but not to msgspec.
        return msgspec.convert(_with_integers(msgspec.json.decode(raw)), kind)


def _depth(raw: bytes) -> int:
    """How deep the brackets of JSON go, as far as that matters."""
    if raw.count(b"[") + raw.count(b"{") <= _DEEPEST:
        return 0
    depth = most = 0
    for found in _BRACKETS.finditer(raw):
        if found[0] in b"[{":
            depth += 1
            most = max(most, depth)
            if most > _DEEPEST:
                break
        elif found[0] in b"]}":
            depth -= 1
    return most


def _with_integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_integers(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_integers(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


async def _read(route: Route, request: web.Request) -> bytes:
    pieces, size = [], request.content_length or 0
    if size <= route.limit:
        size = 0
        while piece := await request.content.readany():
            pieces.append(piece)
            size += len(piece)
            if size > route.limit:
                break
    if size > route.limit:
        raise Refused(413, "body too large", message=f"at most {route.limit} bytes")
    return b"".join(pieces)


# --- out --------------------------------------------------------------------------------------------------------------


def _response(answer: Any) -> web.StreamResponse:
    if isinstance(answer, web.StreamResponse):
        return answer
    if isinstance(answer, Reply):
        return web.Response(
            body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type, **answer.headers}
        )
    return _json(200, answer)


def _json(status: int, value: Any) -> web.Response:
    body = encoded(value)
    response = web.Response(status=status, body=body, content_type="application/json")
    if len(body) > _PACKED:
        response.enable_compression()
    return response


def encoded(value: Any) -> bytes:
    """JSON. A folder's or manifest's name on the disk may hold half a character, and is told of all the same."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value)).encode()


def _error(status: int, message: str, more: Mapping[str, Any] | None = None) -> web.Response:
    return _json(status, {"error": message, **(more or {})})


def _refusal(error: Exception, request: web.Request, route: Route | None) -> web.Response:
    if isinstance(error, Refused):
        response = _error(error.status, error.message, error.more)
        response.headers.update(error.headers)
        return response
    if isinstance(error, VaultdError):
        response = _error(status_of(error), str(error))
        if isinstance(error, TryLater):
            response.headers["Retry-After"] = str(math.ceil(error.after or 1))
        return response
    if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
        raise error  # the client hung up in the middle of a stream
    named = f"{route.method} {route.path}" if route is not None else "none"
    _log.error("a management request failed", exc_info=error, extra={"route": named})
    return _error(500, f"internal error ({type(error).__name__}); look at vaultd's log")


def status_of(error: VaultdError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def _names(call: Call) -> str:
    """What is changed. Names alone: a value may be a key."""
    given = [*call.path.items(), *call.query.items()]
    named = [value for name, value in given if name in _NAMES]
    marked = [f"{name}={call.house.audit.mark(value)}" for name, value in given if name in _KEYS and value]
    return ", ".join(dict.fromkeys([*named, *marked, *call.changed]))
