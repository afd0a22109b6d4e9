"""The callback listener, spoken to over raw sockets as browsers, strangers and squatters would."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from ports import free_port

from vaultd.effects import AwaitRedirect
from vaultd.errors import PortTaken
from vaultd.net.loopback import Listener

STATE = "right" + "s" * 38
PATH = "/auth/callback"
RIGHT = f"{PATH}?code=CANARY-code&state={STATE}"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            return True
    except OSError:
        return False


FAMILIES = ["127.0.0.1", *(["::1"] if has_ipv6() else [])]


class Waiting:
    """A listener with somebody who waits for its answer."""

    def __init__(self, listener: Listener, waiting: asyncio.Task[Mapping[str, str]]) -> None:
        self.listener = listener
        self.port = listener.port
        self.waiting = waiting

    async def ask(
        self,
        target: str = RIGHT,
        *,
        method: str = "GET",
        host: str | None = None,
        address: str = "127.0.0.1",
        more: str = "",
    ) -> bytes:
        host_line = f"Host: {host if host is not None else f'localhost:{self.port}'}\r\n" if host != "" else ""
        reader, writer = await asyncio.open_connection(address, self.port)
        writer.write(f"{method} {target} HTTP/1.1\r\n{host_line}{more}Connection: close\r\n\r\n".encode())
        said = await reader.read()
        writer.close()
        return said


def status(said: bytes) -> int:
    return int(said.split(b" ", 2)[1])


@asynccontextmanager
async def waiting(issuer: str = "", port: int | None = None) -> AsyncIterator[Waiting]:
    uri = f"http://localhost:{port or free_port()}{PATH}"
    listener = Listener(uri)
    await listener.open()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(listener.answer(AwaitRedirect(uri, STATE, issuer)))
        flow = Waiting(listener, task)
        try:
            yield flow
            if task.done():  # the browser gets its closing page, and nobody has to linger for it
                await flow.ask(f"{PATH}/done")
        finally:
            task.cancel()
            await listener.close()


async def test_sec_22_the_answer_is_taken_and_the_address_bar_cleaned() -> None:
    async with waiting() as flow:
        said = await flow.ask()

        assert status(said) == 303
        assert b"Location: /auth/callback/done\r\n" in said
        assert (await flow.waiting)["code"] == "CANARY-code"
        page = await flow.ask(f"{PATH}/done")
        assert status(page) == 200
        assert b"can be closed" in page


async def test_sec_16_the_table_of_what_is_no_answer() -> None:
    async with waiting() as flow:
        port = flow.port
        for case, expected in {
            "post": (await flow.ask(method="POST"), 405),
            "put": (await flow.ask(method="PUT"), 405),
            "options": (await flow.ask(method="OPTIONS"), 405),
            "another path": (await flow.ask(f"/callback?code=c&state={STATE}"), 404),
            "a path below": (await flow.ask(f"{PATH}/x?code=c&state={STATE}"), 404),
            "a path in disguise": (await flow.ask(f"/auth/%63allback?code=c&state={STATE}"), 404),
            "no query": (await flow.ask(PATH), 400),
            "no state": (await flow.ask(f"{PATH}?code=c"), 400),
            "wrong state": (await flow.ask(f"{PATH}?code=c&state=wrong"), 400),
            "no code": (await flow.ask(f"{PATH}?state={STATE}"), 400),
            "a rebound name": (await flow.ask(host=f"evil.example:{port}"), 400),
            "another port": (await flow.ask(host="localhost:1"), 400),
            "no port": (await flow.ask(host="localhost"), 400),
            "no host": (await flow.ask(host=""), 400),
            "absolute form": (await flow.ask(f"http://evil.example:{port}{RIGHT}"), 400),
            "the closing page too early": (await flow.ask(f"{PATH}/done"), 404),
        }.items():
            assert status(expected[0]) == expected[1], case
        assert not flow.waiting.done()

        assert status(await flow.ask(host=f"127.0.0.1:{port}")) == 303


async def test_sec_17_an_error_with_the_wrong_state_does_not_stop_the_sign_in() -> None:
    async with waiting() as flow:
        assert status(await flow.ask(f"{PATH}?error=access_denied&state=wrong")) == 400
        assert status(await flow.ask(f"{PATH}?error=access_denied")) == 400
        assert not flow.waiting.done()

        assert status(await flow.ask(f"{PATH}?error=access_denied&state={STATE}")) == 303
        assert (await flow.waiting)["error"] == "access_denied"
        assert b"refused" in await flow.ask(f"{PATH}/done")


@pytest.mark.parametrize("again", [f"&state={STATE}", "&code=other", "&iss=https://a&iss=https://a"])
async def test_sec_18_repeated_parameters_are_refused(again: str) -> None:
    async with waiting() as flow:
        assert status(await flow.ask(RIGHT + again)) == 400
        assert not flow.waiting.done()


async def test_sec_19_another_issuers_answer_is_refused() -> None:
    async with waiting(issuer="https://auth.example") as flow:
        assert status(await flow.ask(RIGHT + "&iss=https://evil.example")) == 400
        assert not flow.waiting.done()
        assert status(await flow.ask(RIGHT + "&iss=https://auth.example")) == 303


async def test_sec_20_a_second_delivery_is_gone() -> None:
    async with waiting() as flow:
        first, second = await asyncio.gather(flow.ask(), flow.ask())
        assert sorted([status(first), status(second)]) == [303, 410]
        assert status(await flow.ask()) == 410


@pytest.mark.parametrize(
    "more",
    [
        "Sec-Purpose: prefetch\r\n",
        "Sec-Purpose: prefetch;prerender\r\n",
        "Purpose: prefetch\r\n",
        "X-Moz: prefetch\r\n",
    ],
)
async def test_sec_21_looking_ahead_does_not_use_up_the_answer(more: str) -> None:
    async with waiting() as flow:
        assert status(await flow.ask(more=more)) == 503
        assert status(await flow.ask(method="HEAD")) == 405
        assert status(await flow.ask("/favicon.ico")) == 404
        assert not flow.waiting.done()
        assert status(await flow.ask()) == 303


async def test_sec_23_every_page_is_inert_and_echoes_nothing() -> None:
    evil = "%3Cscript%3Ealert(1)%3C/script%3E"
    async with waiting() as flow:
        pages = [
            await flow.ask(f"{PATH}?error={evil}&state=wrong"),
            await flow.ask(f"{PATH}?error={evil}&error_description={evil}&state={STATE}"),
            await flow.ask(f"{PATH}/done"),
            await flow.ask("/<script>"),
        ]
    for page in pages:
        head, _, body = page.partition(b"\r\n\r\n")
        assert (
            b"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; "
            b"form-action 'none'; base-uri 'none'\r\n"
        ) in head + b"\r\n"
        for line in (
            b"Referrer-Policy: no-referrer",
            b"Cache-Control: no-store",
            b"X-Content-Type-Options: nosniff",
            b"Cross-Origin-Opener-Policy: same-origin",
            b"Server: vaultd",
        ):
            assert line in head
        assert b"script" not in body
        assert STATE.encode() not in page
        assert b"http" not in body


def listening_addresses(port: int) -> set[str]:
    tables = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return {row[1] for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port}


async def test_sec_11_only_loopback_is_listened_on() -> None:
    async with waiting() as flow:
        listening = listening_addresses(flow.port)
        expected = {f"0100007F:{flow.port:04X}"}
        if "::1" in FAMILIES:
            expected.add(f"00000000000000000000000001000000:{flow.port:04X}")
        assert listening == expected


@pytest.mark.parametrize("address", FAMILIES)
async def test_sec_11_both_families_answer(address: str) -> None:
    async with waiting() as flow:
        assert status(await flow.ask(address=address)) == 303


@contextmanager
def squatter(address: str, port: int) -> Iterator[None]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((address, port))
        sock.listen()
        yield


@pytest.mark.parametrize("address", FAMILIES)
async def test_sec_12_a_port_taken_on_one_family_opens_neither_and_its_holder_is_named(address: str) -> None:
    port = free_port()
    listener = Listener(f"http://localhost:{port}{PATH}")
    with squatter(address, port):
        with pytest.raises(PortTaken, match=rf"port {port} on {address} is taken by pid {os.getpid()} ") as raised:
            await listener.open()
        assert "(" in str(raised.value)
        for other in set(FAMILIES) - {address}:
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(other, port)
    await listener.close()


async def test_sec_13_nobody_else_can_bind_while_we_listen() -> None:
    async with waiting() as flow:
        for address in FAMILIES:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as second:
                second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                with pytest.raises(OSError, match="Address already in use"):
                    second.bind((address, flow.port))


async def test_sec_13_a_port_can_be_had_again_at_once() -> None:
    port = free_port()
    for _ in range(3):
        async with waiting(port=port) as flow:
            assert status(await flow.ask()) == 303
            await flow.ask(f"{PATH}/done")


async def test_sec_14_the_port_is_shut_when_the_sign_in_ends() -> None:
    async with waiting() as flow:
        await flow.ask()
        await flow.ask(f"{PATH}/done")
    for address in FAMILIES:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address, flow.port)


async def test_the_port_is_shut_soon_after_even_if_nobody_fetches_the_closing_page() -> None:
    uri = f"http://localhost:{free_port()}{PATH}"
    listener = Listener(uri)
    await listener.open()
    async with asyncio.TaskGroup() as group:
        flow = Waiting(listener, group.create_task(listener.answer(AwaitRedirect(uri, STATE))))
        assert status(await flow.ask()) == 303
    await listener.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", listener.port)


async def test_an_answer_faster_than_the_wait_for_it_is_not_lost() -> None:
    uri = f"http://localhost:{free_port()}{PATH}"
    listener = Listener(uri)
    await listener.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(f"GET {RIGHT} HTTP/1.1\r\nHost: localhost:{listener.port}\r\n\r\n".encode())
    await writer.drain()

    assert (await listener.answer(AwaitRedirect(uri, STATE)))["code"] == "CANARY-code"

    assert (await reader.readline()).split()[1] == b"303"
    writer.write(f"GET {PATH}/done HTTP/1.1\r\nHost: localhost:{listener.port}\r\n\r\n".encode())
    await reader.readuntil(b"</html>")
    writer.close()
    await listener.close()


async def test_no_request_reaches_a_log(caplog: pytest.LogCaptureFixture) -> None:
    async with waiting() as flow:
        await flow.ask(RIGHT + "\x01", more="Bad header\x00: x\r\n")
        await flow.ask(f"{PATH}?code=CANARY&state=wrong")
        await flow.ask()
    assert "CANARY" not in caplog.text
