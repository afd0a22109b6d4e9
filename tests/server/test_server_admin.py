"""The admin socket and peers that are slow on purpose, too many, or go away in the middle."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path

import pytest
from managed import free_port
from serving import MODELS, Serve, until_cut_off

from vaultd.errors import Misconfigured
from vaultd.net.local import manage, ready
from vaultd.server import admin
from vaultd.server.slow import Limits

#: As in `test_server_slow`.
QUICK = Limits(idle=0.2, body=0.3, body_per_mib=0.05)
VERB = b"POST /verb/status HTTP/1.1\r\nHost: localhost\r\n"
ABOUT = b"GET /about HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ROUTE = b"POST /v0/management/client-keys HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


async def closed(path: Path, first: bytes) -> bytes:
    """What a peer hears until it is cut off."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(first)
    return await until_cut_off(reader, writer)


async def as_nobody(path: Path) -> bytes:
    """What another user hears who asks; he comes by the folder alone, for those around it may be closed to him."""
    script = (
        "import os, socket, sys\n"
        "os.chdir(sys.argv[1])\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "one = socket.socket(socket.AF_UNIX)\n"
        "one.connect(sys.argv[2])\n"
        "one.sendall(os.fsencode(sys.argv[3]))\n"
        "sys.stdout.buffer.write(one.makefile('rb').read())\n"
    )
    command = [sys.executable, "-I", "-S", "-c", script, str(path.parent), path.name, ABOUT.decode()]
    asks = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    return (await asks.communicate())[0]


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


async def test_a_peer_that_hangs_up_before_its_turn_comes_is_no_fault_of_ours(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    here = await serve(MODELS)
    async with admin.listening(here.house) as path:
        reader, first = await asyncio.open_unix_connection(str(path))
        first.write(VERB + b"Connection: close\r\nContent-Length: 2\r\n\r\n{")
        await first.drain()
        await asyncio.to_thread(ready, path)
        _, second = await asyncio.open_unix_connection(str(path))
        second.write(VERB + b"\r\n")
        await second.drain()
        await asyncio.to_thread(ready, path)
        second.close()
        await asyncio.to_thread(ready, path)
        first.write(b"}")
        assert b"200 OK" in await reader.read()
        first.close()
        await asyncio.to_thread(ready, path)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_thr_27_junk_is_one_line_in_the_log_and_no_fault_of_ours(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    here = await serve(MODELS)
    async with admin.listening(here.house) as path:
        assert b" 400 " in await closed(path, b"GET /CANARY\xc3 HTTP/1.1\r\n\r\n")
    told = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "vaultd.http"]
    assert told == [("INFO", "malformed request refused")]
    assert "CANARY" not in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
async def test_thr_44_one_user_who_takes_too_many_connections_shuts_nobody_else_out(serve: Serve) -> None:
    here = await serve(MODELS)
    async with admin.listening(here.house, limits=Limits(per_peer=2)) as path:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        assert await closed(path, ABOUT) == b""
        path.parent.chmod(0o755)
        path.chmod(0o666)
        assert b"this socket belongs to uid" in await as_nobody(path)
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        # The server hears of the end in its own time.
        async with asyncio.timeout(10):
            while b"200 OK" not in await closed(path, ABOUT):
                pass


async def test_thr_44_an_answer_that_nobody_reads_is_given_up(serve: Serve) -> None:
    here, loop = await serve(MODELS), asyncio.get_running_loop()
    asks = b"GET /v0/management/providers HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
    async with admin.listening(here.house, limits=Limits(stall=0.2)) as path:
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.setblocking(False)
            await loop.sock_connect(deaf, str(path))
            async with asyncio.timeout(10):
                with pytest.raises(ConnectionError):
                    while True:
                        await loop.sock_sendall(deaf, asks)


async def test_a_sign_in_is_waited_for_longer_than_a_connection_may_idle(serve: Serve) -> None:
    here = await serve(f"providers: {{codex: {{oauth: {{redirect: {{port: {free_port()}}}}}}}}}")
    async with admin.listening(here.house, limits=QUICK) as path:
        shown = await manage(path, "POST", "/sign-ins?wait=0", {"provider": "codex", "way": "browser"})
        while not shown["url"]:
            shown = await manage(path, "GET", f"/sign-ins/{shown['state']}?since={shown['revision']}")
        told = await manage(path, "GET", f"/sign-ins/{shown['state']}?since={shown['revision']}&wait=1")
    assert (told["revision"], told["status"]) == (shown["revision"], "wait")


async def test_a_runtime_folder_that_cannot_be_used_is_said_by_the_name_of_its_variable(serve: Serve) -> None:
    here = await serve(MODELS)
    folder = here.house.places.admin_sockets[0].parent
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.touch()
    with pytest.raises(Misconfigured, match="XDG_RUNTIME_DIR must be yours"):
        async with admin.listening(here.house):
            pass
