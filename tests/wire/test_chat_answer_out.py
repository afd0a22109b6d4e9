"""What chat clients are told: whole answers and streams, held to the official types."""

from __future__ import annotations

import json
from typing import Any

import openai.types.chat
import pytest

from vaultd.wire import signature
from vaultd.wire.folding import fold, unfold
from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Citation,
    Close,
    Compaction,
    Delta,
    End,
    Event,
    Fail,
    Media,
    Opaque,
    Open,
    Request,
    Search,
    Stamp,
    Text,
    Thinking,
    Variant,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.grammar import read_answer, reader, write_answer, writer
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import data_of, frames_of
from vaultd.wire.usage import Usage

STAMP = Stamp(1_760_000_000, "0123456789abcdef")
SEALED = signature.carry("CANARYc2ln", "gemini")
IMAGE = Media(kind="image", mime="image/png", data="AAAA")


def asking(*, usage: bool = True) -> Request:
    return Request(format="openai-chat", model="alias", stream=True, usage_asked=usage)


def whole(answer: Answer) -> tuple[dict[str, Any], list[str]]:
    lost = Loss()
    body = json.loads(write_answer(answer, asking(), STAMP, lost))
    openai.types.chat.ChatCompletion.model_validate(body)
    return body, list(lost)


def streamed(events: list[Event], *, usage: bool = True) -> tuple[list[Any], list[str]]:
    """The chunks, `[DONE]` as it is."""
    lost = Loss()
    writing = writer(asking(usage=usage), STAMP, lost)
    stream = b"".join([writing.feed([event]) for event in events])
    data = [data_of(frame) for frame in frames_of(stream)]
    chunks = [piece.decode() if piece == b"[DONE]" else json.loads(piece) for piece in data]
    for chunk in chunks:
        if isinstance(chunk, dict) and "error" not in chunk:
            openai.types.chat.ChatCompletionChunk.model_validate(chunk)
    return chunks, list(lost)


def deltas(events: list[Event]) -> list[dict[str, Any]]:
    chunks, _ = streamed(events)
    return [choice["delta"] for chunk in chunks if chunk != "[DONE]" for choice in chunk["choices"] if choice["delta"]]


RICH = Answer(
    id="msg_1",
    model="up-model",
    created=1_700_000_000,
    parts=[
        Thinking("need data"),
        Text("It is cold.", citations=[Citation(url="https://host.example", title="A", quote="cold", start=6, end=10)]),
        Text("Sorry.", refusal=True),
        IMAGE,
        Call("a", "see", '{"x":1}', signature=SEALED),
    ],
    reason="tool",
    usage=Usage(50, 9, 32, 4, 8),
    others=[Variant([Text("Or not.")], "length")],
    tier="default",
)


def test_a_whole_answer() -> None:
    body, lost = whole(RICH)
    first, second = body.pop("choices")
    assert body == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "up-model",
        "usage": {
            "prompt_tokens": 50,
            "completion_tokens": 9,
            "total_tokens": 59,
            "prompt_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
        "service_tier": "default",
    }
    assert first["finish_reason"] == "tool_calls"
    assert first["message"] == {
        "role": "assistant",
        "content": "It is cold.",
        "refusal": "Sorry.",
        "reasoning_content": "need data",
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {
                    "url": "https://host.example",
                    "title": "A",
                    "start_index": 6,
                    "end_index": 10,
                    "content": "cold",
                },
            }
        ],
        "images": [{"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "see", "arguments": '{"x":1}'},
                "extra_content": {"google": {"thought_signature": SEALED}},
            }
        ],
    }
    assert (second["index"], second["message"]["content"], second["finish_reason"]) == (1, "Or not.", "length")
    assert lost == []


def test_both_ways_read_back_as_they_were() -> None:
    assert read_answer(json.dumps(whole(RICH)[0]).encode(), Names()) == RICH
    reading = reader(Names())
    stream = writer(asking(), STAMP, Loss()).feed(unfold(RICH))
    assert fold([*reading.feed(stream), *reading.end()]) == RICH


def test_what_the_vendor_did_not_say_is_made_up_once() -> None:
    body, _ = whole(Answer(parts=[Text("ok")]))
    assert (body["id"], body["created"], body["model"]) == ("chatcmpl-0123456789abcdef", 1_760_000_000, "alias")
    assert "usage" not in body
    chunks, _ = streamed(unfold(Answer(parts=[Text("ok")])))
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks[:-1]} == {
        ("chatcmpl-0123456789abcdef", 1_760_000_000, "alias")
    }


def test_an_empty_answer_is_a_message() -> None:
    body, _ = whole(Answer())
    assert body["choices"][0]["message"]["content"] is None
    chunks, _ = streamed([Begin(), End()])
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks[:-1]] == [None, "stop"]


def test_a_stream_by_its_deltas() -> None:
    events: list[Event] = [
        Begin("x", "up-model", 1),
        Open(0, Thinking("")),
        Delta(0, "hm"),
        Close(0),
        Open(1, Text("")),
        Delta(1, 'a"\n'),
        Close(1),
        Open(2, Call("a", "see")),
        Open(3, Call("b", "hear")),
        Delta(3, "{}"),
        Delta(2, '{"x":'),
        Delta(2, "1}"),
        Close(2),
        Close(3),
        End("tool"),
    ]
    assert deltas(events) == [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": 'a"\n'},
        {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "see", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "hear", "arguments": ""}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]},
    ]
    assert streamed(events)[0][-1] == "[DONE]"


