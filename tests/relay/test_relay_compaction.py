"""Codex has its conversation compacted by a vendor that has no such thing: a summary, in an item only vaultd reads.

The vendor is asked once, the client gets the one item it wants, and whoever serves what comes next is told the summary.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import openai
import pytest
from stand_in import CLIENT_KEY, ONE_OF_EACH, Answer, Relayed, Serve, Vendor, stream, whole

from vaultd.work.compacting import QUESTION

SUMMARY = "CANARY: the user wants 42 ✓"
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is it?"}]}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "42."}]}
TRIGGER = {"type": "compaction_trigger"}
GO_ON = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go on."}]}
USAGE = {"input_tokens": 30, "output_tokens": 7}
CHAT_USAGE = {"prompt_tokens": 30, "completion_tokens": 7, "total_tokens": 37}
GEMINI_USAGE = {"promptTokenCount": 30, "candidatesTokenCount": 7, "totalTokenCount": 37}
HALF = len(SUMMARY) // 2
OTHERS = ["m-claude", "m-chat", "m-gemini"]


def in_whole(model: str, text: str = SUMMARY) -> Answer:
    """The vendor's answer where it is asked for one."""
    said: Any
    if model == "m-claude":
        content = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": text}]
        said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "real-claude", "content": content}
        said |= {"stop_reason": "end_turn", "usage": USAGE}
    elif model == "m-chat":
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        said = {"id": "chatcmpl-1", "created": 1, "model": "real-chat", "choices": [choice], "usage": CHAT_USAGE}
    else:
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}
        said = {"responseId": "r1", "candidates": [candidate], "usageMetadata": GEMINI_USAGE}
    return whole(json.dumps(said).encode())


