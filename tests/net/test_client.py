"""The way out, against real servers on loopback that behave badly."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from vaultd.effects import Send
from vaultd.errors import Misconfigured, ProtocolError, TryLater
from vaultd.net.client import Client
from vaultd.net.egress import refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(
    speak: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A server below HTTP, for what aiohttp would not say."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    made = Client()
    yield made
    await made.close()


def posted(url: str, **more: object) -> Send:
    return Send("POST", url + "/token?access=CANARY", {"Authorization": "Bearer CANARY"}, b"CANARY-body", **more)  # type: ignore[arg-type]


async def test_an_answer_comes_whole_with_lower_case_header_names(client: Client) -> None:
    async def handle(request: web.Request) -> web.Response:
        assert request.headers["User-Agent"].startswith("vaultd/")
        return web.Response(status=418, body=await request.read(), headers={"Retry-After": "7"})

    async with server(handle) as url:
        reply = await client.send(posted(url))

    assert (reply.status, reply.body, reply.headers["retry-after"]) == (418, b"CANARY-body", "7")
    assert "date" in reply.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_sec_28_thr_08_a_redirect_takes_nothing_to_a_second_host(client: Client, status: int) -> None:
    arrived: list[str] = []

    async def second(request: web.Request) -> web.Response:
        arrived.append(request.path)
        return web.Response()

    async with server(second) as elsewhere:

        async def first(_request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": elsewhere + "/token"})

        async with server(first) as url:
            reply = await client.send(posted(url))

    assert reply.status == status
    assert arrived == []


async def test_sec_29_thr_16_a_gzip_bomb_stops_at_the_limit(client: Client) -> None:
    bomb = gzip.compress(bytes(20 * 1024 * 1024))

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with server(handle) as url:
        with pytest.raises(ProtocolError, match="65536"):
            await client.send(posted(url))


async def test_sec_29_an_answer_may_be_as_large_as_its_effect_allows(client: Client) -> None:
    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1000)

    async with server(handle) as url:
        assert len((await client.send(posted(url, limit=1000))).body) == 1000
        with pytest.raises(ProtocolError, match="999"):
            await client.send(posted(url, limit=999))


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1024 * 1024 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ],
    ids=["1 MB header", "two lengths", "no http"],
)
async def test_sec_29_what_is_no_http_is_refused_without_quoting_it(client: Client, said: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"CANARY-body")
        writer.write(said)
        await writer.drain()

    async with raw_server(speak) as url:
        with pytest.raises(ProtocolError, match=r"127\.0\.0\.1") as raised:
            await client.send(posted(url))
    assert raised.value.__cause__ is None


async def test_sec_33_a_cut_after_the_request_left_is_an_unknown_outcome(client: Client) -> None:
    asked = 0

    async def speak(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"CANARY-body")

    async with raw_server(speak) as url:
        with pytest.raises(TryLater) as raised:
            await client.send(posted(url))

    assert raised.value.outcome_unknown
    assert asked == 1


async def test_sec_33_half_a_body_is_an_unknown_outcome_too(client: Client) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"CANARY-body")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()

    async with raw_server(speak) as url:
        with pytest.raises(TryLater) as raised:
            await client.send(posted(url))
    assert raised.value.outcome_unknown


async def test_a_refused_connection_never_left(client: Client) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(TryLater, match="cannot be reached") as raised:
            await client.send(posted(url))
    assert not raised.value.outcome_unknown


async def test_a_name_that_is_not_known_is_said_in_words(client: Client) -> None:
    with pytest.raises(TryLater, match=r"\(its name cannot be looked up\)$") as raised:
        await client.send(Send("GET", "https://no-such-host.invalid/"))
    assert not raised.value.outcome_unknown


async def test_thr_28_no_error_holds_a_header_a_query_or_a_body(client: Client) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 nonsense CANARY\r\n\r\n")

    errors: list[BaseException] = []
    async with raw_server(speak) as url:
        for target in (url, "http://127.0.0.1:1", "https://nobody.invalid"):
            with pytest.raises((TryLater, ProtocolError)) as raised:
                await client.send(posted(target))
            errors.append(raised.value)

    for error in errors:
        assert "CANARY" not in f"{error!r} {error} {error.__cause__!r}"
        assert error.__suppress_context__


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::1]",
        "[fd00:ec2::254]",
    ],
)
async def test_thr_07_link_local_is_never_dialled(client: Client, address: str) -> None:
    with pytest.raises(ProtocolError, match="link-local"):
        await client.send(Send("GET", f"http://{address}/latest/meta-data"))


async def test_thr_07_not_even_where_a_name_or_another_spelling_leads_there(client: Client) -> None:
    """The guard is at the socket: what the URL says does not matter (0xa9fea9fe is 169.254.169.254)."""
    with pytest.raises(ProtocolError, match="link-local"):
        await client.send(Send("GET", "http://0xa9fea9fe/"))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "192.168.1.1", "example.com", "8.8.8.8"])
def test_thr_07_private_addresses_are_the_operators_word(address: str) -> None:
    assert not refused(address)


async def test_thr_09_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    client = Client()

    async def handle(_request: web.Request) -> web.Response:
        return web.Response()

    async with server(handle) as url:
        assert (await client.send(posted(url))).status == 200
    await client.close()


async def test_thr_09_no_session_key_is_written_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keys = tmp_path_factory.mktemp("keys") / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    client = Client()

    with pytest.raises(TryLater):
        await client.send(Send("GET", "https://127.0.0.1:1/"))

    await client.close()
    assert not keys.exists()


async def test_no_cookie_is_kept(client: Client) -> None:
    seen: list[str | None] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=CANARY"})

    async with server(handle) as url:
        await client.send(posted(url.replace("127.0.0.1", "localhost")))
        await client.send(posted(url.replace("127.0.0.1", "localhost")))
    assert seen == [None, None]


async def test_a_proxy_carries_the_request_and_sees_none_of_its_headers() -> None:
    seen = bytearray()

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Authorization"])

    async with server(handle) as url:
        port = int(url.rpartition(":")[2])

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.extend(await reader.readuntil(b"\r\n\r\n"))
            there, out = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

            async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
                while data := await source.read(4096):
                    sink.write(data)
                sink.close()

            await asyncio.gather(pump(reader, out), pump(there, writer))

        async with raw_server(proxy) as proxy_url:
            client = Client(proxy_url.replace("http://", "http://user:pass@"))
            reply = await client.send(posted(url))
            await client.close()

    assert reply.body == b"Bearer CANARY"
    assert seen.startswith(b"CONNECT 127.0.0.1:")
    assert b"CANARY" not in seen


async def test_a_proxy_that_is_not_there_is_named_without_its_password() -> None:
    client = Client("socks5://user:CANARY@127.0.0.1:1")
    with pytest.raises(TryLater, match="proxy") as raised:
        await client.send(Send("GET", "https://auth.example/"))
    await client.close()
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1:1", "socks5://", "http://169.254.1.1:3128", "127.0.0.1:8080"])
async def test_a_proxy_url_that_cannot_be_one_is_the_operators_to_mend(url: str) -> None:
    client = Client(url)
    with pytest.raises(Misconfigured, match="proxy-url"):
        await client.send(Send("GET", "https://auth.example/"))
    await client.close()


async def test_the_relays_session_is_shared_and_passes_bytes_as_they_came(client: Client) -> None:
    packed = gzip.compress(b"hello")

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    session = client.session_for()
    assert session is client.session_for("")
    assert session.timeout.total is None
    async with server(handle) as url, session.get(url, allow_redirects=False) as response:
        assert await response.read() == packed
