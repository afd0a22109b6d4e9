"""A request counts as under way until its answer has ended, however that comes, and what comes of it is no news of what
began later; config keys say how many may be."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from stand_in import CLIENT_KEY, ONE_OF_EACH, Relayed, Serve, Vendor, stream, whole

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


async def test_compacting_gives_it_back_when_the_client_goes_in_mid_refusal(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(ONE_EACH)
    told, left = asyncio.Event(), asyncio.Event()

    async def half_a_refusal(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=429, headers={"content-type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"error":')
        told.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    vendor.usual = half_a_refusal
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(relayed.ask("/v1/responses/compact", b'{"model":"c","input":[]}'))
        await told.wait()
        assert under_way(relayed) == 1
        asking.cancel()
    await left.wait()
    assert under_way(relayed) == 0


async def test_a_long_answer_that_ends_well_lifts_no_limit_that_came_meanwhile(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(ONE_EACH.replace("disable-cooling: true", "").replace("max-parallel: 1, weight: 3", ""))
    go_on = asyncio.Event()
    vendor.answers.append(stream(TOLD, go_on, b"data: [DONE]\n\n"))
    vendor.answers.append(whole(b'{"error":{"message":"slow down"}}', 429, retry_after="3600"))
    async with relayed.post("/v1/chat/completions", STREAM) as answer:
        await answer.content.readany()
        assert (await relayed.ask("/v1/chat/completions", CHAT))[0] == 429
        go_on.set()
        await answer.read()
    assert [row.state for row in relayed.house.pool.standings(relayed.house)].count("cooling") == 1


async def test_counting_tokens_has_limits_of_its_own(serve: Serve, vendor: Vendor) -> None:
    """Neither does its limit set the model aside, nor is it asked to find out whether the model's limit is over."""
    relayed = await serve(ONE_OF_EACH)
    body = b'{"model":"m-claude","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}'
    limit = whole(b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}', 429, retry_after="3600")
    vendor.answers.extend([limit, whole(b'{"type":"message","content":[]}'), limit])
    assert (await relayed.ask("/v1/messages/count_tokens", body))[0] == 429
    assert (await relayed.ask("/v1/messages", body))[0] == 200
    assert (await relayed.ask("/v1/messages", body))[0] == 429
    status, _, headers = await relayed.ask("/v1/messages/count_tokens", body)
    assert (status, int(headers["Retry-After"]) > 3000, len(vendor.seen)) == (429, True, 3)
    vendor.answers.append(whole(b'{"type":"message","content":[]}'))
    assert (await relayed.ask("/v1/messages", body))[0] == 200, "what is asked finds out"


async def test_entries_of_the_config_say_weight_cap_and_what_they_do_not_serve(serve: Serve) -> None:
    relayed = await serve(ONE_EACH)
    found = [next(plan(relayed.house, "openai-chat", name).candidates) for name in ("m", "c")]
    assert [(one.member.parallel, one.member.weight) for one in found] == [(1, 3), (1, 2)]
    assert found[0].credential.settings.excluded_models == ("other",)
    status, told, _ = await relayed.ask("/v1/chat/completions", CHAT.replace(b'"m"', b'"acme://other"'))
    assert (status, "no credential serves" in told.decode()) == (503, True)
