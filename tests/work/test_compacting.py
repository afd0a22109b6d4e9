"""A conversation cut short by a vendor that has no compaction: asked for as a summary, told as an opaque item."""

from __future__ import annotations

import json

import msgspec
import pytest

from vaultd.vault.compaction_seal import CompactionSeal
from vaultd.wire.ir import (
    Answer,
    Call,
    Choice,
    Compaction,
    Output,
    Part,
    Reason,
    Request,
    Result,
    Text,
    Thinking,
    Tool,
    Turn,
)
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage
from vaultd.work.compacting import QUESTION, asks, compacted, open_summaries, readable, summarising

SEAL = CompactionSeal(b"a pepper of thirty-two bytes CANARY")


def conversation() -> Request:
    return Request(
        format="openai-responses",
        model="m",
        system=[Text("be brief")],
        turns=[
            Turn("user", [Text("read it")]),
            Turn("assistant", [Call("call_1", "read", "{}")]),
            Turn("user", [Result("call_1", "read", [Text("42")])]),
        ],
        tools=[Tool(name="read")],
        choice=Choice(mode="required"),
        max_output=100,
        output=Output(kind="json"),
        stop=["x"],
        rest={"compaction_trigger": True, "include": []},
    )


def test_the_whole_conversation_is_asked_about_and_nothing_else() -> None:
    request = conversation()
    before = msgspec.json.encode(request)
    asked = summarising(request)
    assert asks(request) and not asks(asked)
    assert asked.system == request.system
    assert asked.turns[:2] == request.turns[:2]
    assert asked.turns[2] == Turn("user", [*request.turns[2].parts, Text(QUESTION)])
    assert (asked.tools, asked.choice) == (request.tools, Choice(mode="none"))
    assert (asked.max_output, asked.output, asked.stop, asked.rest) == (None, None, [], {"include": []})
    assert msgspec.json.encode(request) == before


def test_the_question_is_a_turn_of_its_own_after_an_answer_and_where_there_is_nothing() -> None:
    request = conversation()
    request.turns = [Turn("user", [Text("hi")]), Turn("assistant", [Text("hello")])]
    assert summarising(request).turns == [*request.turns, Turn("user", [Text(QUESTION)])]
    request.turns, request.tools = [], []
    asked = summarising(request)
    assert (asked.turns, asked.choice) == ([Turn("user", [Text(QUESTION)])], None)


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_the_summary_is_the_one_part_of_the_answer(reason: Reason) -> None:
    usage = Usage(5, 6)
    parts: list[Part] = [Thinking("hm", "sig"), Text(" it was "), Text("42 ✓\n")]
    told = compacted(Answer(id="a", model="v", created=7, parts=parts, reason=reason, usage=usage), SEAL)
    (part,) = told.parts
    assert isinstance(part, Compaction)
    assert (part.summary, SEAL.open(part.content)) == ("it was 42 ✓", "it was 42 ✓")
    assert (told.id, told.model, told.created, told.reason, told.usage) == ("a", "v", 7, "stop", usage)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "stop"),
        ([Text(" \n")], "stop"),
        ([Call("c", "read", "{}")], "tool"),
        ([Text("no", refusal=True)], "stop"),
        ([Text("half")], "filter"),
    ],
)
def test_what_is_no_summary_is_refused(parts: list[Part], reason: Reason) -> None:
    with pytest.raises(Refusal) as refused:
        compacted(Answer(parts=parts, reason=reason), SEAL)
    assert refused.value.status == 502


def test_to_a_vendor_that_cannot_read_it_the_item_is_a_message() -> None:
    own = json.dumps({"type": "compaction", "id": "cmp_1", "encrypted_content": SEAL.seal("was „42“")}).encode()
    others = b'{ "type":"compaction", "encrypted_content":"gAAAAx"}'
    quoted = b'{"type":"message","role":"user","content":"vaultdC1 \\u00e9"}'
    told = readable(b"[" + b" , ".join([others, own, quoted]) + b"]", SEAL)
    message = (
        b'{"type":"message","role":"user","content":[{"type":"input_text","text":"was \xe2\x80\x9e42\xe2\x80\x9c"}]}'
    )
    assert told == b"[" + b",".join([others, message, quoted]) + b"]"


@pytest.mark.parametrize("items", [b' [ {"type": "compaction"} ] ', b'"vaultdC1"', b"[vaultdC1", b"null"])
def test_without_one_the_bytes_are_the_same(items: bytes) -> None:
    assert readable(items, SEAL) == items


def test_a_request_of_another_format_is_told_what_the_item_says() -> None:
    request = conversation()
    own, others = Compaction(SEAL.seal("it was 42")), Compaction("gAAAAx")
    request.turns.append(Turn("user", [own, others]))
    open_summaries(request, SEAL)
    assert (own.summary, others.summary) == ("it was 42", "")


@pytest.mark.parametrize("damaged", ["tampered", "cut", "not base64", "another keyring's"])
def test_an_item_that_does_not_open_is_refused_with_what_to_do(damaged: str) -> None:
    sealed = SEAL.seal("it was 42")
    flipped = "A" if sealed[30] != "A" else "B"
    content = {
        "tampered": sealed[:30] + flipped + sealed[31:],
        "cut": sealed[:16],
        "not base64": sealed + "!",
        "another keyring's": CompactionSeal(b"CANARY of another keyring").seal("it was 42"),
    }[damaged]
    items = json.dumps([{"type": "compaction", "encrypted_content": content}]).encode()
    request = conversation()
    request.turns.append(Turn("user", [Compaction(content)]))
    for opening in (lambda: readable(items, SEAL), lambda: open_summaries(request, SEAL)):
        with pytest.raises(Refusal, match="Begin a new conversation, or bring back the keyring") as refused:
            opening()
        assert (refused.value.status, content in refused.value.message) == (400, False)