def test_two_texts_at_once_are_told_one_after_the_other() -> None:
    events: list[Event] = [
        Begin(),
        Open(0, Text("")),
        Open(1, Thinking("")),
        Open(2, IMAGE),
        Open(3, Call("a", "see")),
        Delta(1, "hm"),
        Delta(0, "A"),
        Delta(3, "{}"),
        Close(2),
        Close(3),
        Delta(0, "B"),
        Close(0),
        Delta(1, "m"),
        Close(1),
        End("tool"),
    ]
    found = [next(iter(delta)) for delta in deltas(events)]
    assert found == [
        "role",
        "content",
        "content",
        "reasoning_content",
        "reasoning_content",
        "images",
        "tool_calls",
        "tool_calls",
    ]


def test_citations_of_a_later_text_count_from_the_start_of_the_content() -> None:
    cited = Text("two", citations=[Citation(url="https://host.example", start=1, end=2), Citation(url="u", title="t")])
    answer = Answer(parts=[Text("one "), cited])
    places = [(5, 6), (4, 7)]
    body, _ = whole(answer)
    notes = body["choices"][0]["message"]["annotations"]
    assert [(note["url_citation"]["start_index"], note["url_citation"]["end_index"]) for note in notes] == places
    notes = next(delta for delta in deltas(unfold(answer)) if "annotations" in delta)["annotations"]
    assert [(note["url_citation"]["start_index"], note["url_citation"]["end_index"]) for note in notes] == places


def test_a_call_without_arguments_has_none_in_json() -> None:
    answer = Answer(parts=[Call("a", "now")], reason="tool")
    body, _ = whole(answer)
    assert body["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert deltas(unfold(answer))[-1] == {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}


def test_a_custom_call_is_told_as_one() -> None:
    answer = Answer(parts=[Call("p", "patch", "*** Begin", "custom")], reason="tool")
    body, _ = whole(answer)
    assert body["choices"][0]["message"]["tool_calls"] == [
        {"id": "p", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
    ]
    assert deltas(unfold(answer))[1:] == [
        {"tool_calls": [{"index": 0, "id": "p", "custom": {"name": "patch", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "*** Begin"}}]},
    ]


def test_a_signature_that_comes_at_the_end_is_told_at_the_end() -> None:
    events: list[Event] = [
        Begin(),
        Open(0, Call("a", "see")),
        Delta(0, "{}"),
        Close(0, Call("a", "see", signature=SEALED)),
        End("tool"),
    ]
    assert deltas(events)[-1] == {
        "tool_calls": [{"index": 0, "extra_content": {"google": {"thought_signature": SEALED}}}]
    }


def test_usage_is_a_chunk_of_its_own_where_it_was_asked_for() -> None:
    events: list[Event] = [Begin(), End("stop", Usage(3, 1))]
    asked, _ = streamed(events)
    assert [(len(chunk["choices"]), "usage" in chunk) for chunk in asked[:-1]] == [(1, False), (1, False), (0, True)]
    unasked, _ = streamed(events, usage=False)
    assert [(len(chunk["choices"]), "usage" in chunk) for chunk in unasked[:-1]] == [(1, False), (1, True)]
    unknown, _ = streamed([Begin(), End("stop")])
    assert all(chunk["choices"] and "usage" not in chunk for chunk in unknown[:-1])


def test_every_choice_begins_and_ends_once() -> None:
    answer = Answer(parts=[Text("A")], others=[Variant([Text("B")], "length"), Variant([])])
    chunks, _ = streamed(unfold(answer))
    said = [(choice["index"], choice["finish_reason"]) for chunk in chunks[:-1] for choice in chunk["choices"]]
    assert [end for end in said if end[1]] == [(0, "stop"), (1, "length"), (2, "stop")]
    roles = [choice["index"] for chunk in chunks[:-1] for choice in chunk["choices"] if "role" in choice["delta"]]
    assert roles == [0, 1, 2]


@pytest.mark.parametrize("begun", [True, False])
def test_a_failure_is_the_last_that_is_heard(begun: bool) -> None:
    writing = writer(asking(), STAMP, Loss())
    writing.feed([Begin(), Open(0, Text("")), Delta(0, "par")] if begun else [])
    data = data_of(writing.feed([Fail(Refusal(503, "upstream", "overloaded"))]))
    assert json.loads(data)["error"]["message"] == "overloaded"
    assert writing.feed([Delta(0, "ghost"), End()] if begun else [End()]) == b""


def test_what_has_no_place_is_said_in_both_ways_alike() -> None:
    answer = Answer(
        parts=[
            Thinking("", "gAAAACANARY", redacted=True),
            Text("x", signature=SEALED, citations=[Citation(quote="in a document")]),
            Media(kind="audio", mime="audio/wav", data="AAAA"),
            Search("s"),
            Opaque("anthropic-messages", "mcp_tool_use"),
            Compaction("sealed"),
        ],
        reason="stop-sequence",
        stop="END",
    )
    expected = {
        "thinking.signature",
        "text.signature",
        "citations",
        "audio",
        "web_search",
        "mcp_tool_use",
        "compaction",
        "stop_sequence",
    }
    assert set(whole(answer)[1]) == expected
    assert set(streamed(unfold(answer))[1]) == expected
