"""A Responses vendor's stream, read however loosely it is told; a client's, written as strictly as it is read."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Open,
    Part,
    Request,
    Search,
    Stamp,
    Text,
    Thinking,
    Tool,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names, plain
from vaultd.wire.openai_responses import grammar
from vaultd.wire.refusal import Refusal
from vaultd.wire.signature import carry
from vaultd.wire.usage import Usage

Said = dict[str, Any]

STAMP: Final = Stamp(1_700_000_000, "CANARY0123")
ASKED: Final = Request(format="openai-responses", model="alias", stream=True)
USAGE: Final = Usage(30, 9, 20, 4, 1)
SEALED: Final = "vaultdR0CANARY"


def sse(*events: Said) -> bytes:
    return b"".join([b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events])


def event(kind: str, **members: Any) -> Said:
    return {"type": f"response.{kind}", **members}


def added(index: int, **item: Any) -> Said:
    return event("output_item.added", output_index=index, item=item)


def done(index: int, **item: Any) -> Said:
    return event("output_item.done", output_index=index, item=item)


CREATED: Final = event("created", response={"id": "resp_1", "model": "up", "created_at": 5, "status": "in_progress"})


def completed(*output: Said, status: str = "completed", **members: Any) -> Said:
    return event(status, response={"id": "resp_1", "status": status, "output": list(output), **members})


def heard(*events: Said, names: Names | None = None) -> list[Event]:
    reader = grammar.reader(names or Names())
    return reader.feed(sse(*events)) + reader.end()


def parts(*events: Said) -> list[Part]:
    return fold(heard(CREATED, *events)).parts


def message(text: str) -> Said:
    return {"type": "message", "content": [{"type": "output_text", "text": text, "annotations": []}]}


def call(arguments: str, **members: Any) -> Said:
    return {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": arguments, **members}


# Reading.


def test_a_text_comes_as_it_is_said() -> None:
    said = heard(
        CREATED,
        added(0, id="msg_1", type="message"),
        event("output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta=" CAN"),
        event("output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta="ARY "),
        event("output_text.done", item_id="msg_1", output_index=0, content_index=0, text=" CANARY "),
        done(0, id="msg_1", **message(" CANARY ")),
        completed(
            {"id": "msg_1", **message(" CANARY ")},
            usage={
                "input_tokens": 30,
                "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 1},
                "output_tokens": 9,
                "output_tokens_details": {"reasoning_tokens": 4},
            },
        ),
    )
    assert said == [
        Begin("resp_1", "up", 5),
        Open(0, Text("")),
        Delta(0, " CAN"),
        Delta(0, "ARY "),
        Close(0),
        End("stop", USAGE),
    ]


@pytest.mark.parametrize(
    "told",
    [
        [done(0, id="msg_1", **message("CANARY"))],
        [
            added(0, id="msg_1", type="message"),
            event("output_text.done", item_id="msg_1", output_index=0, text="CANARY"),
        ],
        [event("output_text.delta", delta="CAN"), done(0, **message("CANARY"))],
        [event("output_text.delta", delta="CANARY"), done(0, **message("Canary, trimmed"))],
        [],
    ],
)
def test_what_a_repetition_adds_is_taken_once(told: list[Said]) -> None:
    assert parts(*told, completed(message("CANARY"))) == [Text("CANARY")]


@pytest.mark.parametrize(
    "told",
    [
        [
            added(0, **call("")),
            event("function_call_arguments.done", item_id="fc_1", output_index=0, arguments='{"a":1}'),
        ],
        [added(0, **call("")), event("function_call_arguments.delta", item_id="other", delta='{"a":1}')],
        [added(0, **call("", name="")), event("function_call_arguments.delta", item_id="fc_1", delta='{"a":1}')],
        [event("function_call_arguments.delta", item_id="fc_1", output_index=0, delta='{"a"')],
        [added(0, **call('{"a":1}'))],
    ],
)
@pytest.mark.parametrize("last", ["item", "answer"])
def test_a_call_is_whole_however_it_was_told(told: list[Said], last: str) -> None:
    whole = call('{"a":1}')
    end = [done(0, **whole), completed()] if last == "item" else [completed(whole)]
    said = heard(CREATED, *told, *end)
    assert fold(said).parts == [Call("c1", "f", '{"a":1}')]
    assert said[-1] == End("tool")


def test_interleaved_calls_keep_their_arguments() -> None:
    assert parts(
        added(0, **call("")),
        added(1, **call("", id="fc_2", call_id="c2")),
        event("function_call_arguments.delta", item_id="fc_2", output_index=1, delta='{"b"'),
        event("function_call_arguments.delta", item_id="unknown", output_index=0, delta='{"a":1}'),
        event("function_call_arguments.delta", item_id="fc_2", output_index=1, delta=":2}"),
        completed(),
    ) == [Call("c1", "f", '{"a":1}'), Call("c2", "f", '{"b":2}')]


def test_blocks_count_in_the_order_of_the_items() -> None:
    assert parts(
        added(0, id="m", type="message"),
        event("content_part.added", item_id="m", output_index=0, content_index=0, part={"type": "refusal"}),
        added(1, **call("")),
        event("function_call_arguments.delta", item_id="fc_1", output_index=1, delta="{}"),
        event("refusal.delta", item_id="m", output_index=0, content_index=0, delta="CANARY"),
        completed(),
    ) == [Text("CANARY", refusal=True), Call("c1", "f", "{}")]


def test_a_done_mark_of_chat_means_nothing_here() -> None:
    reader = grammar.reader(Names())
    said = reader.feed(sse(CREATED) + b"data: [DONE]\n\n" + sse(completed(message("CANARY"))))
    assert fold(said).parts == [Text("CANARY")]


def test_a_call_that_nobody_named_has_a_name_still() -> None:
    said = [added(0, type="function_call", call_id="c"), event("function_call_arguments.delta", delta="{}")]
    assert parts(*said, completed()) == [Call("c", "tool_0", "{}")]


def test_names_come_back_as_the_client_gave_them() -> None:
    long = "mcp__suite__" + "x" * 70
    names = Names.of(Request(format="openai-chat", model="m", tools=[Tool(name=long)]), plain, customs=True)
    said = heard(CREATED, completed(call("{}", name=names.send(long))), names=names)
    assert fold(said).parts == [Call("c1", long, "{}")]


def test_one_reasoning_item_is_one_block() -> None:
    said = [
        added(0, id="rs_1", type="reasoning", summary=[]),
        event("reasoning_summary_text.delta", item_id="rs_1", output_index=0, summary_index=0, delta="CAN"),
        event("reasoning_summary_text.done", item_id="rs_1", output_index=0, summary_index=0, text="CANARY"),
        event("reasoning_summary_text.delta", item_id="rs_1", output_index=0, summary_index=1, delta="Two"),
        event("reasoning_text.delta", item_id="rs_1", output_index=0, content_index=0, delta="Raw"),
    ]
    whole = {
        "id": "rs_1",
        "type": "reasoning",
        "summary": [{"text": "CANARY"}, {"text": "Two"}],
        "content": [{"text": "Raw"}],
        "encrypted_content": "CANARY",
    }
    expected: list[Part] = [Thinking("CANARY\n\nTwo\n\nRaw", carry("CANARY", "openai-responses"))]
    assert parts(*said, done(0, **whole), completed(whole)) == expected
    assert parts(completed(whole)) == expected
    assert grammar.read_answer(msgspec.json.encode(completed(whole)["response"]), Names()).parts == expected


def test_what_comes_whole() -> None:
    noted = {"type": "url_citation", "url": "https://canary.example", "title": "T", "start_index": 0, "end_index": 2}
    text = message("ok")
    text["content"][0]["annotations"] = [noted]
    assert parts(
        added(0, id="ws_1", type="web_search_call"),
        event("web_search_call.searching", item_id="ws_1", output_index=0),
        done(
            0,
            id="ws_1",
            type="web_search_call",
            action={"type": "search", "query": "CANARY", "sources": [{"url": "u"}]},
        ),
        done(1, id="ig_1", type="image_generation_call", result="Q0FOQVJZ", output_format="webp"),
        done(2, id="cmp_1", type="compaction", encrypted_content="CANARY"),
        added(3, id="m", type="message"),
        event("output_text.delta", item_id="m", output_index=3, content_index=0, delta="ok"),
        event("output_text.annotation.added", item_id="m", output_index=3, content_index=0, annotation=noted),
        completed(),
    ) == [
        Search("1", "CANARY", [Citation(url="u")]),
        Media(kind="image", mime="image/webp", data="Q0FOQVJZ"),
        Compaction("CANARY", id="1"),
        Text("ok", citations=[Citation(url="https://canary.example", title="T", start=0, end=2)]),
    ]


def test_empty_items_open_nothing() -> None:
    empty = [{"type": "reasoning", "summary": []}, {"type": "message", "content": []}, {"type": "function_call"}]
    assert parts(*[added(at, **item) for at, item in enumerate(empty)], completed(*empty)) == []


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (completed(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (completed(status="incomplete", incomplete_details={"reason": "content_filter"}), "filter"),
        (completed(status="incomplete"), "length"),
        (completed(), "tool"),
        (completed(status="complete"), "tool"),
        (event("whatever", response={"status": "completed"}), "tool"),
        (event("completed"), "tool"),
    ],
)
def test_how_an_answer_ended(last: Said, reason: str) -> None:
    said = heard(CREATED, done(0, **call("{}")), last, event("output_text.delta", delta="CANARY, too late"))
    assert isinstance(said[-1], End)
    assert said[-1].reason == reason


@pytest.mark.parametrize(
    ("told", "status", "message"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "CANARY"}, 429, "CANARY"),
        ({"type": "error", "error": {"type": "invalid_request_error", "message": "CANARY"}}, 400, "CANARY"),
        (
            event("failed", response={"status": "failed", "error": {"code": "server_error", "message": "CANARY"}}),
            502,
            "CANARY",
        ),
        (event("failed", response=None), 502, "failed"),
        (completed(status="cancelled"), 502, "cancelled"),
    ],
)
def test_a_vendors_failure_ends_it(told: Said, status: int, message: str) -> None:
    said = heard(CREATED, told, completed())
    assert isinstance(said[-1], Fail)
    assert said[-1].refusal.status == status
    assert message in said[-1].refusal.message


@pytest.mark.parametrize("rest", [b"", b"data: {\n\n", b'data: ["CANARY"]\n\n', b"data: [DONE]\n\n"])
def test_a_stream_that_breaks_off_is_no_end(rest: bytes) -> None:
    reader = grammar.reader(Names())
    said = reader.feed(sse(CREATED, event("output_text.delta", delta="CANARY")) + rest) + reader.end()
    assert isinstance(said[-1], Fail)
    assert reader.feed(sse(completed())) == reader.end() == []


# Writing.


def told(*events: Event, asked: Request = ASKED, lost: Loss | None = None) -> list[Said]:
    writer = grammar.writer(asked, STAMP, Loss() if lost is None else lost)
    stream = b"".join([writer.feed([event]) for event in events])
    found = []
    for number, frame in enumerate(stream.removesuffix(b"\n\n").split(b"\n\n")):
        name, data = frame.split(b"\n")
        said = msgspec.json.decode(data.removeprefix(b"data: "))
        assert name == b"event: " + said["type"].encode()
        assert said["sequence_number"] == number
        found.append(said)
    return found


def kinds(events: list[Said]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_a_stream_in_the_grammars_order() -> None:
    said = told(
        Begin("chatcmpl-1", "up", 5), Open(0, Text("")), Delta(0, "CAN"), Delta(0, "ARY"), Close(0), End("stop", USAGE)
    )
    assert kinds(said) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert said[6]["text"] == said[7]["part"]["text"] == "CANARY"
    last = said[-1]["response"]
    assert (last["id"], last["model"], last["created_at"], last["status"]) == (
        "resp_chatcmpl-1",
        "alias",
        5,
        "completed",
    )
    assert last["output"] == [said[8]["item"]]
    assert said[2]["item"]["id"] == said[4]["item_id"] == said[8]["item"]["id"]
    assert last["usage"] == {
        "input_tokens": 30,
        "input_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 1},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 39,
    }


def test_the_answer_repeats_what_the_client_said() -> None:
    tools = [{"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "f"}]}]
    body = {
        "model": "alias",
        "input": "CANARY",
        "tools": tools,
        "temperature": 0.5,
        "instructions": None,
        "store": True,
    }
    asked = grammar.read_request(msgspec.json.encode(body), model="alias", stream=True)
    said = told(
        Begin(), Open(0, Call("c", "ns__f")), Delta(0, "{}"), Close(0), End("tool", None, tier="flex"), asked=asked
    )
    for response in (said[0]["response"], said[-1]["response"]):
        assert (response["tools"], response["temperature"], response["store"]) == (tools, 0.5, True)
        assert (response["tool_choice"], response["instructions"], response["model"]) == ("auto", None, "alias")
    assert said[-1]["response"]["service_tier"] == "flex"
    assert said[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}
    item = said[-1]["response"]["output"][0]
    assert (item["name"], item["namespace"], item["call_id"]) == ("f", "ns", "c")


def test_a_call_that_was_cut_off_is_not_shown_as_whole() -> None:
    opened = [
        Begin(),
        Open(0, Text("")),
        Delta(0, "CANARY"),
        Close(0),
        Open(1, Call("c", "f")),
        Delta(1, '{"a'),
        Close(1),
    ]
    said = told(*opened, End("length"))
    assert [item["status"] for item in said[-1]["response"]["output"]] == ["completed", "incomplete"]
    assert said[-1]["type"] == "response.incomplete"
    assert said[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_an_item_is_done_as_soon_as_another_speaks() -> None:
    opened = [
        Begin(),
        Open(0, Call("c", "f")),
        Open(1, Text("")),
        Delta(0, "{}"),
        Close(0),
        Delta(1, "CANARY"),
        End("tool"),
    ]
    assert kinds(told(*opened))[-6:] == [
        "output_item.done",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    said = told(Begin(), Open(0, Call("c", "f")), Close(0), End("tool"))
    assert [event["delta"] for event in said if event["type"].endswith(".delta")] == ["{}"]
    assert said[-1]["response"]["output"][0]["arguments"] == "{}"


def test_reasoning_and_what_seals_a_call() -> None:
    said = told(
        Begin(),
        Open(0, Thinking("")),
        Delta(0, "CANARY"),
        Close(0, Thinking("", SEALED)),
        Open(1, Thinking("")),
        Close(1, Thinking("", "vaultdA0x", redacted=True)),
        Open(2, Call("c", "f", signature="vaultdG0x", kind="custom")),
        Delta(2, "x"),
        Close(2),
        End("tool"),
    )
    output = said[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "reasoning", "reasoning", "custom_tool_call"]
    assert [item.get("encrypted_content") for item in output] == [SEALED, "vaultdX0vaultdA0x", "vaultdG0x", None]
    assert [item.get("summary") for item in output[:2]] == [[{"type": "summary_text", "text": "CANARY"}], []]
    assert (output[3]["input"], output[3]["id"][:4]) == ("x", "ctc_")
    indexes = [event["output_index"] for event in said if event["type"] == "response.output_item.added"]
    assert indexes == [0, 1, 2, 3]


def test_a_failure_is_the_last_that_is_told() -> None:
    said = told(Begin(), Open(0, Text("")), Delta(0, "CANARY"), Fail(Refusal(529, "upstream", "CANARY")), End())
    assert kinds(said)[-1] == "error"
    assert (said[-1]["message"], said[-1]["code"]) == ("CANARY", "internal_server_error")


def test_an_answer_without_content_is_one_still() -> None:
    assert kinds(told(End())) == ["created", "in_progress", "completed"]


def test_other_choices_and_what_has_no_item_are_not_told() -> None:
    lost = Loss()
    sound = Media(kind="audio", mime="audio/wav", data="Q0FOQVJZ")
    said = told(
        Begin(), Open(0, Text(""), choice=1), Delta(0, "CANARY"), Close(0), Open(1, sound), Close(1), End(), lost=lost
    )
    assert kinds(said) == ["created", "in_progress", "completed"]
    assert list(lost) == ["choices", "audio"]


# The laws.

words: Final = st.text(min_size=1, max_size=20)
ids: Final = st.text("abc0", min_size=1, max_size=8)
some_parts: Final[st.SearchStrategy[Part]] = st.one_of(
    st.builds(Text, words, refusal=st.booleans()),
    st.builds(Thinking, words, st.sampled_from(["", SEALED])),
    st.builds(Call, ids, ids, words, st.sampled_from(["function", "custom"])),
    st.builds(Search, ids, words),
    st.builds(Compaction, ids, id=ids),
    st.builds(lambda data: Media(kind="image", mime="image/png", data=data), ids),
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    found = draw(st.lists(some_parts, max_size=5))
    for at, part in enumerate(found):
        if isinstance(part, Search):
            part.id += f"_{at}"  # two of one id are told with two
    reason = draw(st.sampled_from(["length", "filter", "tool" if any(isinstance(p, Call) for p in found) else "stop"]))
    return Answer(id="resp_1", model="alias", created=5, parts=found, reason=reason, usage=USAGE)


@given(answers())
def test_a_written_answer_reads_as_it_was(answer: Answer) -> None:
    assert grammar.read_answer(grammar.write_answer(answer, ASKED, STAMP, Loss()), Names()) == answer


@given(answers(), st.integers(1, 40))
def test_a_stream_tells_what_the_whole_does_in_any_pieces(answer: Answer, size: int) -> None:
    writer = grammar.writer(ASKED, STAMP, Loss())
    stream = writer.feed(unfold(answer))
    reader, said = grammar.reader(Names()), []
    for at in range(0, len(stream), size):
        said += reader.feed(stream[at : at + size])
    said += reader.end()
    assert fold(said) == answer
    whole = grammar.reader(Names())
    assert said == whole.feed(stream) + whole.end()
    last = msgspec.json.decode(stream.rstrip().rpartition(b"data: ")[2])["response"]
    assert last == msgspec.json.decode(grammar.write_answer(answer, ASKED, STAMP, Loss()))


anything: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "type", "text"]), inner),
    max_leaves=6,
)
_TYPES: Final = st.sampled_from(
    ["created", "output_item.added", "output_item.done", "output_text.delta", "output_text.done", "content_part.added",
     "content_part.done", "function_call_arguments.delta", "reasoning_summary_text.delta", "reasoning_text.done",
     "output_text.annotation.added", "completed"]
)  # fmt: skip
_ITEM: Final = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "web_search_call", "x"])},
    optional=dict.fromkeys(("id", "content", "summary", "arguments", "name", "action", "call_id"), anything),
)


@given(
    st.lists(
        st.builds(
            lambda kind, members: {"type": f"response.{kind}", **members},
            _TYPES,
            st.fixed_dictionaries(
                {},
                optional={
                    "item": _ITEM | anything,
                    "delta": anything,
                    "output_index": anything,
                    "content_index": anything,
                    "item_id": anything,
                    "part": _ITEM | anything,
                    "text": anything,
                    "annotation": anything,
                    "response": anything | st.builds(lambda item: {"output": [item], "usage": 3}, _ITEM),
                },
            ),
        ),
        max_size=8,
    )
)
def test_whatever_a_vendor_sends_is_events_in_order(events: list[Said]) -> None:
    said = heard(*events)
    assert isinstance(said[-1], End | Fail)
    opened: set[int] = set()
    closed: set[int] = set()
    for each in said:
        if isinstance(each, Open):
            assert each.block == len(opened)
            opened.add(each.block)
        elif isinstance(each, Delta | Close):
            assert each.block in opened - closed
            closed |= {each.block} if isinstance(each, Close) else set()
    assert isinstance(said[-1], Fail) or opened == closed
    grammar.writer(ASKED, STAMP, Loss()).feed(said)


def test_two_searches_of_one_id_are_two_items() -> None:
    twice = Answer(parts=[Search("srvtoolu_1", "a"), Search("srvtoolu_1", "b")])
    told = msgspec.json.decode(grammar.write_answer(twice, ASKED, STAMP, Loss()))["output"]
    assert [item["action"]["query"] for item in told] == ["a", "b"]
    assert len({item["id"] for item in told}) == 2
