"""Gemini's laws: what is written is read back as it was, in whatever pieces it comes; a stream says what the whole
says; and nothing anyone sends raises what was not declared."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.folding import fold, unfold
from vaultd.wire.gemini import grammar
from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Choice,
    Citation,
    Close,
    Delta,
    End,
    Event,
    Fail,
    Hosted,
    Media,
    Open,
    Output,
    Part,
    Reasoning,
    Request,
    Result,
    Search,
    Stamp,
    Target,
    Text,
    Thinking,
    Tool,
    Turn,
    Variant,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal
from vaultd.wire.signature import carry
from vaultd.wire.usage import Usage

STAMP = Stamp(1_760_000_000, "token")
ASKED = Request(format="gemini", model="m", stream=True)

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
seals = st.sampled_from(["", carry("CiQB", "gemini"), carry("CiQCCiQC", "gemini")])
tool_names = st.sampled_from(["get_weather", "read.file", "a:b"])
objects = st.dictionaries(words, st.none() | st.booleans() | st.integers(-9, 9) | words, max_size=3)
arguments = objects.map(lambda value: msgspec.json.encode(value).decode())
images = st.builds(Media, kind=st.just("image"), mime=st.just("image/png"), data=st.just("AA=="))
films = st.builds(Media, kind=st.just("video"), mime=st.just("video/mp4"), url=st.just("https://youtu.be/x"))


def apart(parts: list[Part]) -> list[Part]:
    """Neighbours that Gemini tells apart: two texts without a seal between them are one."""
    kept: list[Part] = []
    for part in parts:
        last = kept[-1] if kept else None
        if not isinstance(part, Text | Thinking) or type(part) is not type(last) or getattr(last, "signature", ""):
            kept.append(part)
    return kept


def numbered(parts: list[Part]) -> list[Part]:
    calls = [part for part in parts if isinstance(part, Call)]
    for at, call in enumerate(calls):
        call.id = f"c{at}"
    return parts


spoken = st.lists(
    st.builds(Text, words, signature=seals)
    | st.builds(Thinking, words, seals)
    | st.builds(Call, st.just(""), tool_names, arguments, signature=seals)
    | images,
    max_size=6,
).map(lambda parts: numbered(apart(parts)))


# Requests.


@st.composite
def conversations(draw: st.DrawFn) -> list[Turn]:
    turns: list[Turn] = []
    number = 0
    for _ in range(draw(st.integers(1, 3))):
        said: list[Part] = list(draw(st.lists(st.builds(Text, words) | images | films, min_size=1, max_size=3)))
        if turns and turns[-1].role == "user":
            turns[-1].parts = turns[-1].parts + said
        else:
            turns.append(Turn("user", said))
        sealed = st.builds(Thinking, words, seals.filter(bool))
        answer: list[Part] = apart(draw(st.lists(st.builds(Text, words, signature=seals) | sealed, max_size=3)))
        results: list[Part] = []
        for name, args, is_error in draw(st.lists(st.tuples(tool_names, arguments, st.booleans()), max_size=3)):
            number += 1
            answer.append(Call(f"c{number}", name, args, signature=draw(seals)))
            results.append(Result(f"c{number}", name, [Text(draw(words))], is_error))
        if answer:
            turns.append(Turn("assistant", answer))
        if results:
            turns.append(Turn("user", results))
    return turns


schemas = st.sampled_from(
    [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a_b": {"type": ["string", "null"]}}, "required": ["a_b"]},
    ]
)
configured: dict[str, st.SearchStrategy[Any]] = {
    "system": st.lists(st.builds(Text, words), max_size=2),
    "turns": conversations(),
    "hosted": st.sampled_from([[], [Hosted(kind="web_search", extra={"gemini": {"googleSearch": {}}})]]),
    "max_output": st.none() | st.integers(1, 9),
    "temperature": st.none() | st.sampled_from([0.5, 1.0]),
    "top_p": st.none() | st.just(0.5),
    "top_k": st.none() | st.integers(1, 40),
    "stop": st.lists(words, max_size=5),
    "n": st.none() | st.integers(1, 8),
    "seed": st.none() | st.integers(),
    "reasoning": st.sampled_from([None, Reasoning(budget=512, summary="auto"), Reasoning(budget=-1, summary="none")]),
    "output": st.sampled_from([None, Output(kind="json"), Output(kind="schema", schema={"type": "array"})]),
    "modalities": st.lists(st.sampled_from(["text", "image"]), max_size=2),
    "image": st.sampled_from([{}, {"aspect_ratio": "1:1"}]),
    "tier": st.sampled_from(["", "default", "flex"]),
    "rest": st.sampled_from([{}, {"cachedContent": "c", "toolConfig.retrievalConfig": {"languageCode": "no"}}]),
}


@st.composite
def requests(draw: st.DrawFn) -> Request:
    names = draw(st.lists(tool_names, unique=True, max_size=3))
    request = Request(format="gemini", model="m", **{name: draw(value) for name, value in configured.items()})
    request.tools = [Tool(name=name, description=draw(words), schema=draw(schemas)) for name in names]
    if names:
        limited = Choice(mode="required", names=tuple(names[:1]))
        request.choice = draw(st.sampled_from([None, Choice(mode="auto"), Choice(mode="none"), limited]))
    return request


@given(requests())
def test_a_request_written_without_loss_is_read_back(request: Request) -> None:
    before = msgspec.json.encode(request)
    lost = Loss()
    members, _ = grammar.write_request(request, Target(model="m"), lost)
    assert msgspec.json.encode(request) == before
    assert not lost
    assert grammar.read_request(msgspec.json.encode(members), model="m", stream=False) == request


@given(requests())
def test_turns_take_turns_and_none_is_empty(request: Request) -> None:
    members, _ = grammar.write_request(request, Target(model="m"), Loss())
    roles = [content["role"] for content in members["contents"]]
    assert roles == ["user", "model"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    for content in members["contents"]:
        assert content["parts"]
        assert all(part.get("text") != "" for part in content["parts"])


# Answers.

usages = st.builds(Usage, *[st.integers(0, 9)] * 4, st.just(0)).map(
    lambda usage: usage._replace(output=usage.output + usage.reasoning)
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    parts = draw(spoken)
    if parts and isinstance(last := parts[-1], Text):
        start = draw(st.integers(0, len(last.text)))
        last.citations = draw(st.sampled_from([[], [Citation(url="u", title="t", start=start, end=len(last.text))]]))
        found = [Citation(url="u", title="t")]
        parts += draw(st.sampled_from([[], [Search("search_1", "a\nb", found)]])) if last.citations else []
    others = draw(st.lists(spoken, max_size=2))
    numbered([part for one in [parts, *others] for part in one])
    return Answer(
        id=draw(words),
        model="gemini-2.5-pro",
        created=draw(st.sampled_from([0, 1_760_000_000])),
        parts=parts,
        reason=_reason(draw, parts),
        usage=draw(st.none() | usages),
        others=[Variant(one, _reason(draw, one)) for one in others],
    )


def _reason(draw: st.DrawFn, parts: list[Part]) -> Any:
    stop = "tool" if any(isinstance(part, Call) for part in parts) else "stop"
    return draw(st.sampled_from([stop, "length", "filter"]))


@given(answers())
def test_an_answer_written_is_read_back_whole_and_streamed(answer: Answer) -> None:
    lost = Loss()
    body = grammar.write_answer(answer, ASKED, STAMP, lost)
    types.GenerateContentResponse.model_validate(msgspec.json.decode(body))
    stream = grammar.writer(ASKED, STAMP, lost).feed(unfold(answer))
    assert not lost
    assert grammar.read_answer(body, Names()) == answer
    assert fold(events(stream)) == answer


def events(stream: bytes, cuts: list[int] | None = None) -> list[Event]:
    reading = grammar.reader(Names())
    places = sorted({cut % (len(stream) + 1) for cut in cuts or []} | {0, len(stream)})
    told = [event for a, b in pairwise(places) for event in reading.feed(stream[a:b])]
    told += reading.end()
    assert reading.feed(stream) == reading.end() == []
    return told


@given(answers(), st.lists(st.integers(0, 9999), max_size=9), st.sampled_from([b"\n\n", b"\r\n\r\n"]))
def test_any_chunking_gives_equal_events(answer: Answer, cuts: list[int], blank: bytes) -> None:
    stream = grammar.writer(ASKED, STAMP, Loss()).feed(unfold(answer)).replace(b"\n\n", blank)
    whole = events(stream)
    assert events(stream, cuts) == whole
    assert events(stream, list(range(len(stream)))) == whole
    assert isinstance(whole[0], Begin)
    assert isinstance(whole[-1], End)


@given(answers(), st.randoms(use_true_random=False), st.booleans())
def test_blocks_may_be_told_in_any_order(answer: Answer, random: Any, sse: bool) -> None:
    begin, *between, end = unfold(answer)
    rows: dict[int, list[Event]] = {}
    for event in between:
        assert isinstance(event, Open | Delta | Close)
        rows.setdefault(event.block, []).append(event)
    told: list[Event] = [begin]
    waiting, speaking = list(rows.values()), list[list[Event]]()
    while waiting or speaking:
        if waiting and (not speaking or random.random() < 0.5):
            speaking.append(waiting.pop(0))
            told.append(speaking[-1].pop(0))  # blocks count in the order in which they open
        told.append(random.choice(speaking).pop(0))
        speaking = [one for one in speaking if one]
    request = msgspec.structs.replace(ASKED, sse=sse)
    writing = grammar.writer(request, STAMP, Loss())
    stream = b"".join([writing.feed([event]) for event in [*told, end]])
    assert (fold(events(stream)) if sse else grammar.read_answer(stream, Names())) == answer


# Strangers.

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *[place for key, one in inner for place in places(one, (*at, key))]]


def changed(draw: st.DrawFn, value: Any) -> Any:
    """`value` with something else, or nothing, in one or two of its places."""
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(places(value)))
        new = draw(anything)
        if not place:
            return new
        at = value
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = new
    return value


@given(st.data())
def test_a_mutated_request_is_read_or_refused(data: st.DataObject) -> None:
    members, _ = grammar.write_request(data.draw(requests()), Target(model="m"), Loss())
    body = msgspec.json.encode(changed(data.draw, msgspec.json.decode(msgspec.json.encode(members))))
    try:
        request = grammar.read_request(body, model="m", stream=False)
    except Refusal as refused:
        assert refused.status == 400
        return
    msgspec.json.encode(grammar.write_request(request, Target(model="m"), Loss())[0])


@given(st.data())
def test_a_mutated_answer_is_read_or_fails(data: st.DataObject) -> None:
    answer = data.draw(answers())
    body = msgspec.json.encode(
        changed(data.draw, msgspec.json.decode(grammar.write_answer(answer, ASKED, STAMP, Loss())))
    )
    told = events(b"data: " + body + b"\n\n" + data.draw(st.binary(max_size=9)))
    assert isinstance(told[-1], End | Fail)
    assert grammar.writer(ASKED, STAMP, Loss()).feed(told)
    try:
        grammar.read_answer(body, Names())
    except Refusal as refused:
        assert refused.status >= 400
