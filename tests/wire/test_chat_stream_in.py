"""Chat vendors' streams, with everything that real ones do to the grammar."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vaultd.wire import signature
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
    Media,
    Opaque,
    Open,
    Text,
    Thinking,
)
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.grammar import read_answer, reader
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

DONE = b"data: [DONE]\n\n"
HEAD = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": "up-model"}
STOP: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
TOOL: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}


def frame(chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def delta(_index: int = 0, **said: Any) -> dict[str, Any]:
    return {**HEAD, "choices": [{"index": _index, "delta": said, "finish_reason": None}]}


def call(index: int | None = 0, ident: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    said: dict[str, Any] = {} if index is None else {"index": index}
    if ident is not None:
        said |= {"id": ident, "type": "function"}
    function = {"name": name, "arguments": arguments}
    return {**said, "function": {key: value for key, value in function.items() if value is not None}}


def calls(*fragments: Any) -> dict[str, Any]:
    return delta(tool_calls=list(fragments))


def read(*chunks: Any, done: bytes = DONE, names: Names | None = None) -> list[Event]:
    reading = reader(names or Names())
    events = [event for chunk in chunks for event in reading.feed(frame(chunk))]
    return [*events, *reading.feed(done), *reading.end()]


def answer(*chunks: Any, done: bytes = DONE) -> Answer:
    return fold(read(*chunks, done=done))


def made(*chunks: Any) -> list[Call]:
    return [part for part in answer(*chunks).parts if isinstance(part, Call)]


def test_a_text_as_it_comes() -> None:
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 32, "cache_write_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
    assert read(
        delta(role="assistant", content=""),
        delta(content="Cold"),
        delta(content=" \n"),
        STOP,
        {**HEAD, "choices": [], "usage": usage, "service_tier": "default"},
    ) == [
        Begin("chatcmpl-7", "up-model", 1_760_000_000),
        Open(0, Text("")),
        Delta(0, "Cold"),
        Delta(0, " \n"),
        Close(0),
        End("stop", Usage(50, 3, 32, 1, 8), tier="default"),
    ]


def test_a_role_is_not_needed_and_done_may_be_forgotten() -> None:
    found = answer(delta(content="ok"), STOP, done=b"")
    assert (found.parts, found.reason, found.usage) == ([Text("ok")], "stop", None)


def test_done_alone_is_an_end_too() -> None:
    assert answer(delta(content="partial")).parts == [Text("partial")]


def test_without_an_end_it_was_cut_off() -> None:
    *_, last = read(delta(content="partial"), done=b"")
    assert isinstance(last, Fail)
    assert (last.refusal.status, last.refusal.kind) == (502, "upstream")


def test_nothing_comes_after_the_end() -> None:
    events = read(delta(content="ok"), STOP, done=DONE + frame(delta(content="ghost")) + DONE)
    assert sum(isinstance(event, End) for event in events) == 1
    assert fold(events).parts == [Text("ok")]


def test_empty_chunks_and_nulls_say_nothing() -> None:
    null: dict[str, Any] = {"role": None, "content": None, "tool_calls": None, "refusal": None, "reasoning": None}
    events = read({}, delta(**null), {**delta(content="ok"), "usage": None}, {}, {**STOP, "usage": None})
    assert [type(event) for event in events] == [Begin, Open, Delta, Close, End]


def test_azure_begins_without_an_id() -> None:
    first, *_ = read({"id": "", "model": "", "choices": [], "prompt_filter_results": []}, delta(content="ok"), STOP)
    assert first == Begin("chatcmpl-7", "up-model", 1_760_000_000)
    first, *_ = read({**HEAD, "choices": []}, {"id": "", "choices": [{"index": 0, "delta": {"content": "ok"}}]}, STOP)
    assert first == Begin("chatcmpl-7", "up-model", 1_760_000_000)


@pytest.mark.parametrize("said", [{"reasoning_content": "hm "}, {"reasoning": "hm "}, {"reasoning": [{"text": "hm "}]}])
def test_reasoning_has_three_shapes(said: dict[str, Any]) -> None:
    assert answer(delta(**said), delta(content="4 C"), STOP).parts == [Thinking("hm "), Text("4 C")]


def test_mistral_thinks_within_its_content_and_a_whole_answer_says_the_same() -> None:
    def thinking(text: str) -> dict[str, Any]:
        return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}

    value = thinking("The answer")
    streamed = answer(
        delta(content=[thinking("The")]),
        delta(content=[thinking(" answer"), {"type": "text", "text": "1"}]),
        delta(content="44"),
        STOP,
    )
    assert streamed.parts == [Opaque("openai-chat", "thinking", value), Text("144")]
    message = {"role": "assistant", "content": [value, {"type": "text", "text": "144"}]}
    body = {**HEAD, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    assert read_answer(json.dumps(body).encode(), Names()) == streamed


def test_a_refusal_is_told_apart() -> None:
    found = answer(delta(content=None, refusal=""), delta(refusal="I'm"), delta(refusal=" sorry"), STOP)
    assert found.parts == [Text("I'm sorry", refusal=True)]


def test_images_and_annotations() -> None:
    note = {"url": "https://host.example", "title": "A", "start_index": 3, "end_index": 5}
    found = answer(
        delta(content="Is "),
        delta(content="it", annotations=[{"type": "url_citation", "url_citation": note}, {"type": "file"}]),
        delta(images=[{"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]),
        STOP,
    )
    cited = Citation(url="https://host.example", title="A", start=3, end=5)
    assert found.parts == [Text("Is it", citations=[cited]), Media(kind="image", mime="image/png", data="AAAA")]


def test_annotations_count_from_the_start_of_the_content() -> None:
    def note(start: int, end: int) -> dict[str, Any]:
        return {"type": "url_citation", "url_citation": {"url": "u", "start_index": start, "end_index": end}}

    found = answer(
        delta(content="Let me"),
        calls(call(0, "a", "see", "{}")),
        delta(content="So.", annotations=[note(7, 9), note(2, 9)]),
        TOOL,
    )
    assert found.parts[2] == Text(
        "So.", citations=[Citation(url="u", start=1, end=3), Citation(url="u", start=0, end=3)]
    )


def test_what_is_said_aloud_is_told_as_text() -> None:
    assert answer(delta(audio={"id": "a", "transcript": "Hello"}), delta(audio={"data": "AAAA"}), STOP).parts == [
        Text("Hello")
    ]


# Calls.


def test_fragments_of_two_calls_mix() -> None:
    found = made(
        calls(call(0, "a", "see", ""), call(1, "b", "see", "")),
        calls(call(1, arguments='{"x":'), call(0, arguments='{"y":')),
        calls(call(0, arguments="1}"), call(1, arguments="2}")),
        TOOL,
    )
    assert found == [Call("a", "see", '{"y":1}'), Call("b", "see", '{"x":2}')]


def test_the_name_comes_before_the_id() -> None:
    events = read(calls(call(0, name="see", arguments="")), calls(call(0, "late", arguments="{}")), TOOL)
    assert [event.part for event in events if isinstance(event, Open)] == [Call("late", "see")]


def test_a_call_without_an_id_gets_one_that_is_the_same_every_time() -> None:
    chunks = (calls(call(0, name="see", arguments="{}"), call(1, name="see", arguments="{}")), TOOL)
    first, second = made(*chunks)
    assert (first.id, second.id) == ("call_chatcmpl-7_0_0", "call_chatcmpl-7_0_1")
    assert made(*chunks) == [first, second]


def test_two_calls_of_one_id_are_told_apart() -> None:
    assert [one.id for one in made(calls(call(0, "a", "see", "{}")), calls(call(1, "a", "see", "{}")), TOOL)] == [
        "a",
        "a_2",
    ]


def test_a_name_that_is_repeated_is_still_one_name() -> None:
    assert made(calls(call(0, "a", "see", "{")), calls(call(0, "a", "see", "}")), TOOL) == [Call("a", "see", "{}")]


def test_all_calls_may_have_the_same_index() -> None:
    assert made(calls(call(0, "a", "see", "{}")), calls(call(0, "b", "hear", "{}")), TOOL) == [
        Call("a", "see", "{}"),
        Call("b", "hear", "{}"),
    ]


def test_there_may_be_no_index() -> None:
    found = made(
        calls(call(None, "a", "see", '{"x"')), calls(call(None, arguments=":1}")), calls(call(None, "b", "hear")), TOOL
    )
    assert found == [Call("a", "see", '{"x":1}'), Call("b", "hear")]


def test_a_call_without_a_name_is_numbered_and_an_empty_one_is_none() -> None:
    assert made(calls(call(0, "a", "", "{}")), TOOL) == [Call("a", "tool_0", "{}")]
    found = answer(calls(call(0, "", "", "")), TOOL)
    assert (found.parts, found.reason) == ([], "stop")


def test_arguments_may_be_an_object() -> None:
    assert made(calls(call(0, "a", "see", {"x": 1})), TOOL) == [Call("a", "see", '{"x":1}')]


def test_a_custom_call_and_the_legacy_one() -> None:
    custom = {"index": 0, "id": "p", "type": "custom", "custom": {"name": "patch", "input": "*** "}}
    more = {"index": 0, "custom": {"input": "Begin"}}
    assert made(calls(custom), calls(more), TOOL) == [Call("p", "patch", "*** Begin", "custom")]
    legacy = (delta(function_call={"name": "see", "arguments": ""}), delta(function_call={"arguments": "{}"}))
    found = answer(*legacy, {"choices": [{"index": 0, "delta": {}, "finish_reason": "function_call"}]})
    assert [(part.name, part.arguments) for part in found.parts if isinstance(part, Call)] == [("see", "{}")]
    assert found.reason == "tool"


def test_googles_signature_travels_with_its_call() -> None:
    signed = {**call(0, "a", "see", "{}"), "extra_content": {"google": {"thought_signature": "CANARYc2ln"}}}
    (found,) = made(calls(signed), TOOL)
    assert signature.own(found.signature, "gemini") == "CANARYc2ln"


def test_text_closes_before_a_call_and_may_come_again() -> None:
    found = answer(delta(content="Let me"), calls(call(0, "a", "see", "{}")), delta(content="So."), TOOL)
    assert found.parts == [Text("Let me"), Call("a", "see", "{}"), Text("So.")]


# The end.


@pytest.mark.parametrize(
    ("word", "called", "reason"),
    [
        ("stop", True, "tool"),
        (None, True, "tool"),
        ("tool_calls", False, "stop"),
        ("length", True, "length"),
        ("content_filter", True, "filter"),
        ("model_length", False, "length"),
        ("eos", False, "stop"),
    ],
)
def test_reasons(word: str | None, called: bool, reason: str) -> None:
    said = calls(call(0, "a", "see", "{}")) if called else delta(content="x")
    assert answer(said, {"choices": [{"index": 0, "delta": {}, "finish_reason": word}]}).reason == reason


def test_the_first_finish_reason_counts() -> None:
    cut = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    assert answer(delta(content="x"), cut, STOP).reason == "length"


def test_every_choice_has_its_own_end() -> None:
    found = answer(
        delta(0, content="A"),
        delta(1, content="B"),
        {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
        STOP,
    )
    assert (found.parts, found.reason) == ([Text("A")], "stop")
    assert [(other.parts, other.reason) for other in found.others] == [([Text("B")], "length")]


def test_an_index_beyond_all_choices_is_nobodys() -> None:
    assert answer(delta(0, content="A"), delta(10**12, content="B"), STOP).others == []


def test_usage_counts_no_part_twice() -> None:
    """xAI leaves the reasoning out of `completion_tokens`."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 90}}
    assert answer(delta(content="x"), {**STOP, "usage": usage}).usage == Usage(10, 5, 0, 5)


