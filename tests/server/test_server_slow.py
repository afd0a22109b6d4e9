"""Clients that are slow on purpose, and too many of them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from serving import CLIENT_KEY, MODELS, Serve, until_cut_off

from vaultd.server.slow import LIMITS, Counts, Limits, Watched

#: Seconds become fractions of one, so that the story is short; their order stays.
QUICK = Limits(idle=0.2, body=0.3, body_per_mib=0.05, stall=0.3)
HEAD = f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {CLIENT_KEY}\r\n".encode()


async def drip(piece: bytes) -> AsyncIterator[bytes]:
    """For ever, a little at a time."""
    while True:
        yield piece
        await asyncio.sleep(0.02)


async def closed(port: int, first: bytes, more: bytes = b"") -> bytes:
    """What a client hears until it is cut off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)

    async def trickle() -> None:
        async for piece in drip(more):
            writer.write(piece)

    task = asyncio.get_running_loop().create_task(trickle()) if more else None
    try:
        return await until_cut_off(reader, writer)
    finally:
        if task is not None:
            task.cancel()


@pytest.mark.parametrize(
    ("first", "more"),
    [
        (b"", b""),
        (b"GET /v1/mo", b""),
        (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n", b"X-Again: 1\r\n"),
        (HEAD + b"Content-Length: 100\r\n\r\n", b""),
        (HEAD + b"Content-Length: 100000\r\n\r\n{", b" "),
    ],
    ids=["nothing", "half a line", "endless headers", "no body", "a body byte by byte"],
)
async def test_thr_14_slow_clients_are_cut_off(serve: Serve, first: bytes, more: bytes) -> None:
    here = await serve(MODELS, QUICK)
    heard = await closed(here.port, first, more)
    assert b"200 OK" not in heard


async def test_thr_14_a_client_between_two_requests_is_not_kept_for_ever(serve: Serve) -> None:
    here = await serve(MODELS, QUICK)
    heard = await closed(here.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in heard


async def test_a_large_body_that_keeps_coming_gets_the_time_it_needs(serve: Serve) -> None:
    here = await serve(MODELS, Limits(body=0.2, body_per_mib=20))
    reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
    size = 2**20
    writer.write(HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % size)
    for _ in range(16):
        writer.write(b" " * (size // 16))
        await asyncio.sleep(0.02)
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")


class Talker(asyncio.Protocol):
    """Writes more than any socket takes, and tells when it is gone."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"x" * 64 * 2**20)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()


async def test_thr_14_an_answer_that_nobody_reads_is_given_up() -> None:
    talker = Talker()
    server = await asyncio.get_running_loop().create_server(
        lambda: Watched(talker, Counts(lambda _: False), stall=0.2), "127.0.0.1", 0
    )
    with socket.create_connection(server.sockets[0].getsockname()):
        async with asyncio.timeout(10):
            await talker.gone.wait()
    server.close()


async def test_thr_14_a_connection_too_many_is_refused(serve: Serve) -> None:
    here = await serve(MODELS, Limits(connections=3))
    held = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(3)]
    assert await closed(here.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    # The server hears of the end in its own time; whoever comes too soon is refused once more.
    async with asyncio.timeout(10):
        while b"200 OK" not in await closed(here.port, b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n"):
            pass


def test_thr_14_one_address_has_a_share_and_those_that_stand_for_many_have_none() -> None:
    counts = Counts(lambda address: address == "127.0.0.1")
    assert all(counts.enter("203.0.113.9") for _ in range(LIMITS.per_peer))
    assert not counts.enter("203.0.113.9")
    assert counts.enter("203.0.113.10")
    assert all(counts.enter("127.0.0.1") for _ in range(2 * LIMITS.per_peer))
    counts.leave("203.0.113.9")
    assert counts.enter("203.0.113.9")


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "files"),
    [
        (256, 256, (256 - 64) // 2, 256),
        (256, 2300, (2300 - 64) // 2, 2300),
        (256, 20_000, LIMITS.connections, 2 * LIMITS.connections + 64),
        (10_000, 20_000, LIMITS.connections, 10_000),
        (10, 10, 1, 10),
    ],
)
def test_thr_14_as_many_as_there_are_files_for_and_the_soft_limit_is_raised(
    soft: int, hard: int, connections: int, files: int
) -> None:
    """In a process of its own, for what is lowered once cannot be raised again."""
    script = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, {max(hard, 64)}))\n"
        "from vaultd.server.slow import fitting\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "print(fitting().connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    heard = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert heard.stdout.split() == [str(connections), str(files)], heard.stderr


def test_a_thousand_streams_from_here_have_room() -> None:
    counts = Counts(lambda _: True)
    assert all(counts.enter("127.0.0.1") for _ in range(1000))


def test_thr_14_all_together_are_bound_too() -> None:
    counts = Counts(lambda _: True)
    assert [counts.enter("127.0.0.1") for _ in range(LIMITS.connections + 1)].count(True) == LIMITS.connections
