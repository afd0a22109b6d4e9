"""An Anthropic vendor's answer, streamed and whole: by the book, and as vendors of its format were seen to depart from
it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.anthropic_messages.grammar import read_answer, reader
from vaultd.wire.folding import fold
from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Citation,
    Close,
    Delta,
    End,
    Event,
    Fail,
    Opaque,
    Open,
    Request,
    Search,
    Text,
    Thinking,
    Tool,
)
from vaultd.wire.names import Names, plain
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1",
        "model": "claude",
        "content": [],
        "usage": {"input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 1},
    },
}
STOP = {"type": "message_stop"}


def ended(reason: str = "end_turn", **usage: Any) -> dict[str, Any]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 12} | usage}


def block(index: int, opened: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": opened},
        *[{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas],
        {"type": "content_block_stop", "index": index},
    ]


def said(text: str) -> list[dict[str, Any]]:
    return block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": text})


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(b"event: %b\ndata: %b\n\n" % (str(e.get("type")).encode(), json.dumps(e).encode()) for e in events)


def heard(*events: dict[str, Any], names: Names | None = None) -> list[Event]:
    reading = reader(names or Names())
    return reading.feed(stream(*events)) + reading.end()


def told(*events: dict[str, Any]) -> Answer:
    return fold(heard(START, *events, ended(), STOP))


def test_a_stream_by_the_book() -> None:
    thinking = {"type": "thinking_delta", "thinking": "plan"}
    sealed = {"type": "signature_delta", "signature": "ErUBCkYIBRgCIkD"}
    used = [{"type": "input_json_delta", "partial_json": text} for text in ("", '{"at":', '"sky"}')]
    events = heard(
        START,
        {"type": "ping"},
        *block(0, {"type": "thinking", "thinking": "", "signature": ""}, thinking, sealed),
        *block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Looking."}),
        *block(2, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}, *used),
        ended("tool_use"),
        STOP,
    )
    assert events == [
        Begin("msg_1", "claude", 0, Usage(125, 1, 100)),
        Open(0, Thinking("")),
        Delta(0, "plan"),
        Close(0, Thinking("", "ErUBCkYIBRgCIkD")),
        Open(1, Text("")),
        Delta(1, "Looking."),
        Close(1),
        Open(2, Call("toolu_1", "look")),
        Delta(2, '{"at":'),
        Delta(2, '"sky"}'),
        Close(2),
        End("tool", Usage(125, 12, 100)),
    ]


def test_nothing_is_told_after_the_end() -> None:
    reading = reader(Names())
    assert isinstance(reading.feed(stream(START, *said("hi"), ended(), STOP, *said("more")))[-1], End)
    assert reading.feed(stream(*said("more"))) == []
    assert reading.end() == []


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_pieces_of_any_size_tell_the_same(size: int) -> None:
    whole = stream(START, *said("Grüße, 漢字 🙂"), ended(), STOP)
    for bytes_ in (whole, whole.replace(b"\n", b"\r\n")):
        reading = reader(Names())
        events = [event for at in range(0, len(bytes_), size) for event in reading.feed(bytes_[at : at + size])]
        assert events + reading.end() == heard(START, *said("Grüße, 漢字 🙂"), ended(), STOP)


def test_text_thinking_and_input_may_stand_in_the_start_of_a_block() -> None:
    answer = told(
        *block(0, {"type": "thinking", "thinking": "plan", "signature": "ErUBCkYIBRgCIkD"}),
        *block(1, {"type": "text", "text": "Looking."}),
        *block(2, {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}}),
        *block(3, {"type": "tool_use", "id": "toolu_2", "name": "wait", "input": {}}),
    )
    assert answer.parts == [
        Thinking("plan", "ErUBCkYIBRgCIkD"),
        Text("Looking."),
        Call("toolu_1", "look", '{"at":"sky"}'),
        Call("toolu_2", "wait", "{}"),
    ]


def test_empty_blocks_are_not_told_but_sealed_ones_are() -> None:
    answer = told(
        *block(0, {"type": "text", "text": ""}),
        *block(1, {"type": "thinking", "thinking": "", "signature": ""}),
        *block(2, {"type": "thinking", "thinking": ""}, {"type": "signature_delta", "signature": "ErUBCkYIBRgCIkD"}),
        *block(3, {"type": "redacted_thinking", "data": "ErUBCkYIBRgCIkD"}),
    )
    assert answer.parts == [Thinking("", "ErUBCkYIBRgCIkD"), Thinking("", "ErUBCkYIBRgCIkD", redacted=True)]


def test_a_search_is_one_part_with_its_query_and_pages() -> None:
    page = {"type": "web_search_result", "url": "https://host.example", "title": "Oslo", "encrypted_content": "x"}
    cited = {"type": "web_search_result_location", "url": "https://host.example", "title": "Oslo", "cited_text": "4 C"}
    answer = told(
        *block(
            0,
            {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"query":"oslo"}'},
        ),
        *block(1, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]}),
        *block(
            2,
            {"type": "text", "text": "", "citations": []},
            {"type": "citations_delta", "citation": cited},
            {"type": "text_delta", "text": "4 C"},
        ),
        *block(3, {"type": "server_tool_use", "id": "srvtoolu_2", "name": "web_search", "input": {"query": "rome"}}),
    )
    assert answer.parts == [
        Search(
            "srvtoolu_1",
            "oslo",
            [Citation(url="https://host.example", title="Oslo")],
            {"anthropic-messages": [page]},
        ),
        Text("4 C", citations=[Citation(url="https://host.example", title="Oslo", quote="4 C")]),
        Search("srvtoolu_2", "rome"),
    ]


def test_blocks_of_the_vendors_own_come_whole() -> None:
    answer = told(
        *block(
            0,
            {"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"code":"1"}'},
        ),
        *block(1, {"type": "compaction", "content": None}, {"type": "compaction_delta", "content": "It was long."}),
    )
    assert [part.value for part in answer.parts if isinstance(part, Opaque)] == [
        {"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {"code": "1"}},
        {"type": "compaction", "content": "It was long."},
    ]


def test_where_the_vendors_tools_and_the_clients_take_turns_the_answer_goes_on() -> None:
    run = {"type": "server_tool_use", "id": "s", "name": "tool_search", "input": {}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    events = heard(START, *block(0, run), *block(1, call), ended("tool_use"), STOP, START, *said("So."), ended(), STOP)
    assert sum(isinstance(event, Begin) for event in events) == 1
    answer = fold(events)
    assert [type(part) for part in answer.parts] == [Opaque, Call, Text]
    assert answer.reason == "tool"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop-sequence"),
        ("tool_use", "stop"),
        ("pause_turn", "pause"),
        ("refusal", "filter"),
        ("sensitive", "filter"),
        ("of_tomorrow", "other"),
    ],
)
def test_why_it_stopped(word: str, reason: str) -> None:
    assert fold(heard(START, *said("hi"), ended(word), STOP)).reason == reason


def test_the_sequence_that_stopped_it() -> None:
    last = {"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"}, "usage": {}}
    assert fold(heard(START, *said("hi"), last, STOP)).stop == "END"


def test_usage_at_the_end_goes_before_that_at_the_start() -> None:
    last = ended(input_tokens=30, cache_creation_input_tokens=5, output_tokens_details={"thinking_tokens": 7})
    assert fold(heard(START, *said("hi"), last, STOP)).usage == Usage(135, 12, 100, 7, 5)
    assert fold(heard(START, *said("hi"), ended(input_tokens=0), STOP)).usage == Usage(125, 12, 100)
    assert fold(heard(*said("hi"), STOP)).usage is None


def test_an_error_in_the_stream_has_its_own_status() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    events = heard(START, *said("hi"), error, STOP)
    assert isinstance(events[-1], Fail)
    assert (events[-1].refusal.status, events[-1].refusal.message) == (529, "Overloaded")


@pytest.mark.parametrize("events", [[], [START], [START, *said("hi")], [START, *said("hi")[:2]]])
def test_a_stream_that_breaks_off_fails(events: list[dict[str, Any]]) -> None:
    last = heard(*events)[-1]
    assert isinstance(last, Fail)
    assert last.refusal.status == 502


def test_one_that_said_why_it_stopped_needs_no_more() -> None:
    assert isinstance(heard(START, *said("hi"), ended())[-1], End)


def test_an_event_that_is_no_json_fails_and_done_is_let_be() -> None:
    reading = reader(Names())
    reading.feed(stream(START, *said("hi")))
    assert reading.feed(b"data: [DONE]\n\n") == []
    assert isinstance(reading.feed(b"data: {half\n\n")[0], Fail)
    assert reading.feed(stream(ended(), STOP)) == []


def test_names_of_tools_come_back_as_the_client_has_them() -> None:
    request = Request(format="openai-chat", model="m", tools=[Tool(name="ns.look"), Tool(name="Bash")])
    names = Names.of(request, plain, customs=False)
    answer = fold(
        heard(
            START,
            *block(0, {"type": "tool_use", "id": "a", "name": "ns_look", "input": {}}),
            *block(1, {"type": "tool_use", "id": "b", "name": "bash", "input": {}}),
            *block(2, {"type": "tool_use", "input": {}}),
            STOP,
            names=names,
        )
    )
    calls = [part for part in answer.parts if isinstance(part, Call)]
    assert [call.name for call in calls] == ["ns.look", "Bash", "tool_2"]
    assert len({call.id for call in calls}) == 3


def test_an_envelope_is_taken_off() -> None:
    reading = reader(Names(), unwrap=lambda data: json.dumps(json.loads(data)["inner"]).encode())
    wrapped = stream(*[{"inner": event} for event in (START, *said("hi"), ended(), STOP)])
    assert fold(reading.feed(wrapped)).parts == [Text("hi")]


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "plan", "signature": "ErUBCkYIBRgCIkD"},
        {"type": "text", "text": "Looking.", "citations": [{"url": "https://host.example"}]},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 3, "output_tokens": 4, "service_tier": "standard"},
}


def test_a_whole_answer_is_what_its_stream_folds_to() -> None:
    answer = read_answer(json.dumps(MESSAGE).encode(), Names())
    events = [event for at, part in enumerate(MESSAGE["content"]) for event in block(at, part)]
    start = {"type": "message_start", "message": MESSAGE | {"content": []}}
    assert fold(heard(start, *events, ended("tool_use", output_tokens=4), STOP)) == answer
    assert answer.tier == "default"


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{}", b'{"content":"hi"}', b"[" * 100_000])
def test_what_is_no_message_is_a_502(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_answer(body, Names())
    assert refused.value.status == 502


def test_a_whole_error_is_the_vendors_own() -> None:
    with pytest.raises(Refusal, match="Overloaded") as refused:
        read_answer(b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', Names())
    assert refused.value.status == 529


JUNK = st.sampled_from([None, True, 0, -1, 2.5, "", "text", [], [None], [[]], {}, {"type": "text"}, {"type": []}])
EVENTS: list[dict[str, Any]] = [START, *[e for at, part in enumerate(MESSAGE["content"]) for e in block(at, part)]]
EVENTS += [*said("hi"), ended(input_tokens=3)]


@given(st.data())
def test_any_type_anywhere_ends_in_an_end_or_a_failure(data: st.DataObject) -> None:
    events = json.loads(json.dumps([*EVENTS, {"type": "content_block_delta", "index": 0, "delta": {"citation": {}}}]))
    for _ in range(3):
        at: Any = events
        while isinstance(at, dict | list) and at:
            key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
            if data.draw(st.integers(0, 3)) == 0 and at is not events:
                at[key] = data.draw(JUNK)
                break
            at = at[key]
    found = heard(*events, STOP)
    assert isinstance(found[-1], End | Fail)
    try:
        read_answer(json.dumps(events[0].get("message")).encode(), Names())
    except Refusal as refusal:
        assert refusal.status >= 400
