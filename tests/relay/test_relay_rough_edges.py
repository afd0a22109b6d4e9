"""Vendors that fall silent or answer in another way than asked, addresses nobody may dial, a daemon on its way out."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web
from stand_in import ONE_OF_EACH, Serve, Vendor, stream, whole

from vaultd.net.clock import SystemClock

CHAT = "/v1/chat/completions"
GEMINI = "/v1beta/models/m-gemini:streamGenerateContent"
GOOD = b'{"good":true}'
SOON = "streaming: {{idle-seconds: 0.2}}\n"


async def test_a_vendor_that_falls_silent_in_an_answer_to_be_folded_is_given_up(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(SOON + ONE_OF_EACH)
    vendor.usual = stream(b'event: response.created\ndata: {"type":"response.created"}\n\n', asyncio.Event())
    status, body, _ = await relayed.ask("/v1/responses", b'{"model":"m-codex","input":"x"}')
    assert status == 502 and b"fell silent" in body
    await asyncio.wait_for(vendor.hung_up.wait(), 5)


async def test_so_is_one_that_falls_silent_in_a_large_whole_answer(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(SOON + ONE_OF_EACH)
    large = b'{"x":"' + b"A" * (6 * 1024 * 1024)
    vendor.usual = stream(large, asyncio.Event(), content_type="application/json")
    with pytest.raises(aiohttp.ClientError):
        await relayed.ask(CHAT, b'{"model":"m-chat"}')


async def test_a_json_array_may_go_on_for_longer_than_a_silence(serve: Serve, vendor: Vendor) -> None:
    """Its pieces count as signs of life, like the events of a stream."""
    relayed = await serve(SOON + ONE_OF_EACH)
    more = [asyncio.Event() for _ in range(4)]
    pieces = [piece for event in more for piece in (event, b',{"candidates":[]}')]
    vendor.usual = stream(b'[{"candidates":[]}', *pieces, b"]", content_type="application/json")
    async with relayed.post(GEMINI, b"{}") as answer:
        text = await answer.content.readany()
        for event in more:
            await asyncio.sleep(0.1)  # the silence itself is what is tested
            event.set()
        text += await answer.read()
    assert len(json.loads(text)) == 5


async def test_usage_is_taken_out_however_the_vendor_sets_its_spaces(serve: Serve, vendor: Vendor) -> None:
    """Python's own JSON library writes `"choices": []`."""
    relayed = await serve()
    text = b'data: {"choices": [{"delta": {"content": "a", "tool_calls": []}}]}\n\n'
    vendor.usual = stream(text, b'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n', b"data: [DONE]\n\n")
    _, told, _ = await relayed.ask(CHAT, b'{"model":"m-chat","stream":true}')
    assert told == text + b"data: [DONE]\n\n"


