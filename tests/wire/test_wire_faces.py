"""Each format from outside: errors whole and in a stream, tokens, model lists; and recorded answers of real vendors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai.types
import openai.types.chat
import pytest

from vaultd.wire.formats import FORMATS, FormatName
from vaultd.wire.listing import Listed
from vaultd.wire.openai_responses.fold import Fold
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import data_of, frames_of
from vaultd.wire.usage import Usage

RECORDED: dict[FormatName, str] = {
    "openai-chat": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic-messages": "anthropic",
    "gemini": "gemini",
}


def decoded(fmt: FormatName, refusal: Refusal) -> Any:
    return json.loads(FORMATS[fmt].error_body(refusal))


@pytest.mark.parametrize("fmt", ["openai-chat", "openai-responses"])
def test_openai_errors_name_type_and_code(fmt: FormatName) -> None:
    told = decoded(fmt, Refusal(404, "no-such-model", "no such model: 'x'"))["error"]
    assert told == {
        "message": "no such model: 'x'",
        "type": "invalid_request_error",
        "code": "model_not_found",
        "param": None,
    }
    assert decoded(fmt, Refusal(429, "cooling", "until noon"))["error"]["type"] == "rate_limit_error"
    assert decoded(fmt, Refusal(501, "not-implemented", "…"))["error"]["code"] == "not_implemented"
    assert decoded(fmt, Refusal(400, "bad-request", "…"))["error"]["code"] is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (502, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropic_errors_by_status(status: int, kind: str) -> None:
    told = decoded("anthropic-messages", Refusal(status, "upstream", "why"))
    assert told == {"type": "error", "error": {"type": kind, "message": "why"}}


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (429, "RESOURCE_EXHAUSTED"), (502, "INTERNAL")],
)
def test_gemini_errors_by_status(status: int, word: str) -> None:
    assert decoded("gemini", Refusal(status, "upstream", "why"))["error"] == {
        "code": status,
        "message": "why",
        "status": word,
    }


def test_an_error_in_a_stream_is_one_whole_frame_in_its_grammar() -> None:
    refusal = Refusal(502, "upstream", "cut off")
    for fmt, face in FORMATS.items():
        event = face.error_event(refusal, b'data: {"sequence_number": 41}\n\n')
        assert len(list(frames_of(event))) == 1 and event.endswith(b"\n\n"), fmt
        assert b"[DONE]" not in event
        assert any(end in event for end in face.ENDINGS), fmt
    numbered = json.loads(data_of(FORMATS["openai-responses"].error_event(refusal, b'{"sequence_number": 41}')))
    assert numbered["type"] == "error" and numbered["sequence_number"] == 42


def test_tokens_count_the_same_way_in_every_format() -> None:
    chat = b'{"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}}'
    assert FORMATS["openai-chat"].usage(chat) == Usage(9, 5, cached=4)
    responses = b'{"type":"response.completed","response":{"usage":{"input_tokens":9,"output_tokens":5}}}'
    assert FORMATS["openai-responses"].usage(responses) == Usage(9, 5)
    start = (
        b'{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":6,"output_tokens":1}}}'
    )
    delta = b'{"type":"message_delta","usage":{"output_tokens":5}}'
    assert FORMATS["anthropic-messages"].usage(delta, start) == Usage(9, 5, cached=6)
    gemini = b'{"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"thoughtsTokenCount":2}}'
    assert FORMATS["gemini"].usage(gemini) == Usage(9, 5, reasoning=2)
    assert FORMATS["gemini"].usage(b'{"response":' + gemini + b"}") == Usage(9, 5, reasoning=2)
    for face in FORMATS.values():
        assert face.usage(b'{"id":1}') is None


LISTED = [Listed("b", "vendor", 1_700_000_000, "Bee", 1000, 100), Listed("a", "vendor")]


def test_model_lists_validate_by_the_official_types() -> None:
    listed = FORMATS["openai-chat"].model_list(LISTED)
    assert [openai.types.Model.model_validate(model, strict=True).id for model in listed["data"]] == ["b", "a"]
    messages = FORMATS["anthropic-messages"].model_list(LISTED)
    assert [anthropic.types.ModelInfo.model_validate(model).id for model in messages["data"]] == ["b", "a"]
    assert (messages["first_id"], messages["last_id"], messages["has_more"]) == ("b", "a", False)
    assert FORMATS["anthropic-messages"].model_list([])["first_id"] is None
    gemini = FORMATS["gemini"].model_list(LISTED)["models"]
    assert gemini[0]["name"] == "models/b" and gemini[0]["inputTokenLimit"] == 1000
    assert "inputTokenLimit" not in gemini[1]


# --- recorded answers -------------------------------------------------------------------------------------------------


def recordings(shared: Path, fmt: FormatName) -> list[dict[str, Any]]:
    folder = shared / "fixtures" / RECORDED[fmt]
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


@pytest.mark.parametrize("fmt", list(FORMATS))
def test_every_recorded_stream_that_is_whole_ends_by_its_grammar(shared: Path, fmt: FormatName) -> None:
    """A stream that a vendor ended well must never be taken for a cut one."""
    face, streams = FORMATS[fmt], 0
    for recording in recordings(shared, fmt):
        answer = recording["response"]
        if "sse" not in answer:
            continue
        streams += 1
        whole = (answer["sse_separator"].join(answer["sse"]) + answer["sse_tail"]).encode()
        tail = b"".join(list(frames_of(whole))[-3:])
        assert any(end in tail for end in face.ENDINGS), recording["id"]
    assert streams > 20


@pytest.mark.parametrize("fmt", list(FORMATS))
def test_the_tokens_of_every_recorded_answer_can_be_read(shared: Path, fmt: FormatName) -> None:
    face, stated = FORMATS[fmt], 0
    for recording in recordings(shared, fmt):
        body = recording["response"].get("body")
        if isinstance(body, dict) and face.USAGE_MARK.strip(b'"{:') in json.dumps(body).encode():
            stated += face.usage(json.dumps(body).encode()) is not None
    assert stated > 20


def test_every_recorded_responses_stream_folds_into_its_last_event(shared: Path) -> None:
    folded = 0
    for recording in recordings(shared, "openai-responses"):
        answer = recording["response"]
        if "sse" not in answer:
            continue
        whole = (answer["sse_separator"].join(answer["sse"]) + answer["sse_tail"]).encode()
        try:
            told = Fold().feed(whole)
        except Refusal as refusal:
            assert refusal.status >= 400
            continue
        if told is not None:
            folded += 1
            assert json.loads(told)["object"] == "response", recording["id"]
    assert folded > 20


def test_a_fold_fills_an_empty_output_from_its_items() -> None:
    fold = Fold()
    item = b'data: {"type":"response.output_item.done","item":{"type":"message","id":"msg_1"}}\n\n'
    assert fold.feed(item) is None
    told = fold.feed(b'data: {"type":"response.completed","response":{"id":"r","output":[]}}\n\n')
    assert json.loads(told or b"") == {"id": "r", "output": [{"type": "message", "id": "msg_1"}]}


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}, 429),
        ({"type": "error", "code": "context_length_exceeded", "message": "slow"}, 400),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "slow"}}, 400),
        ({"type": "error", "message": "slow"}, 502),
    ],
)
def test_a_failure_in_a_folded_stream_has_a_status(event: dict[str, Any], status: int) -> None:
    with pytest.raises(Refusal, match="slow") as refused:
        Fold().feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    assert refused.value.status == status