def test_the_last_usage_counts() -> None:
    first, second = ({"prompt_tokens": 1, "completion_tokens": count} for count in (1, 2))
    assert answer(delta(content="x"), {**STOP, "usage": first}, {"choices": [], "usage": second}).usage == Usage(1, 2)
    assert answer(delta(content="x"), {**STOP, "usage": first}, {"choices": [], "usage": {}}).usage == Usage(1, 1)


# Failures.


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "boom", "type": "server_error", "code": 503}, 503),
        ({"message": "boom", "type": "server_error"}, 502),
        ({"message": "boom", "type": "invalid_request_error"}, 400),
        ("boom", 502),
    ],
)
def test_an_error_in_the_stream_ends_it(error: Any, status: int) -> None:
    *_, last = read(delta(content="par"), {"error": error}, delta(content="ghost"))
    assert isinstance(last, Fail)
    assert (last.refusal.status, last.refusal.message) == (status, "boom")


def test_an_error_may_come_as_a_bare_line() -> None:
    reading = reader(Names())
    assert reading.feed(b'{"error":{"message":"boom"}}') == []
    (last,) = reading.end()
    assert isinstance(last, Fail) and last.refusal.message == "boom"


def test_an_error_as_a_finish_reason() -> None:
    *_, last = read(delta(content="par"), {"choices": [{"index": 0, "delta": {}, "finish_reason": "error"}]})
    assert isinstance(last, Fail)


