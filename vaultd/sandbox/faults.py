"""The misbehaviours a fault can ask for, done to one request. What arms and disarms them is `control`.

A fault that fits is spent when it strikes. Faults on streams are handed to the handler, which knows its events.
"""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import msgspec
from aiohttp import web

from vaultd.sandbox.call import Call, Route
from vaultd.sandbox.records import Armed
from vaultd.sandbox.refusal import Refusal, body_for
from vaultd.sandbox.switches import Fault

_IN_STREAM = ("cut-stream", "error-event", "stall")

#: A minute of words for the statuses tests ask for most.
_MESSAGES = {429: "The usage limit has been reached", 529: "Overloaded", 401: "Invalid authentication"}


async def serve(call: Call, route: Route, other_url: str) -> web.StreamResponse:
    """Answer the request by `route`, as far as the faults that fit let it come."""
    struck = [_spend(armed) for armed in list(call.vendor.faults) if _fits(call, route, armed)]
    call.vendor.faults = [armed for armed in call.vendor.faults if armed.left != 0]
    call.stream_faults = [fault for fault in struck if fault is not None and fault.do in _IN_STREAM]
    before = [fault for fault in struck if fault is not None and fault.do not in (*_IN_STREAM, "cut-after")]
    for fault in before:
        call.vendor.counts["faults"] += 1
        instead = await _instead(call, route, fault, other_url)
        if instead is not None:
            return instead
    response = await route.handler(call)
    if any(fault is not None and fault.do == "cut-after" for fault in struck):
        return cut(call)
    return response


def _spend(armed: Armed) -> Fault | None:
    if armed.to_skip:
        armed.to_skip -= 1
        return None
    if armed.left is not None:
        armed.left -= 1
    return armed.fault


def _fits(call: Call, route: Route, armed: Armed) -> bool:
    fault = armed.fault
    if armed.left == 0 or fault.at not in ("any", route.at):
        return False
    keys = {
        call.request.headers.get("x-api-key"),
        call.request.headers.get("x-goog-api-key"),
        call.query("key"),
        call.bearer(),
    }
    return (
        (not fault.account or fault.account == call.email())
        and (not fault.key or fault.key in keys)
        and (not fault.model or fault.model == _said(call, "model"))
        and (not fault.project or fault.project == _said(call, "project"))
        and (not fault.grant or fault.grant == _said(call, "grant_type"))
    )


def _said(call: Call, name: str) -> str:
    """A member of the body, JSON or form, or of the path (Gemini's model)."""
    if name == "model" and "model" in call.request.match_info:
        return call.request.match_info["model"]
    try:
        body: Any = call.form() if "form" in call.request.content_type else call.json()
    except Refusal:
        return ""
    return str(body.get(name, ""))


async def _instead(call: Call, route: Route, fault: Fault, other_url: str) -> web.StreamResponse | None:
    """The answer given in place of the vendor's, None to go on."""
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        headers["Retry-After"] = f"{fault.retry_after:g}"
    match fault.do:
        case "delay":
            await asyncio.sleep(fault.seconds)
            return None
        case "hang":
            await call.vendor.released.wait()
            return None
        case "cut":
            return cut(call)
        case "status":
            return _refused(call, route, fault, headers)
        case "redirect":
            location = {"Location": f"{other_url}{call.request.path}"}
            return web.Response(status=fault.status or 307, headers=headers | location)
        case "gzip-bomb":
            bomb = gzip.compress(bytes(fault.size), compresslevel=9)
            return web.Response(
                body=bomb,
                headers=headers | {"Content-Encoding": "gzip"},
                content_type="application/json",
                zlib_executor_size=1,
            )
        case "huge":
            return web.Response(body=b'{"filler":"' + b"x" * fault.size + b'"}', content_type="application/json")
        case _:
            return web.Response(
                body=fault.body.encode(), status=fault.status or 200, headers=headers, content_type=fault.content_type
            )


def _refused(call: Call, route: Route, fault: Fault, headers: dict[str, str]) -> web.Response:
    """A status in the vendor's own words: RFC 6749's where tokens are given out, else its grammar's."""
    message = _MESSAGES.get(fault.status, "The sandbox was told to refuse this")
    if fault.body:
        body = fault.body.encode()
    elif route.at in ("token", "device", "device-token", "revoke"):
        error = "temporarily_unavailable" if fault.status >= 500 or fault.status == 429 else "invalid_request"
        body = msgspec.json.encode({"error": error, "error_description": message})
    else:
        shape = body_for(call.vendor.rules.grammar, fault.status, message, retry_after=fault.retry_after)
        body = msgspec.json.encode(shape)
    return web.Response(body=body, status=fault.status, headers=headers, content_type="application/json")


def cut(call: Call) -> web.Response:
    """Close the connection under the answer."""
    if call.request.transport is not None:
        call.request.transport.abort()
    return web.Response()
