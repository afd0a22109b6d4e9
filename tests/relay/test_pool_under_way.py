"""A request counts as under way until its answer has ended, however that comes; and config keys say how many may be."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from stand_in import CLIENT_KEY, Relayed, Serve, Vendor, stream, whole

from vaultd.work.plan import plan

ONE_EACH = """
disable-cooling: true
openai-compatibility:
  - name: acme
    base-url: "{url}/v1"
    models: [{{name: m}}]
    excluded-models: [other]
    api-key-entries: [{{api-key: sk-CANARY-1, max-parallel: 1, weight: 3}}]
codex-api-key: [{{api-key: sk-CANARY-2, base-url: "{url}/codex", models: [{{name: c}}], max-parallel: 1, weight: 2}}]
"""
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
STREAM = CHAT.replace(b'"m"', b'"m","stream":true')
TOLD = b'data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n'


def under_way(relayed: Relayed) -> int:
    house = relayed.house
    return sum(house.pool.state.running(id_) for id_ in house.pool.roster(house))


class Hanging:
    """A stream that begins and never ends; `left` once we have gone from it."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(TOLD)
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
        raise AssertionError


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
async def test_a_whole_answer_has_ended(serve: Serve, vendor: Vendor, status: int) -> None:
    relayed = await serve(ONE_EACH)
    vendor.usual = whole(b'{"choices":[]}', status)
    for _ in range(2):
        assert (await relayed.ask("/v1/chat/completions", CHAT))[0] == status
        assert under_way(relayed) == 0


@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b"", b"data: {broken"])
async def test_a_stream_has_ended_well_or_badly(serve: Serve, vendor: Vendor, end: bytes) -> None:
    relayed = await serve(ONE_EACH)
    vendor.usual = stream(TOLD + end)
    for _ in range(2):
        assert (await relayed.ask("/v1/chat/completions", STREAM))[0] == 200
        assert under_way(relayed) == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses/compact"])
async def test_a_client_that_hangs_up_gives_it_back(serve: Serve, vendor: Vendor, path: str) -> None:
    relayed = await serve(ONE_EACH)
    vendor.usual = hanging = Hanging()
    body = STREAM if "chat" in path else b'{"model":"c","input":[{"role":"user","content":"hi"}]}'
    headers = {"Authorization": f"Bearer {CLIENT_KEY}"}
    async with aiohttp.ClientSession() as client, client.post(relayed.url + path, data=body, headers=headers) as answer:
        await answer.content.readany()
        assert under_way(relayed) == 1
        status, told, more = await relayed.ask(path, body)
        assert (status, more["Retry-After"]) == (429, "1")
        assert "(1 of 1)" in json.loads(told)["error"]["message"]
    await hanging.left.wait()
    assert under_way(relayed) == 0


async def test_compacting_gives_it_back_with_its_answer_or_refusal(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(ONE_EACH)
    body = b'{"model":"c","input":[{"role":"user","content":"hi"}]}'
    for status, kind in ((200, "application/json"), (429, "application/json"), (502, "text/html"), (302, "text/html")):
        vendor.usual = whole(b"{}", status=status, content_type=kind)
        assert (await relayed.ask("/v1/responses/compact", body))[0] == (status if status != 302 else 502)
        assert under_way(relayed) == 0


async def test_entries_of_the_config_say_weight_cap_and_what_they_do_not_serve(serve: Serve) -> None:
    relayed = await serve(ONE_EACH)
    found = [next(plan(relayed.house, "openai-chat", name).candidates) for name in ("m", "c")]
    assert [(one.member.parallel, one.member.weight) for one in found] == [(1, 3), (1, 2)]
    assert found[0].credential.settings.excluded_models == ("other",)
    status, told, _ = await relayed.ask("/v1/chat/completions", CHAT.replace(b'"m"', b'"acme://other"'))
    assert (status, "no credential serves" in told.decode()) == (503, True)