def events_of(model: str) -> list[bytes]:
    """The same as a stream."""
    one, two = SUMMARY[:HALF], SUMMARY[HALF:]
    said: list[dict[str, Any]]
    if model == "m-claude":
        begun = {"id": "msg_1", "type": "message", "role": "assistant", "model": "real-claude", "content": []}
        said = [
            {"type": "message_start", "message": begun | {"usage": USAGE | {"output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": two}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ]
    elif model == "m-chat":
        head = {"id": "chatcmpl-1", "created": 1, "model": "real-chat"}
        said = [
            head | {"choices": [{"index": 0, "delta": {"role": "assistant", "content": one}}]},
            head | {"choices": [{"index": 0, "delta": {"content": two}, "finish_reason": "stop"}]},
            head | {"choices": [], "usage": CHAT_USAGE},
        ]
    else:
        said = [
            {"responseId": "r1", "candidates": [{"content": {"role": "model", "parts": [{"text": one}]}}]},
            {
                "responseId": "r1",
                "candidates": [{"content": {"role": "model", "parts": [{"text": two}]}, "finishReason": "STOP"}],
                "usageMetadata": GEMINI_USAGE,
            },
        ]
    frames = [b"event: %b\ndata: %b\n\n" % (str(e.get("type", "")).encode(), json.dumps(e).encode()) for e in said]
    frames = [frame.removeprefix(b"event: \n") for frame in frames]
    return [*frames, b"data: [DONE]\n\n"] if model == "m-chat" else frames


def streamed(model: str) -> Answer:
    return stream(*events_of(model))


def sent(vendor: Vendor) -> Any:
    return json.loads(vendor.seen[-1].body)


def texts(body: Any) -> list[tuple[str, str]]:
    """Who says what in a request of any format."""
    found = []
    for turn in body.get("messages") or body.get("contents") or body.get("input"):
        parts = turn.get("content") or turn.get("parts")
        parts = [{"text": parts}] if isinstance(parts, str) else parts
        found += [(turn["role"], part["text"]) for part in parts]
    return found


async def over_http(relayed: Relayed, model: str, items: list[Any]) -> list[Any]:
    body = {"model": model, "stream": True, "store": False, "input": items}
    status, told, headers = await relayed.ask("/v1/responses", json.dumps(body).encode())
    assert (status, headers["content-type"]) == (200, "text/event-stream"), told
    return [json.loads(line[5:]) for line in told.splitlines() if line.startswith(b"data:")]


async def over_a_socket(relayed: Relayed, model: str, items: list[Any]) -> list[Any]:
    events: list[Any] = []
    key = {"authorization": f"Bearer {CLIENT_KEY}"}
    async with relayed.session.ws_connect(f"{relayed.url}/v1/responses", headers=key) as socket:
        await socket.send_json({"type": "response.create", "model": model, "store": False, "input": items})
        while not events or events[-1]["type"] not in {"response.completed", "error"}:
            events.append(await socket.receive_json())
    return events


async def compaction(relayed: Relayed, vendor: Vendor, model: str = "m-claude") -> Any:
    """An item that vaultd made."""
    vendor.usual = streamed(model)
    return (await over_http(relayed, model, [HELLO, SAID, TRIGGER]))[-1]["response"]["output"][0]


@pytest.mark.parametrize("ask", [over_http, over_a_socket])
@pytest.mark.parametrize("model", OTHERS)
async def test_codex_gets_the_one_item_it_wants(serve: Serve, vendor: Vendor, model: str, ask: Any) -> None:
    relayed = await serve()
    vendor.usual = streamed(model)
    events = await ask(relayed, model, [HELLO, SAID, TRIGGER])
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    last = events[-1]
    assert [item["type"] for item in done] == ["compaction"]
    assert (last["type"], last["response"]["output"]) == ("response.completed", done)
    assert last["response"]["usage"].items() >= {"input_tokens": 30, "output_tokens": 7, "total_tokens": 37}.items()
    assert SUMMARY not in json.dumps(events, ensure_ascii=False)
    assert len(vendor.seen) == 1
    assert sent(vendor).get("stream") or vendor.seen[0].path.endswith("?alt=sse"), "a summary takes its time"
    said = texts(sent(vendor))
    assert [text for _, text in said] == ["What is it?", "42.", QUESTION]
    assert said[-1][0] == "user"


@pytest.mark.parametrize("ask", [over_http, over_a_socket])
@pytest.mark.parametrize("model", OTHERS)
async def test_whoever_goes_on_is_told_the_summary_by_the_user(
    serve: Serve, vendor: Vendor, model: str, ask: Any
) -> None:
    relayed = await serve()
    item = await compaction(relayed, vendor)
    vendor.usual = streamed(model)
    assert (await ask(relayed, model, [item, GO_ON]))[-1]["type"] == "response.completed"
    assert texts(sent(vendor)) == [("user", SUMMARY), ("user", "Go on.")]


async def test_a_vendor_of_codexs_own_kind_is_told_it_as_a_message(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    item = await compaction(relayed, vendor)
    vendor.usual = stream(b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n')
    for ask in (over_http, over_a_socket):
        await ask(relayed, "m-codex", [item, GO_ON])
        assert vendor.seen[-1].path == "/codex/responses"
        told = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": SUMMARY}]}
        assert sent(vendor)["input"] == [told, GO_ON]


async def test_it_opens_again_after_a_new_start(serve: Serve, vendor: Vendor) -> None:
    item = await compaction(await serve(), vendor)
    vendor.usual = streamed("m-chat")
    await over_http(await serve(), "m-chat", [item, GO_ON])
    assert texts(sent(vendor))[0] == ("user", SUMMARY)


@pytest.mark.parametrize("model", [*OTHERS, "m-codex"])
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/responses/compact"])
@pytest.mark.parametrize("wrong", ["tampered", "another keyring's"])
async def test_one_that_does_not_open_is_refused(
    serve: Serve,
    vendor: Vendor,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    model: str,
    path: str,
    wrong: str,
) -> None:
    relayed = await serve()
    item = await compaction(relayed, vendor)
    if wrong == "tampered":
        item["encrypted_content"] = item["encrypted_content"].swapcase().replace("VAULTDc", "vaultdC")
    else:
        relayed = await serve(f"auth-dir: {tmp_path / 'another'}\n" + ONE_OF_EACH)
    asked = len(vendor.seen)
    with caplog.at_level(logging.DEBUG):
        status, told, _ = await relayed.ask(path, json.dumps({"model": model, "input": [item, GO_ON]}).encode())
    error = json.loads(told)["error"]
    assert (status, error["type"]) == (400, "invalid_request_error")
    assert "Begin a new conversation, or bring back the keyring" in error["message"]
    assert len(vendor.seen) == asked
    assert item["encrypted_content"] not in caplog.text


async def test_who_waits_for_a_summary_hears_that_it_is_being_made(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("streaming: {{keepalive-seconds: 0.02}}\n" + ONE_OF_EACH)
    first, *rest = events_of("m-claude")
    go = asyncio.Event()
    vendor.usual = stream(first, go, *rest)
    body = {"model": "m-claude", "stream": True, "input": [HELLO, TRIGGER]}
    async with relayed.post("/v1/responses", json.dumps(body).encode()) as answer:
        told = b""
        while told.count(b": keep-alive") < 2:
            told += await answer.content.readany()
        go.set()
        told += await answer.read()
    assert told.count(b'"type":"response.output_item.done"') == 1
    assert b'"type":"response.completed"' in told


async def test_a_summary_that_breaks_off_is_none(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("disable-cooling: true\n" + ONE_OF_EACH)
    vendor.usual = stream(*events_of("m-claude")[:3], cut=True)
    body = {"model": "m-claude", "stream": True, "input": [HELLO, TRIGGER]}
    status, told, _ = await relayed.ask("/v1/responses", json.dumps(body).encode())
    assert (status, b"compaction" in told) == (502, False)


# --- the call of its own ----------------------------------------------------------------------------------------------


def sdk(relayed: Relayed) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=CLIENT_KEY, base_url=f"{relayed.url}/v1", max_retries=0)


@pytest.mark.parametrize("model", OTHERS)
async def test_the_call_that_compacts_is_answered_with_a_summary_too(serve: Serve, vendor: Vendor, model: str) -> None:
    relayed = await serve()
    vendor.usual = in_whole(model)
    async with sdk(relayed) as client:
        told = await client.responses.compact(model=model, instructions="be brief", input=[HELLO, SAID, GO_ON])
        assert (told.object, told.usage.input_tokens, told.usage.output_tokens) == ("response.compaction", 30, 7)
        assert [item.type for item in told.output] == ["message", "message", "compaction"]
        first, second, item = [item.to_dict(warnings=False) for item in told.output]
        assert {**first, **HELLO} == first and {**second, **GO_ON} == second, "the user's own words stay"
        assert len({first["id"], second["id"], item["id"]}) == 3
        assert texts(sent(vendor))[-1] == ("user", QUESTION) and "be brief" in json.dumps(sent(vendor))

        await client.responses.create(model=model, input=[first, second, item, HELLO])
    spoken = [text for _, text in texts(sent(vendor))]
    assert spoken == ["What is it?", "Go on.", SUMMARY, "What is it?"]


async def test_a_text_is_a_conversation_too_and_nothing_is_none(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = in_whole("m-chat")
    status, told, _ = await relayed.ask("/v1/responses/compact", b'{"model":"m-chat","input":"What is it?"}')
    first, item = json.loads(told)["output"]
    assert (status, item["type"]) == (200, "compaction")
    assert {**first, **HELLO} == first
    for nothing in (b'"input":[]', b'"input":{}', b'"previous_response_id":"resp_1"'):
        status, told, _ = await relayed.ask("/v1/responses/compact", b'{"model":"m-chat",%b}' % nothing)
        assert (status, b"`input`" in told) == (400, True)
    body = b'{"model":"m-chat","input":"x","previous_response_id":"resp_1"}'
    status, told, _ = await relayed.ask("/v1/responses/compact", body)
    assert (status, b"previous_response_id" in told) == (400, True)
    assert len(vendor.seen) == 1


async def test_a_vendor_that_refuses_is_heard(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("disable-cooling: true\n" + ONE_OF_EACH)
    vendor.usual = whole(b'{"error":{"message":"too long","type":"invalid_request_error"}}', 400)
    status, told, _ = await relayed.ask("/v1/responses/compact", b'{"model":"m-chat","input":"x"}')
    assert (status, json.loads(told)["error"]["message"]) == (400, "too long")
    vendor.usual = in_whole("m-chat", "")
    status, told, _ = await relayed.ask("/v1/responses/compact", b'{"model":"m-chat","input":"x"}')
    assert (status, b"no summary" in told) == (502, True)
