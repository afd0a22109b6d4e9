"""Whether a stream has begun: what is held back, what passes, and what another vendor may still be asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.failing import LIMIT, Opening
from vaultd.wire.refusal import Refusal


def sse(*events: Any, named: bool = False) -> bytes:
    frames = [event if isinstance(event, str) else json.dumps(event) for event in events]
    names = [f"event: {event['type']}\n" if named else "" for event in events]
    return "".join(f"{name}data: {frame}\n\n" for name, frame in zip(names, frames, strict=True)).encode()


def chat(**delta: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


CREATED = {"type": "response.created", "response": {"id": "r", "error": None, "instructions": 'no "error" here'}}
BEGUN = {"type": "message_start", "message": {"id": "m", "content": []}}
SILENT = {
    "openai-chat": [
        b": waiting\n\n",
        sse(chat(role="assistant", content="")),
        sse(chat(content=None, tool_calls=[], refusal=None)),
        sse({"choices": []}),
        sse({"choices": None, "error": None}),
        sse({"choices": [], "prompt_filter_results": []}),
    ],
    "openai-responses": [
        b": waiting\r\n\r\n",
        sse(CREATED, named=True),
        sse({"type": "response.in_progress", "response": {}}, {"type": "response.queued", "response": {}}),
        sse({"sequence_number": 3, "type": "keepalive"}),
    ],
    "anthropic-messages": [b":\n\n", sse(BEGUN, named=True), sse({"type": "ping"}, named=True), sse(BEGUN)],
    "gemini": [b": waiting\n\n", sse({"usageMetadata": {"promptTokenCount": 3}}), sse({})],
}
SPEAKING = {
    "openai-chat": [
        sse(chat(content="H")),
        sse(chat(role="assistant", content="", reasoning_content="H")),
        sse(chat(tool_calls=[{"index": 0}])),
        sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        sse({"choices": [{"text": "H"}]}),
        sse({"n": 1}),
        sse("[DONE]"),
        sse(chat(content='"error"')),
        b"data: what is this\n\n",
    ],
    "openai-responses": [
        sse({"type": "response.output_item.added", "item": {}}, named=True),
        sse({"output_index": 0, "type": "response.output_text.delta", "delta": '{"error":1}'}),
        sse({"type": "response.incomplete", "response": {}}, named=True),
        b"data: what is this\n\n",
    ],
    "anthropic-messages": [
        sse({"type": "content_block_start", "index": 0}, named=True),
        sse({"type": "message_delta", "delta": {"stop_reason": "refusal"}}),
    ],
    "gemini": [
        sse({"candidates": [{"content": {"parts": [{"text": 'an "error"'}]}}]}),
        sse({"response": {"candidates": []}}),
        sse({"promptFeedback": {"blockReason": "SAFETY"}}),
        b"data: what is this\n\n",
    ],
}
FAILING: list[tuple[str, bytes, int, str]] = [
    ("openai-chat", sse({"error": {"message": "boom", "type": "server_error", "code": 503}}), 503, "boom"),
    ("openai-chat", sse({"error": "boom"}), 502, "boom"),
    ("openai-chat", b'{"error":{"message":"boom","code":"rate_limit_exceeded"}}\n\n', 429, "boom"),
    ("openai-chat", sse({"choices": [], "error": {"type": "invalid_request_error", "message": "boom"}}), 400, "boom"),
    ("anthropic-messages", sse({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}), 529, "no"),
    ("anthropic-messages", sse({"type": "error", "error": {"type": "api_error"}}, named=True), 502, "no reason"),
    ("openai-responses", sse({"type": "error", "code": "slow_down", "message": "boom"}, named=True), 503, "boom"),
    ("openai-responses", sse({"type": "error", "error": {"code": "invalid_prompt", "message": "boom"}}), 400, "boom"),
    (
        "openai-responses",
        sse({"type": "response.failed", "response": {"error": {"code": "context_length_exceeded", "message": "boom"}}}),
        400,
        "boom",
    ),
    ("openai-responses", sse({"type": "response.failed", "response": {"error": None}}, named=True), 502, "no reason"),
    ("openai-responses", sse({"type": "error", "message": "The model is at capacity."}), 429, "capacity"),
    ("gemini", sse({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "boom"}}), 429, "boom"),
    ("gemini", b"event: error\n" + sse({"error": {"code": 500, "status": "INTERNAL", "message": "boom"}}), 500, "boom"),
]  # fmt: skip
FORMATS = sorted(SILENT)


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_says_nothing_is_held_and_a_vendor_that_ends_there_has_failed(fmt: str) -> None:
    for silent in [*SILENT[fmt], b"".join(SILENT[fmt])]:
        opening = Opening(fmt)
        assert opening.feed(silent) == "hold", silent
        ended = opening.end()
        assert isinstance(ended, Refusal) and ended.status == 502


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_first_output_lets_all_of_it_go(fmt: str) -> None:
    for speaking in SPEAKING[fmt]:
        assert Opening(fmt).feed(b"".join(SILENT[fmt]) + speaking) == "go", speaking


@pytest.mark.parametrize(("fmt", "event", "status", "words"), FAILING)
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "without its blank line"])
def test_an_error_before_any_output_is_a_refusal_of_its_status(
    fmt: str, event: bytes, status: int, words: str, cut: bool
) -> None:
    opening = Opening(fmt)
    assert opening.feed(b"".join(SILENT[fmt])) == "hold"
    verdict = opening.feed(event.removesuffix(b"\n\n") if cut else event)
    told = opening.end() if cut else verdict
    assert isinstance(told, Refusal)
    assert (told.status, told.kind) == (status, "upstream") and words in told.message


def test_codex_says_how_long_to_wait() -> None:
    error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 75}
    told = Opening("openai-responses").feed(sse({"type": "response.failed", "response": {"error": error}}))
    assert isinstance(told, Refusal)
    assert (told.status, told.retry_after) == (429, 75.0)


@given(st.sampled_from(FORMATS), st.integers(1, 40), st.sampled_from(["speaking", "failing"]), st.data())
def test_any_chunking_comes_to_the_same_verdict(fmt: str, size: int, what: str, data: st.DataObject) -> None:
    last = SPEAKING[fmt] if what == "speaking" else [event for name, event, *_ in FAILING if name == fmt]
    stream = b"".join(SILENT[fmt]) + data.draw(st.sampled_from(last))
    opening, verdict = Opening(fmt), None
    for at in range(0, len(stream), size):
        verdict = opening.feed(stream[at : at + size])
        if verdict != "hold":
            break
    assert verdict == "go" if what == "speaking" else isinstance(verdict, Refusal)


def test_what_is_endless_is_passed_on() -> None:
    opening = Opening("openai-responses")
    assert opening.feed(b'data: {"type":"response.created","instructions":"') == "hold"
    assert opening.feed(b"x" * (LIMIT - 100)) == "hold"
    assert opening.feed(b"x" * 100) == "go"


@given(st.sampled_from(FORMATS), st.binary(max_size=200))
def test_no_bytes_raise(fmt: str, noise: bytes) -> None:
    for data in (noise, b"data: " + noise + b"\n\n", b'data: {"error":' + noise + b"}\n\n"):
        opening = Opening(fmt)
        opening.feed(data)
        assert opening.end() != "hold"
