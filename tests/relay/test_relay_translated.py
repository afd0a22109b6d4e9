"""A client of one format, a vendor of another, and the daemon between: what is asked, told, lost, and goes wrong."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import Any

import pytest
import zstandard
from stand_in import ONE_OF_EACH, TWO, Serve, Vendor, stream, whole

from vaultd.net.logs import Line
from vaultd.work.metrics import Seen

MESSAGES = b'{"model":"m-chat","max_tokens":64,"stream":true,"messages":[{"role":"user","content":"Hi"}]}'
ASKED_WHOLE = MESSAGES.replace(b'"stream":true,', b"")
CHAT = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "real-chat",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
).encode()


def chunk(**delta: Any) -> bytes:
    finish = delta.pop("finish", None)
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "c1", "model": "real-chat", "choices": [choice]}).encode() + b"\n\n"


HELLO = (chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo"), chunk(finish="stop"))
DONE = b"data: [DONE]\n\n"


def sent(vendor: Vendor, index: int = -1) -> Any:
    return json.loads(vendor.seen[index].body)


def events(told: bytes) -> list[Any]:
    return [json.loads(line[5:]) for line in told.split(b"\n") if line.startswith(b"data:") and b"[DONE]" not in line]


def text(told: bytes) -> str:
    return "".join(event.get("delta", {}).get("text", "") for event in events(told))


async def test_an_anthropic_client_talks_to_a_chat_vendor(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(*HELLO, DONE)
    status, told, headers = await relayed.ask("/v1/messages", MESSAGES, anthropic_version="2023-06-01")
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert text(told) == "Hello" and [e["type"] for e in events(told)][-1] == "message_stop"
    assert vendor.seen[0].path == "/v1/chat/completions"
    assert sent(vendor)["messages"] == [{"role": "user", "content": "Hi"}]
    assert sent(vendor)["stream_options"] == {"include_usage": True}
    assert "anthropic-version" not in vendor.seen[0].headers, "it means nothing to this vendor"


async def test_a_whole_answer_is_asked_for_whole(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(CHAT)
    status, told, _ = await relayed.ask("/v1/messages", ASKED_WHOLE)
    answer = json.loads(told)
    assert (status, answer["content"][0]["text"], answer["stop_reason"]) == (200, "Hello", "end_turn")
    assert answer["usage"]["input_tokens"] == 3
    assert not sent(vendor).get("stream")


async def test_what_the_vendor_has_no_word_for_is_named_logged_and_counted(
    serve: Serve, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vaultd.relay")
    relayed = await serve()
    vendor.usual = whole(CHAT)
    asked = json.loads(ASKED_WHOLE) | {"top_k": 7, "container": "c"}
    _, _, headers = await relayed.ask("/v1/messages", json.dumps(asked).encode())
    assert "container" in headers["x-vaultd-dropped"].split(", ")
    assert b'field="container"' in relayed.house.metrics.render(Seen())
    (line,) = [Line().format(record) for record in caplog.records if record.name == "vaultd.relay"]
    assert "container" in line.partition("dropped=")[2]


async def test_what_a_hook_takes_out_again_is_a_loss_too(serve: Serve, vendor: Vendor) -> None:
    """Codex refuses a limit and a temperature: whoever asked for them is told."""
    relayed = await serve()
    completed = {"id": "r", "object": "response", "status": "completed", "model": "x", "output": []}
    event = json.dumps({"type": "response.completed", "response": completed}).encode()
    vendor.usual = stream(b"event: response.completed\ndata: " + event + b"\n\n")
    asked = json.loads(ASKED_WHOLE) | {"model": "m-codex", "temperature": 0.5}
    status, _, headers = await relayed.ask("/v1/messages", json.dumps(asked).encode())
    assert status == 200
    assert {"temperature", "max_output_tokens"} <= set(headers["x-vaultd-dropped"].split(", "))
    assert "temperature" not in sent(vendor)


async def test_nothing_lost_nothing_said(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(CHAT)
    _, _, headers = await relayed.ask("/v1/messages", ASKED_WHOLE)
    assert "x-vaultd-dropped" not in headers


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told_first", [b": hi\n\n", chunk(role="assistant", content="")])
async def test_an_error_before_any_output_is_followed_by_the_next_credential(
    serve: Serve, vendor: Vendor, told_first: bytes
) -> None:
    relayed = await serve(TWO)
    failed = b'data: {"error":{"message":"busy","type":"server_error"}}\n\n'
    vendor.answers.append(stream(told_first, failed))
    vendor.usual = stream(*HELLO, DONE)
    status, told, _ = await relayed.ask("/v1/messages", MESSAGES)
    assert (status, text(told), len(vendor.seen)) == (200, "Hello", 2)


async def test_a_vendors_error_comes_in_the_clients_shape_with_its_status_and_words(
    serve: Serve, vendor: Vendor
) -> None:
    relayed = await serve()
    refused = b'{"error":{"message":"too many tokens CANARY-free","code":"context_length_exceeded"}}'
    vendor.usual = whole(refused, 400)
    status, told, _ = await relayed.ask("/v1/messages", MESSAGES)
    said = json.loads(told)
    assert (status, said["type"], said["error"]["type"]) == (400, "error", "invalid_request_error")
    assert said["error"]["message"].startswith("too many tokens")


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_that_breaks_off_is_no_clean_end(serve: Serve, vendor: Vendor, cut: bool) -> None:
    relayed = await serve()
    vendor.usual = stream(*HELLO[:3], b"data: {half", cut=cut)
    status, told, _ = await relayed.ask("/v1/messages", MESSAGES)
    kinds = [event["type"] for event in events(told)]
    assert (status, kinds[-1], text(told)) == (200, "error", "Hello")
    assert "message_stop" not in kinds


async def test_a_vendor_that_falls_silent_is_given_up_in_the_clients_grammar(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("streaming: {{idle-seconds: 0.05}}\n" + ONE_OF_EACH)
    vendor.usual = stream(*HELLO[:2], asyncio.Event())
    _, told, _ = await relayed.ask("/v1/messages", MESSAGES)
    assert events(told)[-1]["type"] == "error" and "silent" in events(told)[-1]["error"]["message"]


async def test_a_silent_vendor_is_bridged_by_comments(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("streaming: {{keepalive-seconds: 0.02}}\n" + ONE_OF_EACH)
    go = asyncio.Event()
    vendor.usual = stream(*HELLO[:2], go, *HELLO[2:], DONE)
    async with relayed.post("/v1/messages", MESSAGES) as answer:
        told = b""
        while b": keep-alive" not in told:
            told += await answer.content.readany()
        go.set()
        told += await answer.read()
    assert text(told) == "Hello" and events(told)[-1]["type"] == "message_stop"


async def test_a_client_that_hangs_up_stops_the_vendor(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(*HELLO[:2], asyncio.Event())
    async with relayed.post("/v1/messages", MESSAGES) as answer:
        await answer.content.readany()
    await asyncio.wait_for(vendor.hung_up.wait(), 5)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_compressed_answer_is_read(serve: Serve, vendor: Vendor, coding: str, streamed: bool) -> None:
    """Nobody asked for it, but vendors do it all the same."""
    relayed = await serve()
    pack = gzip.compress if coding == "gzip" else zstandard.ZstdCompressor().compress
    packed = pack(b"".join(HELLO) + DONE if streamed else CHAT)
    pieces = [packed[at : at + 7] for at in range(0, len(packed), 7)]
    vendor.usual = stream(*pieces, content_encoding=coding) if streamed else whole(packed, content_encoding=coding)
    status, told, headers = await relayed.ask("/v1/messages", MESSAGES if streamed else ASKED_WHOLE)
    assert status == 200 and "content-encoding" not in headers
    assert (text(told) if streamed else json.loads(told)["content"][0]["text"]) == "Hello"


async def test_a_coding_nobody_here_speaks_is_said(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"\x0b\x02\x80", content_encoding="br")
    status, told, _ = await relayed.ask("/v1/messages", ASKED_WHOLE)
    assert status == 502 and "'br'" in json.loads(told)["error"]["message"]


async def test_thr_16_a_bomb_stops_at_the_limit(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    bomb = zstandard.ZstdCompressor().compress(bytes(300 * 1024 * 1024))
    vendor.usual = whole(bomb, content_encoding="zstd")
    status, told, _ = await relayed.ask("/v1/messages", ASKED_WHOLE)
    assert status == 502 and "inflates without end" in json.loads(told)["error"]["message"]


# --- counting, completions, another shape on the chat route -----------------------------------------------------------


async def test_tokens_are_counted_by_the_vendor_where_it_can(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b'{"totalTokens":17}')
    body = ASKED_WHOLE.replace(b"m-chat", b"m-gemini")
    status, told, headers = await relayed.ask("/v1/messages/count_tokens", body)
    assert (status, json.loads(told)) == (200, {"input_tokens": 17})
    assert "x-vaultd-estimated" not in headers and vendor.seen[0].path.endswith(":countTokens")


async def test_tokens_are_estimated_where_it_cannot_and_that_is_said(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    status, told, headers = await relayed.ask("/v1/messages/count_tokens", ASKED_WHOLE)
    assert status == 200 and json.loads(told)["input_tokens"] > 0
    assert headers["x-vaultd-estimated"] == "tokens" and not vendor.seen
    status, told, _ = await relayed.ask(
        "/v1beta/models/m-chat:countTokens", b'{"contents":[{"parts":[{"text":"Hi"}]}]}'
    )
    assert status == 200 and json.loads(told)["totalTokens"] > 0


async def test_completions_are_a_thin_face_of_chat(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(CHAT)
    _, told, _ = await relayed.ask("/v1/completions", b'{"model":"m-chat","prompt":"Once upon"}')
    assert sent(vendor)["messages"] == [{"role": "user", "content": "Once upon"}]
    answer = json.loads(told)
    assert (answer["object"], answer["choices"][0]["text"]) == ("text_completion", "Hello")


async def test_a_responses_body_on_the_chat_route_is_understood(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(CHAT)
    body = b'{"model":"m-chat","instructions":"Be terse.","input":"Hi"}'
    _, told, _ = await relayed.ask("/v1/chat/completions", body)
    assert [message["role"] for message in sent(vendor)["messages"]] == ["system", "user"]
    assert json.loads(told)["choices"][0]["message"]["content"] == "Hello"


async def test_a_gemini_cli_keeps_its_envelope_at_a_vendor_of_another_format(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(*HELLO, DONE)
    body = b'{"model":"m-chat","project":"p","request":{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}}'
    status, told, _ = await relayed.ask("/v1internal:streamGenerateContent?alt=sse", body)
    chunks = [event["response"] for event in events(told)]
    said = "".join(part.get("text", "") for c in chunks for part in c["candidates"][0]["content"]["parts"])
    assert (status, said, chunks[-1]["candidates"][0]["finishReason"]) == (200, "Hello", "STOP")


async def test_a_gemini_client_without_sse_gets_one_array(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(*HELLO, DONE)
    body = b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'
    _, told, headers = await relayed.ask("/v1beta/models/m-chat:streamGenerateContent", body)
    assert headers["content-type"] == "application/json"
    assert json.loads(told)[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_what_needs_a_vendor_that_keeps_answers_is_refused_and_named(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    body = b'{"model":"m-chat","input":"Hi","previous_response_id":"resp_1"}'
    status, told, _ = await relayed.ask("/v1/responses", body)
    assert status == 400 and "previous_response_id" in json.loads(told)["error"]["message"]
    assert not vendor.seen


# --- what the model's name asks for -----------------------------------------------------------------------------------


async def test_a_suffix_reaches_a_vendor_of_the_same_format(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    await relayed.ask("/v1/messages", ASKED_WHOLE.replace(b"m-chat", b"m-claude(2048)"))
    assert sent(vendor)["thinking"] == {"type": "enabled", "budget_tokens": 2048} or "thinking" not in sent(vendor)
    assert sent(vendor)["model"] == "real-claude"
    await relayed.ask("/v1beta/models/m-gemini(1024):generateContent", b'{"generationConfig":{"topK":1}}')
    assert sent(vendor)["generationConfig"] == {"topK": 1, "thinkingConfig": {"thinkingBudget": 1024}}
    await relayed.ask("/v1/chat/completions", b'{"model":"m-chat(high)","messages":[],"reasoning_effort":"low"}')
    assert vendor.seen[-1].body == b'{"model":"real-chat","messages":[],"reasoning_effort":"high"}'


async def test_a_suffix_reaches_a_vendor_of_another_format(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(CHAT)
    await relayed.ask("/v1/messages", ASKED_WHOLE.replace(b"m-chat", b"m-chat(16384)"))
    assert sent(vendor)["reasoning_effort"] == "high"
