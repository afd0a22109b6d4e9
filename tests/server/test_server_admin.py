"""The admin socket and peers that are slow on purpose, or go away in the middle."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from managed import free_port
from serving import MODELS, Serve

from vaultd.net.local import manage, ready
from vaultd.server import admin
from vaultd.server.slow import Limits

#: As in `test_server_slow`.
QUICK = Limits(idle=0.2, body=0.3, body_per_mib=0.05)
VERB = b"POST /verb/providers HTTP/1.1\r\nHost: localhost\r\n"
ROUTE = b"POST /v0/management/client-keys HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def closed(path: Path, first: bytes) -> bytes:
    """What a peer hears until it is cut off; not being cut off fails the test."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(first)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "first",
    [b"", VERB[:9], VERB, VERB + b"Content-Length: 100\r\n\r\n{", ROUTE + b"Content-Length: 100\r\n\r\n{"],
    ids=["nothing", "half a line", "half a head", "half a body", "half a body for a route"],
)
async def test_thr_44_a_peer_that_says_no_more_is_cut_off(serve: Serve, first: bytes) -> None:
    here = await serve(MODELS)
    async with admin.listening(here.house, limits=QUICK) as path:
        assert b"200 OK" not in await closed(path, first)


@pytest.mark.parametrize("length", [b"Content-Length: 100\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n9\r\n{"])
@pytest.mark.parametrize("head", [VERB, ROUTE], ids=["verb", "route"])
async def test_a_peer_that_hangs_up_within_its_request_is_no_fault_of_ours(
    serve: Serve, head: bytes, length: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    here = await serve(MODELS)
    async with admin.listening(here.house) as path:
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.write(head + length)
        await writer.drain()
        await asyncio.to_thread(ready, path)  # what was written before this has been read
        writer.close()
        await writer.wait_closed()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_sign_in_is_waited_for_longer_than_a_connection_may_idle(serve: Serve) -> None:
    here = await serve(f"providers: {{codex: {{oauth: {{redirect: {{port: {free_port()}}}}}}}}}")
    async with admin.listening(here.house, limits=QUICK) as path:
        shown = await manage(path, "POST", "/sign-ins?wait=0", {"provider": "codex", "way": "browser"})
        while not shown["url"]:
            shown = await manage(path, "GET", f"/sign-ins/{shown['state']}?since={shown['revision']}")
        told = await manage(path, "GET", f"/sign-ins/{shown['state']}?since={shown['revision']}&wait=1")
    assert (told["revision"], told["status"]) == (shown["revision"], "wait")
