"""Words nobody expects, from clients, vendors and operators: each gets an answer in its shape, none a fault of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType

import msgspec
import pytest
from aiohttp import web
from stand_in import ONE_OF_EACH, TWO, Serve, Vendor, stream, whole

from vaultd.catalog.models import Catalog
from vaultd.config.model import Config
from vaultd.secret import Secret
from vaultd.vault.credential import Credential

GOOD = b'{"good":true}'


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "response.completed", "response": None}],
        [{"type": "response.completed"}],
        [{"type": "response.failed", "response": 3}],
        [{"type": "response.failed", "response": {"error": {"message": ["x"]}}}],
        [{"type": "response.output_item.done", "item": {}}, {"type": "response.completed", "response": []}],
    ],
)
async def test_a_stream_that_cannot_be_folded_is_the_vendors_failure(
    serve: Serve, vendor: Vendor, events: list[object]
) -> None:
    relayed = await serve()
    vendor.usual = stream(*(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))
    status, told, _ = await relayed.ask("/v1/responses", b'{"model":"m-codex","input":"x"}')
    assert status == 502 and "not as documented" in json.loads(told)["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/responses",
            {"model": "m-codex", "stream": True, "input": [{"type": {}, "id": 1}, {"id": "x", "type": []}]},
        ),
        ("/v1/messages", {"model": "m-claude", "thinking": {"type": []}, "tool_choice": {"type": ["any"]}}),
        ("/v1beta/models/m-gemini:generateContent", {"contents": [{"role": []}]}),
        ("/v1/chat/completions", {"model": "m-chat", "stream": False, "stream_options": 3, "messages": {}}),
    ],
)
async def test_a_member_of_another_type_is_the_vendors_to_refuse(
    serve: Serve, vendor: Vendor, path: str, body: dict[str, object]
) -> None:
    relayed = await serve()
    vendor.usual = whole(b'{"error":{"message":"theirs"}}', 400)
    assert (await relayed.ask(path, json.dumps(body).encode()))[:2] == (400, b'{"error":{"message":"theirs"}}')


@pytest.mark.parametrize("path", ["", ".", "..."])
def test_a_payload_rule_without_a_path_is_an_error_at_start(path: str) -> None:
    rules = {"default": [{"models": [{"name": "x"}], "params": {path: 1}}]}
    with pytest.raises(msgspec.ValidationError, match=r"payload.default\[0\].params"):
        msgspec.convert({"payload": rules}, Config)


async def test_a_provider_that_goes_while_a_request_is_under_way_is_named(serve: Serve, vendor: Vendor) -> None:
    """Its manifest is taken out of the folder between two tries."""
    relayed = await serve('providers: {{claude-api-key: {{endpoints: {{api: "{url}"}}}}}}')
    for number in ("1", "2"):
        await relayed.house.owner.settle(
            Credential(f"claude-api-key-{number}", "claude-api-key", kind="key", key=Secret(f"sk-CANARY-{number}"))
        )

    async def last_words(_request: web.Request) -> web.StreamResponse:
        relayed.house.catalog = Catalog(MappingProxyType({}))
        return web.Response(status=503, body=b"{}")

    vendor.usual = last_words
    status, told, _ = await relayed.ask("/v1/messages", b'{"model":"claude-sonnet-4-5-20250929"}')
    assert status == 502 and "claude-api-key" in json.loads(told)["error"]["message"]
    assert len(vendor.seen) == 1


@asynccontextmanager
async def socks_proxy(asked: list[tuple[bytes, bytes]]) -> AsyncIterator[int]:
    """RFC 1928 with RFC 1929's user and password, as far as one CONNECT needs it."""

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    async def counted(reader: asyncio.StreamReader) -> bytes:
        return await reader.readexactly((await reader.readexactly(1))[0])

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        await counted(reader)
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        asked.append((await counted(reader), await counted(reader)))
        writer.write(b"\x01\x00")
        kind = (await reader.readexactly(4))[3]
        host = (await counted(reader)).decode() if kind == 3 else ".".join(map(str, await reader.readexactly(4)))
        there, out = await asyncio.open_connection(host, int.from_bytes(await reader.readexactly(2), "big"))
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        await asyncio.gather(pump(reader, out), pump(there, writer))

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.mark.parametrize("scheme", ["socks5", "http"])
async def test_a_proxy_that_is_gone_is_no_reason_not_to_ask_the_next(
    serve: Serve, vendor: Vendor, scheme: str, unused_tcp_port: int
) -> None:
    gone = f"proxy-url: '{scheme}://ann:CANARY-word@127.0.0.1:{unused_tcp_port}'"
    relayed = await serve(TWO.replace("sk-CANARY-acme-1", f"sk-CANARY-acme-1, {gone}"))
    vendor.usual = whole(GOOD)
    for _ in range(4):
        assert (await relayed.ask("/v1/chat/completions", b'{"model":"m-chat","messages":[]}'))[0] == 200
    assert {seen.headers["authorization"] for seen in vendor.seen} == {"Bearer sk-CANARY-acme-2"}
    relayed = await serve(f"{gone}\n{TWO}")
    status, told, _ = await relayed.ask("/v1/chat/completions", b'{"model":"m-chat","messages":[]}')
    assert (status, "the proxy does not answer" in told.decode(), b"word" in told) == (502, True, False)


