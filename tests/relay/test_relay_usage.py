"""What is counted is what the vendors said they answered: in each format, translated or not, whole or streamed, over a
socket, in vain, refused, broken off, and where the client hung up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pooled import Open, Pooled, Told, chat_keys, keys_of
from stand_in import CLIENT_KEY, TWO, Relayed, Serve, Vendor, hang_up, stream, whole

from vaultd.house import House
from vaultd.work.usage import queries
from vaultd.work.usage.prices import Prices

FORMATS = ("chat", "messages", "responses", "gemini")
MODELS = ("big", "opus", "codex-mini", "flash")


async def totals(house: House, by: queries.By = "total") -> dict[str, queries.Sum]:
    found = await house.usage.ask(lambda db: queries.sums(db, 0, 1 << 40, by, Prices()))
    return {one.name: one for one in found}


async def last(house: House) -> list[queries.Request]:
    return await house.usage.ask(lambda db: queries.requests(db, 100, None, Prices()))


def every_vendor(sandbox: Any) -> dict[str, Any]:
    return (
        chat_keys(sandbox, "one")
        | keys_of(sandbox, "claude-api-key", ["opus"], "two")
        | keys_of(sandbox, "codex-api-key", ["codex-mini"], "three")
        | keys_of(sandbox, "gemini-api-key", ["flash"], "four")
    )


def stated(fmt: str, body: Any) -> tuple[int, int]:
    """Input and output tokens as a client reads them."""
    if fmt == "gemini":
        used = body["usageMetadata"]
        return used["promptTokenCount"], used["candidatesTokenCount"] + used.get("thoughtsTokenCount", 0)
    used = body["usage"]
    if fmt == "chat":
        return used["prompt_tokens"], used["completion_tokens"]
    read = sum(used.get(name) or 0 for name in ("cache_read_input_tokens", "cache_creation_input_tokens"))
    return used["input_tokens"] + (read if fmt == "messages" else 0), used["output_tokens"]


async def streams(house: Pooled, fmt: str, model: str) -> Told:
    said = [{"role": "user", "content": "say hello"}]
    match fmt:
        case "chat":
            more = {"messages": said, "stream_options": {"include_usage": True}}
            return await house.post("/v1/chat/completions", {"model": model, "stream": True, **more})
        case "messages":
            body = {"model": model, "stream": True, "max_tokens": 99, "messages": said}
            return await house.post("/v1/messages", body)
        case "responses":
            return await house.post("/v1/responses", {"model": model, "stream": True, "input": said})
    contents = {"contents": [{"role": "user", "parts": [{"text": "say hello"}]}]}
    return await house.post(f"/v1beta/models/{model}:streamGenerateContent?alt=sse", contents)


async def test_totals_are_what_the_vendors_said_in_every_format_and_translation(pooled: Open) -> None:
    house = await pooled(every_vendor, by_hand=False)
    told = {"input": 0, "output": 0}
    for fmt in FORMATS:
        for model in MODELS:
            answer = await house.ask(fmt, model)
            assert answer.status == 200, answer.text
            input_, output = stated(fmt, answer.json)
            told["input"] += input_
            told["output"] += output
    total = (await totals(house.house))["total"]
    assert (total.requests, total.failures, total.attempts_failed) == (16, 0, 0)
    assert {"input": total.input, "output": total.output} == told
    assert {name: one.requests for name, one in (await totals(house.house, "provider")).items()} == {
        "acme": 4, "claude-api-key": 4, "codex-api-key": 4, "gemini-api-key": 4,
    }  # fmt: skip
    (client,) = await totals(house.house, "client")
    assert client.startswith("config-") and "CANARY" not in client


async def test_a_stream_counts_what_the_same_answer_counts_whole(pooled: Open) -> None:
    house = await pooled(every_vendor, by_hand=False)
    for fmt in FORMATS:
        for model in MODELS:
            assert (await house.ask(fmt, model)).status == 200
            assert (await streams(house, fmt, model)).status == 200
            streamed, answered = (await last(house.house))[:2]
            assert (streamed.stream, answered.stream) == (True, False)
            assert streamed.input == answered.input > 0, (fmt, model)
            assert streamed.output == answered.output > 0, (fmt, model)
            assert 0 < streamed.first <= streamed.seconds
            assert (streamed.model, streamed.asked, streamed.status) == (model, model, 200)


async def test_a_request_over_a_socket_is_one_of_its_own(pooled: Open) -> None:
    house = await pooled(every_vendor, by_hand=False)
    async with house.session.ws_connect(
        f"{house.url}/v1/responses", headers={"authorization": f"Bearer {CLIENT_KEY}"}
    ) as socket:
        for _ in range(2):
            await socket.send_json({"type": "response.create", "model": "codex-mini", "input": "say hello"})
            while (await socket.receive_json())["type"] != "response.completed":
                pass
    first, second = await last(house.house)
    assert first.endpoint == second.endpoint == "GET /v1/responses"
    assert first.input == second.input > 0


CHAT = b'{"model":"m-chat","messages":[{"role":"user","content":"hi"}]}'
STREAM = CHAT.replace(b'"m-chat"', b'"m-chat","stream":true')
ANSWER = b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}'


async def told(relayed: Relayed, count: int = 1) -> list[queries.Request]:
    """Once so many were counted: a client hears the end of its answer before it is."""
    while len(found := await last(relayed.house)) < count:  # noqa: ASYNC110 - nobody is told
        await asyncio.sleep(0)
    return found


async def test_a_try_in_vain_is_counted_beside_the_answer(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO)
    vendor.answers += [whole(b'{"error":{"message":"busy"}}', 429), whole(ANSWER)]
    await relayed.ask("/v1/chat/completions", CHAT)
    (one,) = await told(relayed)
    assert (one.status, one.attempts, one.input, one.output) == (200, 2, 7, 3)
    by = await totals(relayed.house, "credential")
    assert sorted((row.requests, row.attempts_failed) for row in by.values()) == [(0, 1), (1, 0)]
    assert by[one.credential].requests == 1


@pytest.mark.parametrize(
    ("body", "status", "refused"),
    [(CHAT.replace(b"m-chat", b"nobody-has-it"), 404, "no-such-model"), (b'{"model":"m-chat"}', 422, "")],
)
async def test_a_refusal_is_a_failure_with_its_reason(
    serve: Serve, vendor: Vendor, body: bytes, status: int, refused: str
) -> None:
    relayed = await serve(TWO)
    vendor.usual = whole(b'{"error":{"message":"no messages"}}', 422)
    assert (await relayed.ask("/v1/chat/completions", body))[0] == status
    (one,) = await told(relayed)
    assert (one.status, one.refused, one.input) == (status, refused, 0)
    assert (await totals(relayed.house))["total"].failures == 1


async def test_a_vendor_that_is_not_there_fails_every_try(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO)
    vendor.usual = hang_up
    assert (await relayed.ask("/v1/chat/completions", CHAT))[0] == 502
    (one,) = await told(relayed)
    assert (one.status, one.attempts, one.first) == (502, 2, 0)
    assert (await totals(relayed.house))["total"].attempts_failed == 2


async def test_a_stream_that_breaks_off_is_a_failure_though_its_head_said_200(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO)
    vendor.usual = stream(b'data: {"choices":[{"delta":{"content":"he"}}]}\n\n', cut=True)
    assert (await relayed.ask("/v1/chat/completions", STREAM))[0] == 200
    (one,) = await told(relayed)
    assert one.status == 502


BEGUN = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant",'
    b'"model":"real-claude","content":[],"usage":{"input_tokens":41,"output_tokens":1}}}\n\n'
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
    b'{"type":"text","text":""}}\n\nevent: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"he"}}\n\n'
)
CLAUDE = b'{"model":"m-claude","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_of_a_client_that_hangs_up_what_the_vendor_had_said_is_counted(
    serve: Serve, vendor: Vendor, path: str
) -> None:
    """The same format, and another: Anthropic states the question's tokens before it answers."""
    relayed = await serve()
    vendor.usual = stream(BEGUN, asyncio.Event())
    async with relayed.post(path, CLAUDE) as answer:
        await answer.content.readany()
    (one,) = await told(relayed)
    assert (one.status, one.input) == (499, 41)
    assert (await totals(relayed.house))["total"].failures == 0


async def test_counting_tokens_is_no_use_of_them(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b'{"input_tokens":9}')
    await relayed.ask("/v1/messages/count_tokens", CLAUDE.replace(b'"stream":true,', b""))
    assert await last(relayed.house) == []


async def test_switched_off_by_an_edit_nothing_is_collected_until_it_is_on_again(pooled: Open) -> None:
    house = await pooled(every_vendor, {"usage-statistics-enabled": False}, by_hand=False)
    await house.ask("chat", "big")
    assert await last(house.house) == []
    file = house.house.places.config_file
    assert file is not None
    config = json.loads(file.read_text())
    for on, count in ((True, 1), (False, 1)):
        file.write_text(json.dumps(config | {"usage-statistics-enabled": on}))
        await house.house.reload("edited")
        await house.ask("chat", "big")
        assert len(await last(house.house)) == count