def test_what_is_no_json_is_a_failure() -> None:
    *_, last = reader(Names()).feed(b"data: <html>\n\n")
    assert isinstance(last, Fail) and last.refusal.status == 502


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": {"0": 1}},
        {"choices": [1, None, []]},
        {"choices": [{"index": "0", "delta": [], "finish_reason": 7}]},
        {"choices": [{"index": 0, "delta": {"content": 7, "tool_calls": {}, "images": 1, "annotations": {}}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [1, {"function": 1, "index": {}}]}}]},
        {"choices": [{"index": 0, "delta": {"reasoning": {"a": 1}, "refusal": [], "audio": 3, "function_call": []}}]},
        {"choices": [], "usage": [], "id": 7, "created": "now", "model": None, "service_tier": 1},
        {"choices": [{"index": 0, "delta": {"content": [1, {"type": 2}, {"type": "thinking", "thinking": 7}]}}]},
        [],
        7,
    ],
)
def test_members_of_another_type_count_as_absent(odd: Any) -> None:
    found = answer(odd, delta(content="ok"), odd, STOP)
    assert [part for part in found.parts if isinstance(part, Text)] == [Text("ok")]


def test_what_stands_beside_nonsense_is_still_read() -> None:
    odd = {"choices": [1, {"index": 0, "delta": {"content": "ok"}}, {"index": 1, "delta": [], "finish_reason": "stop"}]}
    found = answer(odd, STOP)
    assert (found.parts, len(found.others)) == ([Text("ok")], 1)


