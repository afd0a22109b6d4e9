"""What a client of `/v1/messages` is told: Anthropic's strict sequence, whatever order a vendor's blocks come in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.anthropic_messages.grammar import read_answer, reader, write_answer, writer
from vaultd.wire.folding import fold, unfold
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
    Part,
    Request,
    Search,
    Stamp,
    Text,
    Thinking,
    Variant,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

ASKED = Request(format="anthropic-messages", model="alias", stream=True)
STAMP = Stamp(1_763_000_000, "0123456789abcdef")


def shown(*events: Event) -> tuple[list[dict[str, Any]], list[str]]:
    lost = Loss()
    stream = writer(ASKED, STAMP, lost).feed(list(events))
    frames = [frame.split(b"\n") for frame in stream.split(b"\n\n") if frame]
    found = [json.loads(data.removeprefix(b"data: ")) for _, data in frames]
    assert [name.removeprefix(b"event: ").decode() for name, _ in frames] == [event["type"] for event in found]
    return found, list(lost)


def brief(events: list[dict[str, Any]]) -> list[str]:
    """Each event in a word: what opens, what is said, what closes."""
    words = []
    for event in events:
        delta = event.get("delta", {})
        said = [str(value) for name, value in delta.items() if name not in ("type", "stop_sequence")]
        opened = event.get("content_block", {}).get("type", "")
        words.append(" ".join([event["type"], str(event.get("index", "")), opened, *said]).strip())
    return words


def whole(answer: Answer) -> tuple[dict[str, Any], list[str]]:
    lost = Loss()
    return json.loads(write_answer(answer, ASKED, STAMP, lost)), list(lost)


def test_a_stream_by_the_book() -> None:
    events, lost = shown(
        Begin("chatcmpl-1", "gpt"),
        Open(0, Thinking("")),
        Delta(0, "plan"),
        Close(0, Thinking("", "sealed")),
        Open(1, Text("")),
        Delta(1, "Look"),
        Delta(1, "ing."),
        Close(1),
        Open(2, Call("functions.look:0", "look")),
        Delta(2, "{}"),
        Close(2),
        End("tool", Usage(125, 12, 100)),
    )
    assert brief(events) == [
        "message_start",
        "content_block_start 0 thinking",
        "content_block_delta 0  plan",
        "content_block_delta 0  sealed",
        "content_block_stop 0",
        "content_block_start 1 text",
        "content_block_delta 1  Look",
        "content_block_delta 1  ing.",
        "content_block_stop 1",
        "content_block_start 2 tool_use",
        "content_block_delta 2  {}",
        "content_block_stop 2",
        "message_delta   tool_use",
        "message_stop",
    ]
    message = events[0]["message"]
    assert (message["id"], message["model"], message["content"]) == ("msg_chatcmpl-1", "gpt", [])
    assert events[9]["content_block"] == {"type": "tool_use", "id": "functions_look_0", "name": "look", "input": {}}
    assert events[-2]["usage"] == {
        "input_tokens": 25,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 100,
        "output_tokens": 12,
    }
    assert lost == []


def test_blocks_that_come_side_by_side_are_told_one_after_another() -> None:
    events, _ = shown(
        Begin(),
        Open(0, Call("a", "look")),
        Open(1, Call("b", "look")),
        Delta(1, '{"at":'),
        Delta(0, '{"at":'),
        Open(2, Text("")),
        Close(1),
        Delta(2, "So"),
        Delta(0, "1}"),
        Close(0),
        Delta(2, "."),
        Close(2),
        End("tool"),
    )
    assert brief(events)[1:-2] == [
        "content_block_start 0 tool_use",
        'content_block_delta 0  {"at":',
        "content_block_delta 0  1}",
        "content_block_stop 0",
        "content_block_start 1 tool_use",
        'content_block_delta 1  {"at":',
        "content_block_stop 1",
        "content_block_start 2 text",
        "content_block_delta 2  So",
        "content_block_delta 2  .",
        "content_block_stop 2",
    ]


def test_an_empty_answer_is_an_empty_message() -> None:
    events, _ = shown(Begin(), Open(0, Text("")), Open(1, Thinking("")), Close(0), Close(1), End())
    assert brief(events) == ["message_start", "message_delta   end_turn", "message_stop"]
    assert events[0]["message"]["id"] == "msg_0123456789abcdef"
    assert events[0]["message"]["model"] == "alias"
    assert whole(Answer())[0]["content"] == []


def test_what_has_no_block_is_lost_and_named() -> None:
    image = Media(kind="image", mime="image/png", data="AA==")
    own = Opaque("gemini", "executable_code", {})
    events, lost = shown(Begin(), Open(0, image), Close(0), Open(1, own), Close(1), Open(2, Text(""), choice=1), End())
    assert brief(events)[1:-2] == []
    assert lost == ["image", "executable_code", "choices"]
    assert whole(Answer(parts=[image, own], others=[Variant([])]))[1] == lost


def test_a_search_is_told_as_a_call_and_its_result() -> None:
    search = Search("ws_1", "oslo", [Citation(url="https://host.example", title="Oslo")])
    page = {"type": "web_search_result", "url": "https://host.example", "title": "Oslo"}
    page |= {"encrypted_content": "", "page_age": None}
    events, _ = shown(Begin(), Open(0, search), Close(0), End())
    assert brief(events)[1:-2] == [
        "content_block_start 0 server_tool_use",
        'content_block_delta 0  {"query":"oslo"}',
        "content_block_stop 0",
        "content_block_start 1 web_search_tool_result",
        "content_block_stop 1",
    ]
    assert events[4]["content_block"] == {"type": "web_search_tool_result", "tool_use_id": "ws_1", "content": [page]}


def test_a_calls_own_seal_stands_before_it() -> None:
    call = Call("a", "look", signature="vaultdG0CiQB")
    events, _ = shown(Begin(), Open(0, call), Delta(0, "{}"), Close(0), End("tool"))
    assert brief(events)[1:-2] == [
        "content_block_start 0 thinking",
        "content_block_delta 0  vaultdG0CiQB",
        "content_block_stop 0",
        "content_block_start 1 tool_use",
        "content_block_delta 1  {}",
        "content_block_stop 1",
    ]
    sealed, used = whole(Answer(parts=[call]))[0]["content"]
    assert sealed == {"type": "thinking", "thinking": "", "signature": "vaultdG0CiQB"}
    assert used["type"] == "tool_use"


def test_citations_come_before_the_block_closes_and_those_without_a_page_are_lost() -> None:
    cited = [Citation(url="https://host.example", title="Oslo", quote="4 C"), Citation(title="a.pdf")]
    events, lost = shown(Begin(), Open(0, Text("")), Delta(0, "4 C"), Close(0, Text("", citations=cited)), End())
    kinds = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert kinds == ["text_delta", "citations_delta"]
    assert lost == ["citations"]


def test_a_failure_is_the_last_that_is_told() -> None:
    failed = Fail(Refusal(529, "upstream", "Overloaded"))
    events, _ = shown(Begin(), Open(0, Text("")), Delta(0, "x"), failed, Delta(0, "y"), Close(0), End())
    assert brief(events)[-1] == "error"
    assert events[-1]["error"] == {"type": "overloaded_error", "message": "Overloaded"}


@pytest.mark.parametrize(
    ("arguments", "kind", "given_", "lost"),
    [
        ("", "function", {}, []),
        ('{"at":1}', "function", {"at": 1}, []),
        ("{half", "function", {}, ["tool_use.input"]),
        ("[1]", "function", {}, ["tool_use.input"]),
        ("*** patch", "custom", {"input": "*** patch"}, []),
    ],
)
def test_a_whole_calls_input_is_an_object(arguments: str, kind: Any, given_: Any, lost: list[str]) -> None:
    message, named = whole(Answer(parts=[Call("a", "look", arguments, kind=kind)], reason="tool"))
    assert message["content"][0]["input"] == given_
    assert named == lost


def test_a_custom_call_is_streamed_once_it_is_whole() -> None:
    custom = Call("a", "patch", kind="custom")
    events, _ = shown(Begin(), Open(0, custom), Delta(0, "*** "), Delta(0, "patch"), Close(0), End("tool"))
    assert brief(events)[1:-2] == [
        "content_block_start 0 tool_use",
        'content_block_delta 0  {"input":"*** patch"}',
        "content_block_stop 0",
    ]


def test_why_it_stopped() -> None:
    said = {reason: whole(Answer(reason=reason))[0]["stop_reason"] for reason in ("stop", "length", "filter", "pause")}
    assert said == {"stop": "end_turn", "length": "max_tokens", "filter": "refusal", "pause": "pause_turn"}
    message, _ = whole(Answer(reason="stop-sequence", stop="END", tier="priority", usage=Usage(10, 9, 2, 4, 3)))
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert message["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 2,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 4},
        "service_tier": "priority",
    }


words = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
parts: st.SearchStrategy[Part] = st.one_of(
    words.map(Text),
    st.builds(Thinking, words, st.sampled_from(["", "gAAAA", "vaultdG0CiQB"])),
    st.builds(
        lambda at: Call(f"toolu_{at}", "look", json.dumps({"at": at}, separators=(",", ":"))), st.integers(0, 99)
    ),
    st.builds(lambda at: Search(f"srvtoolu_{at}", "oslo"), st.integers(0, 99)),
)


@given(st.lists(parts, max_size=5))
def test_what_is_written_reads_as_it_was_streamed_or_whole(said: list[Part]) -> None:
    reason = "tool" if any(isinstance(part, Call) for part in said) else "stop"
    answer = Answer(id="msg_1", model="claude", parts=said, reason=reason, usage=Usage(10, 9, 2, 4, 3))  # type: ignore[arg-type]
    lost = Loss()
    stream = writer(ASKED, STAMP, lost).feed(unfold(answer))
    reading = reader(Names())
    read = fold(reading.feed(stream) + reading.end())
    body = write_answer(answer, ASKED, STAMP, lost)
    assert read == read_answer(body, Names())
    assert not lost
    assert [spoken(part) for part in read.parts] == [spoken(part) for part in said]
    assert (read.id, read.model, read.reason, read.usage) == (answer.id, answer.model, answer.reason, answer.usage)


def spoken(part: Part) -> object:
    """A client's seals are marked as Anthropic's when its own stream is read as a vendor's."""
    if isinstance(part, Thinking):
        return part.text
    return (part.name, json.loads(part.arguments)) if isinstance(part, Call) else part