async def test_a_member_that_is_not_text_is_a_bad_request(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    body = b'{"model":"m-chat","stream":true,"stream_options":{"a":"\xff"}}'
    status, told, headers = await relayed.ask(CHAT, body)
    assert status == 400 and headers["content-type"].startswith("application/json")
    assert "stream_options" in json.loads(told)["error"]["message"]
    assert not vendor.seen


@pytest.mark.parametrize("hint", ["9" * 400, "soon", "-3"])
async def test_a_senseless_hint_is_no_hint(serve: Serve, vendor: Vendor, hint: str) -> None:
    relayed = await serve()
    vendor.usual = whole(b"<html>", 503, retry_after=hint, content_type="text/html")
    status, told, headers = await relayed.ask(CHAT, b'{"model":"m-chat"}')
    assert status == 503 and "127.0.0.1" in json.loads(told)["error"]["message"]
    assert "retry-after" not in headers


CODE_ASSIST = """
providers:
  gemini-api-key:
    endpoints: {{api: "{url}"}}
    api:
      paths: {{gemini: "/v1internal:{{method}}"}}
      hooks: [gemini-fixes, gemini-envelope]
gemini-api-key: [{{api-key: sk-CANARY-gemini, models: [{{name: real-gemini, alias: m-gemini}}]}}]
"""
ENVELOPES = b'[{"response":{"candidates":[1]},"traceId":"t"},\n{"response":{"candidates":[2]}}]'


async def test_a_gemini_array_comes_out_of_its_envelopes(serve: Serve, vendor: Vendor) -> None:
    """A client that does not ask for SSE gets an array, and what is in it is what it speaks."""
    relayed = await serve(CODE_ASSIST)
    vendor.usual = stream(ENVELOPES[:20], ENVELOPES[20:], content_type="application/json")
    _, told, _ = await relayed.ask(GEMINI, b"{}")
    assert told == b'[{"candidates":[1]},\n{"candidates":[2]}]'
    outer = b'{"model":"m-gemini","request":{}}'
    assert (await relayed.ask("/v1internal:streamGenerateContent", outer))[1] == ENVELOPES


async def test_and_goes_into_them_for_a_gemini_cli(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(b'[{"candidates":[1]},{"candidates":[2]}]', content_type="application/json")
    _, told, _ = await relayed.ask("/v1internal:streamGenerateContent", b'{"model":"m-gemini","request":{}}')
    assert told == b'[{"response":{"candidates":[1]}},\n{"response":{"candidates":[2]}}]'


@pytest.mark.parametrize("proxy", ["", ", proxy-url: 'http://127.0.0.1:9'", ", proxy-url: 'socks5://127.0.0.1:9'"])
@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0xa9fea9fe"])
async def test_thr_07_a_link_local_vendor_is_never_dialled(serve: Serve, proxy: str, host: str) -> None:
    """Behind a proxy too, where no socket of ours would see the address."""
    entry = f"{{{{api-key: sk-CANARY-claude, base-url: 'http://{host}'{proxy}, models: [{{{{name: m-claude}}}}]}}}}"
    relayed = await serve(f"claude-api-key: [{entry}]")
    status, told, _ = await relayed.ask("/v1/messages", b'{"model":"m-claude"}')
    assert status == 502 and "link-local" in json.loads(told)["error"]["message"]


class _Patient(SystemClock):
    """Its sleeps end when the test says so."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self.over.wait()


@pytest.mark.parametrize("begun", [True, False])
async def test_a_stopping_daemon_ends_its_streams_in_their_grammar(serve: Serve, vendor: Vendor, begun: bool) -> None:
    """Those that wait for their first event as well."""
    relayed = await serve(ONE_OF_EACH if begun else "streaming: {{keepalive-seconds: 0.05}}\n" + ONE_OF_EACH)
    clock = relayed.house.clock = _Patient()
    text = b'data: {"type":"content_block_start"}\n\n'
    vendor.usual = stream(text, asyncio.Event()) if begun else silent
    async with relayed.post("/v1/messages", b'{"model":"m-claude","stream":true}') as answer:
        told = await answer.content.readany()
        relayed.house.draining.set()
        clock.over.set()
        told += await asyncio.wait_for(answer.read(), 5)
    event, _, data = told.rpartition(b"event: error\ndata: ")
    assert event.startswith(text if begun else b": keep-alive")
    assert "is stopping" in json.loads(data)["error"]["message"]
    await asyncio.wait_for(vendor.hung_up.wait(), 5)


@pytest.mark.parametrize("streams", [True, False])
async def test_one_that_has_heard_nothing_at_all_gets_its_status(serve: Serve, vendor: Vendor, streams: bool) -> None:
    """A stream before its first event, and an answer that goes out whole."""
    relayed = await serve()
    clock = relayed.house.clock = _Patient()

    async def stopping(request: web.Request) -> web.StreamResponse:
        relayed.house.draining.set()
        clock.over.set()
        return await silent(request)

    vendor.usual = stopping
    body = b'{"model":"m-claude","stream":%s}' % str(streams).lower().encode()
    status, told, headers = await relayed.ask("/v1/messages", body)
    assert (status, headers["retry-after"]) == (503, "1") and b"is stopping" in told


async def silent(_request: web.Request) -> web.StreamResponse:
    return await asyncio.get_running_loop().create_future()


async def test_thr_15_a_stream_that_has_begun_holds_no_body(serve: Serve, vendor: Vendor) -> None:
    """Forty streams of 8 MB each would be more than all bodies together may be, were they held to the end."""
    relayed = await serve()
    go = asyncio.Event()
    begun = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    vendor.usual = stream(begun, go, b"data: [DONE]\n\n")
    body = json.dumps({"model": "m-chat", "stream": True, "messages": [{"role": "user", "content": "x" * 2**23}]})
    async with AsyncExitStack() as stack:
        answers = []
        for _ in range(40):
            answer = await stack.enter_async_context(relayed.post(CHAT, body.encode()))
            assert answer.status == 200
            assert await answer.content.readuntil(b"\n\n") == begun
            answers.append(answer)
        go.set()
        assert [await answer.read() for answer in answers] == [b"data: [DONE]\n\n"] * 40