# Bytes.


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_any_chunking_gives_equal_events(newline: bytes) -> None:
    chunks = [delta(content="größe 漢字"), calls(call(0, "a", "see", '{"x":1}')), TOOL]
    stream = b": hi\n\n" + b"".join(map(frame, chunks)) + b"event: x\ndata: {}\n\n" + DONE
    stream = stream.replace(b"\n", newline)
    whole = reader(Names()).feed(stream)
    assert fold(whole).parts == [Text("größe 漢字"), Call("a", "see", '{"x":1}')]
    for size in (1, 7, 64):
        reading = reader(Names())
        pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert [event for piece in pieces for event in reading.feed(piece)] + reading.end() == whole


def test_an_envelope_is_taken_off() -> None:
    reading = reader(Names(), unwrap=lambda data: json.dumps(json.loads(data)["response"]).encode())
    found = [*reading.feed(frame({"response": delta(content="ok")}) + frame({"response": STOP})), *reading.end()]
    assert fold(found).parts == [Text("ok")]


# Whole answers.


def test_a_whole_answer_is_what_its_stream_would_be() -> None:
    message = {
        "role": "assistant",
        "content": "Calling.",
        "reasoning_content": "need data",
        "refusal": None,
        "audio": {"transcript": ""},
        "function_call": {"name": "", "arguments": ""},
        "tool_calls": [
            {**call(0, "a", "see", "{}"), "custom": {"name": "", "input": ""}},
            call(0, "a", "see", "{}"),
        ],
    }
    choice = {"index": 0, "message": message, "delta": {"content": ""}, "finish_reason": "tool_calls"}
    found = read_answer(json.dumps({**HEAD, "choices": [choice]}).encode(), Names())
    assert found.parts == [
        Thinking("need data"),
        Text("Calling."),
        Call("a", "see", "{}"),
        Call("a_2", "see", "{}"),
    ]
    assert (found.id, found.model, found.created, found.reason) == ("chatcmpl-7", "up-model", 1_760_000_000, "tool")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"choices":[]}', b'{"choices":null}', b"[" * 9999])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_answer(body, Names())
    assert refused.value.status == 502


def test_an_error_with_status_200() -> None:
    with pytest.raises(Refusal) as refused:
        read_answer(b'{"error":{"message":"slow down","type":"rate_limit_error"}}', Names())
    assert (refused.value.status, refused.value.message) == (429, "slow down")
