"""Writing an answer to the wire: whole, or event by event with the pauses, cuts and errors that are switched on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from aiohttp import web

from vaultd.sandbox import faults
from vaultd.sandbox.call import Call


def frame(data: Any, *, event: str = "") -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + msgspec.json.encode(data) + b"\n\n"


async def pour(
    call: Call, frames: Iterable[bytes], *, error_frame: bytes, content_type: str = "text/event-stream"
) -> web.StreamResponse:
    """Stream `frames`. `error_frame` is how this grammar says that the stream has failed."""
    response = web.StreamResponse(headers={"Content-Type": content_type, "Cache-Control": "no-cache"})
    response.headers.update(usual_headers(call))
    try:
        await response.prepare(call.request)
        for number, piece in enumerate(frames):
            if await _strike(call, response, number, error_frame):
                return response
            await _write(call, response, piece)
        await response.write_eof()
    except (ConnectionResetError, asyncio.CancelledError) as gone:
        call.hit.disconnected = True
        call.vendor.counts["disconnects"] += 1
        call.vendor.touch()
        if isinstance(gone, asyncio.CancelledError):
            raise
    return response


def usual_headers(call: Call) -> dict[str, str]:
    """Headers every inference answer of these vendors carries, so that a relay's allow-list has something to do."""
    name = "request-id" if call.vendor.rules.grammar == "anthropic" else "x-request-id"
    usual = {name: "req_sandbox", "Set-Cookie": "__cf_bm=sandbox; Path=/; HttpOnly"}
    return usual | call.vendor.switches.answer_headers


async def _strike(call: Call, response: web.StreamResponse, number: int, error_frame: bytes) -> bool:
    """Do what a stream fault asks for before event `number`; True ends the stream."""
    for fault in call.stream_faults:
        if fault.after_events != number:
            continue
        call.vendor.counts["faults"] += 1
        if fault.do == "stall":
            await call.vendor.released.wait()
        elif fault.do == "error-event":
            await response.write(fault.body.encode() or error_frame)
            await response.write_eof()
            return True
        else:
            faults.cut(call)
            return True
    return False


async def _write(call: Call, response: web.StreamResponse, piece: bytes) -> None:
    switches = call.vendor.switches
    for chunk in _chunks(piece, switches.chunk_bytes):
        if switches.gap_seconds:
            await asyncio.sleep(switches.gap_seconds)
        await response.write(chunk)
        if switches.chunk_bytes:
            await asyncio.sleep(0)  # let the loop send it by itself


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    if not size:
        yield data
        return
    for start in range(0, len(data), size):
        yield data[start : start + size]