async def test_a_request_takes_the_proxy_of_its_key_before_the_general_one(serve: Serve, vendor: Vendor) -> None:
    asked: list[tuple[bytes, bytes]] = []
    vendor.usual = whole(GOOD)
    async with socks_proxy(asked) as port:
        general = f"proxy-url: socks5://all:word@127.0.0.1:{port}\n"
        own = TWO.replace("sk-CANARY-acme-2", f"sk-CANARY-acme-2, proxy-url: 'socks5://own:p%40ss@127.0.0.1:{port}'")
        relayed = await serve(general + own)
        for _ in range(2):
            assert (await relayed.ask("/v1/chat/completions", b'{"model":"m-chat"}'))[:2] == (200, GOOD)
        await relayed.house.client.close()
    assert sorted(asked) == [(b"all", b"word"), (b"own", b"p@ss")]
    proxied = {seen.headers["Authorization"]: seen.headers for seen in vendor.seen}
    assert len(proxied) == 2 and not any("Proxy-Authorization" in headers for headers in proxied.values())


async def test_a_reload_in_the_middle_of_a_stream_does_not_touch_it(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    go_on, first, last = asyncio.Event(), b'data: {"choices":[1]}\n\n', b"data: [DONE]\n\n"
    vendor.usual = stream(first, go_on, last)
    async with relayed.post("/v1/chat/completions", b'{"model":"m-chat","stream":true}') as answer:
        told = await answer.content.readany()
        path = relayed.house.places.config_file
        assert path is not None
        path.write_text(path.read_text().replace(ONE_OF_EACH.format(url=vendor.url), ""))
        await relayed.house.reload("a test")
        assert (await relayed.ask("/v1/chat/completions", b'{"model":"m-chat"}'))[0] in {404, 503}
        go_on.set()
        assert told + await answer.read() == first + last


@pytest.mark.parametrize(
    ("body", "words"), [(b'{"error":{"message":"out of quota"}}', "out of quota"), (b'{"error":3}', "status 429")]
)
async def test_after_a_comment_the_vendors_reason_is_told_in_the_stream(
    serve: Serve, vendor: Vendor, body: bytes, words: str
) -> None:
    relayed = await serve("streaming: {{keepalive-seconds: 0.05}}\n" + ONE_OF_EACH)
    opened = asyncio.Event()

    async def refusing(request: web.Request) -> web.StreamResponse:
        await opened.wait()
        return await whole(body, 429)(request)

    vendor.usual = refusing
    async with relayed.post("/v1/messages", b'{"model":"m-claude","stream":true}') as answer:
        opened.set()
        told = await answer.read()
    error = json.loads(told.rpartition(b"data: ")[2])["error"]
    assert error["type"] == "rate_limit_error" and words in error["message"]
