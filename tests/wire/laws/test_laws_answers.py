"""The laws of answers: `read(write(x)) == x`, `fold(stream(x)) == whole(x)`, any chunking; each stream's grammar."""

from __future__ import annotations

import copy

import pytest
from exchanges import ANY, ANY_ONE, answers, chunked, streams
from grammars import faults
from hypothesis import find, given
from hypothesis import strategies as st
from talk import FORMATS, MODEL, STAMP, differences, grammar, heard, legal, streamed, told

from vaultd.wire.folding import fold
from vaultd.wire.ir import Answer, Begin, Call, End, Event, Fail, Media, Request, Text, Thinking
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal


def asking(fmt: str) -> Request:
    return Request(format=fmt, model=MODEL, stream=True)


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_written_answer_reads_as_it_was(fmt: str) -> None:
    @given(answers(fmt))
    def law(answer: Answer) -> None:
        before = copy.deepcopy(answer)
        body, lost = told(fmt, answer, asking(fmt))
        assert answer == before, "a writer changed what it was given"
        if not lost:
            assert differences(told_as(fmt, grammar(fmt).read_answer(body, Names())), told_as(fmt, answer)) == []

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_stream_reads_as_the_whole_does(fmt: str) -> None:
    """Whatever order a vendor's blocks come in, the client's stream folds to the client's whole answer."""

    @given(st.data())
    def law(data: st.DataObject) -> None:
        answer = data.draw(answers(fmt))
        events = data.draw(streams(answer, eager=True))
        stream, lost = streamed(fmt, events, asking(fmt))
        assert faults(fmt, stream) == []
        found = heard(fmt, [stream])
        legal(found)
        body, whole_lost = told(fmt, fold(events), asking(fmt))
        assert set(lost) == set(whole_lost)
        assert differences(fold(found), grammar(fmt).read_answer(body, Names())) == []

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_law_is_about_rich_answers(fmt: str) -> None:
    def rich(answer: Answer) -> bool:
        kinds = {type(part) for part in answer.parts}
        return {Text, Thinking, Call} <= kinds and not told(fmt, answer, asking(fmt))[1]

    assert rich(find(answers(fmt), rich, settings=ANY_ONE))


@pytest.mark.parametrize("fmt", FORMATS)
def test_any_chunking_gives_equal_events(fmt: str) -> None:
    @given(st.data())
    def law(data: st.DataObject) -> None:
        stream, _ = streamed(fmt, data.draw(streams(data.draw(answers(fmt)))), asking(fmt))
        whole = heard(fmt, [stream])
        assert differences(heard(fmt, data.draw(chunked(stream))), whole) == []
        assert differences(heard(fmt, [stream[at : at + 1] for at in range(len(stream))]), whole) == []
        assert differences(heard(fmt, [stream.replace(b"\n", b"\r\n")]), whole) == []

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_any_events_become_a_stream_that_obeys(fmt: str) -> None:
    """Blocks of every kind, side by side: no client is shown what its grammar does not know."""

    @given(st.data())
    def law(data: st.DataObject) -> None:
        answer = data.draw(answers(ANY))
        stream, _ = streamed(fmt, data.draw(streams(answer)), asking(fmt))
        assert faults(fmt, stream) == []
        eager, _ = streamed(fmt, data.draw(streams(answer, eager=True)), asking(fmt))
        assert said(fold(heard(fmt, [eager]))) == said(answer)

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_stream_that_breaks_ends_in_an_error(fmt: str) -> None:
    """After any number of events: the error is the last the client hears, and it is no clean end."""
    broken = Fail(Refusal(529, "upstream", "overloaded CANARY"))

    @given(st.data())
    def law(data: st.DataObject) -> None:
        events = data.draw(streams(data.draw(answers(ANY))))
        cut = data.draw(st.integers(0, len(events) - 1))
        lost = Loss()
        writer = grammar(fmt).writer(asking(fmt), STAMP, lost)
        stream = b"".join([writer.feed([event]) for event in (*events[:cut], broken)])
        assert faults(fmt, stream) == []
        assert b"overloaded CANARY" in stream
        assert writer.feed([End("stop")]) == b""
        found = heard(fmt, [stream])
        assert isinstance(found[-1], Fail)
        assert "overloaded CANARY" in found[-1].refusal.message

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_stream_cut_short_is_no_end(fmt: str) -> None:
    """Wherever the connection ends, but at the very end, the reader says so."""

    @given(st.data())
    def law(data: st.DataObject) -> None:
        stream, _ = streamed(fmt, data.draw(streams(data.draw(answers(fmt)))), asking(fmt))
        whole = heard(fmt, [stream])
        frames = stream.split(b"\n\n")
        cut = b"\n\n".join(frames[: data.draw(st.integers(0, len(frames) - 1))])
        found = heard(fmt, [cut + b"\n\n"] if cut else [])
        assert isinstance(found[-1], Fail | End)
        if isinstance(found[-1], End):
            assert parts_of(found) == parts_of(whole), "an answer cut short passed for a whole one"

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_events_written_together_or_apart_say_the_same(fmt: str) -> None:
    @given(st.data())
    def law(data: st.DataObject) -> None:
        events = data.draw(streams(data.draw(answers(ANY))))
        apart, _ = streamed(fmt, events, asking(fmt))
        together = grammar(fmt).writer(asking(fmt), STAMP, Loss()).feed(events)
        assert differences(fold(heard(fmt, [together])), fold(heard(fmt, [apart]))) == []

    law()


def parts_of(events: list[Event]) -> object:
    if not isinstance(events[-1], End):
        return None
    return fold([event for event in events if not isinstance(event, Begin)]).parts


def said(answer: Answer) -> tuple[str, str, list[tuple[str, str]]]:
    """What every client can be told of the first choice, whatever its format."""
    texts = "".join(part.text for part in answer.parts if isinstance(part, Text))
    thoughts = "".join("".join(part.text.split()) for part in answer.parts if isinstance(part, Thinking))
    calls = [(part.name, part.arguments or "{}") for part in answer.parts if isinstance(part, Call)]
    return texts, thoughts, calls


def told_as(fmt: str, answer: Answer) -> Answer:
    """Without what a format makes up where it has no word: see `MADE_UP`."""
    found = copy.deepcopy(answer)
    for name in MADE_UP[fmt]:
        setattr(found, name, Answer.__struct_defaults__[Answer.__struct_fields__.index(name)])
    return found


#: Members of an answer that a format has no word for, or fills by itself.
MADE_UP: dict[str, tuple[str, ...]] = {
    "openai-chat": (),
    "openai-responses": ("model",),  # the client's own name of it is told: B.15 #49
    "anthropic-messages": ("created",),
    "gemini": ("created",),
}


def test_media_is_told_where_the_format_can() -> None:
    drawn = Answer(id="x", model=MODEL, parts=[Media(kind="image", mime="image/png", data="aGk=")])
    for fmt in FORMATS:
        body, lost = told(fmt, drawn, asking(fmt))
        assert lost or b"aGk=" in body
