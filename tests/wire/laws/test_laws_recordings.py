"""Recorded answers of real vendors: each is read in any pieces, folds to its whole, and is told to every client."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from grammars import faults
from talk import FORMATS, MODEL, STAMP, differences, grammar, heard, legal, streamed

from vaultd.wire import custom
from vaultd.wire.folding import fold
from vaultd.wire.ir import Answer, Call, Fail, Request, Text, Thinking
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal

FOLDERS = {
    "openai-chat": "openai-chat",
    "openai-responses": "openai-responses",
    "anthropic-messages": "anthropic",
    "gemini": "gemini",
}
#: What is no answer to a question.
OTHER = {"count-tokens", "background", "get-response", "compact-endpoint"}
#: What is no answer in full, or no SSE stream: read, but its end is not asked about.
UNENDED = {"error", "error-mid-stream", "no-terminal-event", "no-finish-reason", "raw-json-in-sse", "json-array-stream"}


@cache
def recordings(shared: Path, fmt: str) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in sorted((shared / "fixtures" / FOLDERS[fmt]).glob("*.json"))]
    return [each for each in found if each["response"]["status"] == 200 and not OTHER & set(each["features"])]


def stream_of(recording: dict[str, Any]) -> bytes:
    response = recording["response"]
    text: str = response.get("sse_separator", "\n\n").join(response["sse"]) + response.get("sse_tail", "")
    return text.encode()


def streams(shared: Path, fmt: str) -> list[tuple[str, set[str], bytes]]:
    found = [
        (each["id"], set(each["features"]), stream_of(each))
        for each in recordings(shared, fmt)
        if "sse" in each["response"]
    ]
    assert len(found) > 20
    return found


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_recorded_stream_in_any_pieces_gives_equal_events(shared: Path, fmt: str) -> None:
    for name, _, stream in streams(shared, fmt):
        whole = heard(fmt, [stream])
        for size in (7, 1009):
            assert (
                differences(heard(fmt, [stream[at : at + size] for at in range(0, len(stream), size)]), whole) == []
            ), name
        if len(stream) < 50_000:
            assert differences(heard(fmt, [stream[at : at + 1] for at in range(len(stream))]), whole) == [], name


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_recorded_stream_is_read_to_its_end(shared: Path, fmt: str) -> None:
    for name, features, stream in streams(shared, fmt):
        events = heard(fmt, [stream])
        if features & UNENDED:
            continue
        assert not isinstance(events[-1], Fail), f"{name}: {events[-1]}"
        legal(events)


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("vendor", FORMATS)
def test_a_recorded_stream_is_told_to_every_client(shared: Path, vendor: str, client: str) -> None:
    asking = Request(format=client, model=MODEL, stream=True)
    for name, _, stream in streams(shared, vendor):
        events = heard(vendor, [stream])
        shown, _ = streamed(client, events, asking)
        assert faults(client, shown) == [], name
        if not isinstance(events[-1], Fail):
            assert essence(fold(heard(client, [shown]))) == essence(fold(events)), name


@pytest.mark.parametrize("client", FORMATS)
@pytest.mark.parametrize("vendor", FORMATS)
def test_a_recorded_answer_is_told_to_every_client(shared: Path, vendor: str, client: str) -> None:
    asking = Request(format=client, model=MODEL)
    whole = [each for each in recordings(shared, vendor) if "body" in each["response"]]
    assert len(whole) > 20
    for each in whole:
        body = json.dumps(each["response"]["body"]).encode()
        try:
            answer = grammar(vendor).read_answer(body, Names())
        except Refusal as refusal:
            known = {"error", "response-failed", "json-array-stream"} & set(each["features"])
            assert known or "invalid-response" in each["id"], f"{each['id']}: {refusal}"
            continue
        told = grammar(client).write_answer(answer, asking, STAMP, Loss())
        assert essence(grammar(client).read_answer(told, Names())) == essence(answer), each["id"]


def essence(answer: Answer) -> tuple[object, ...]:
    """What `answer` says to any client: its words, calls, tokens, and why it ended."""
    parts = answer.parts
    texts = "".join(part.text for part in parts if isinstance(part, Text))
    thoughts = "".join("".join(part.text.split()) for part in parts if isinstance(part, Thinking))
    calls = [(part.name, canon(part)) for part in parts if isinstance(part, Call)]
    reason = {"stop-sequence": "stop", "pause": "stop", "malformed": "stop"}.get(answer.reason, answer.reason)
    usage = answer.usage or (0, 0)
    return texts, thoughts, calls, tuple(usage[:2]), reason


def canon(call: Call) -> object:
    """Arguments as what they mean; a custom tool's as a format without such tools says them."""
    text = custom.wrapped(call.arguments) if call.kind == "custom" else call.arguments
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def test_two_events_of_one_recording_are_told_apart() -> None:
    """The comparison above is not blind."""
    one = Answer(reason="stop")
    assert essence(one) != essence(Answer(reason="length"))
