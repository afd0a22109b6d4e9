"""Whatever clients and vendors send: a refusal that says so, never another exception, a hang or a malformed frame.

In CI for a moment; `make fuzz` runs the same properties for an hour.
"""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from exchanges import ANY, answers, chunked, requests, streams
from grammars import faults
from hypothesis import given
from hypothesis import strategies as st
from mutations import bent_bytes, encoded, mutated
from talk import FORMATS, MODEL, TARGET, grammar, streamed, told

from vaultd.wire import thinking
from vaultd.wire.custom import Unwrap
from vaultd.wire.folding import Fold
from vaultd.wire.ir import Answer, End, Event, Fail, Request
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal

#: A vendor that gives one id to two items is repeated: its ids are its own.
TWICE = ("one id for two calls", "has the id")
FOLDERS = {"openai-chat": "openai-chat", "openai-responses": "openai-responses", "anthropic-messages": "anthropic"}


@cache
def recorded(shared: Path, fmt: str) -> list[dict[str, Any]]:
    folder = shared / "fixtures" / FOLDERS.get(fmt, fmt)
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def asked_bodies(shared: Path, fmt: str) -> list[Any]:
    found = [each["request"]["body"] for each in recorded(shared, fmt) if isinstance(each["request"]["body"], dict)]
    assert len(found) > 20
    return found


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_bent_request_is_refused_or_relayed(shared: Path, fmt: str) -> None:
    """Of recorded ones: what is read is written to every vendor, as JSON, or refused with 400."""

    @given(st.sampled_from(asked_bodies(shared, fmt)).flatmap(mutated))
    def never(body: Any) -> None:
        relayed(fmt, encoded(body))

    never()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_bent_request_of_nobodys_is_refused_or_relayed(fmt: str) -> None:
    @given(st.data())
    def never(data: st.DataObject) -> None:
        members, _ = grammar(fmt).write_request(data.draw(requests(fmt)), TARGET, Loss())
        relayed(fmt, encoded(data.draw(mutated(msgspec.json.decode(msgspec.json.encode(members))))))

    never()


@pytest.mark.parametrize("fmt", FORMATS)
def test_bytes_that_are_no_request_are_refused(shared: Path, fmt: str) -> None:
    bodies = [encoded(body) for body in asked_bodies(shared, fmt) if len(encoded(body)) < 20_000]

    @given(st.sampled_from(bodies).flatmap(bent_bytes) | st.binary(max_size=40))
    def never(body: bytes) -> None:
        relayed(fmt, body)

    never()


def relayed(fmt: str, body: bytes) -> None:
    for vendor in FORMATS:
        try:
            one = grammar(fmt).read_request(body, model=MODEL, stream=True)
        except Refusal as refusal:
            assert refusal.status == 400
            assert refusal.message
            return
        lost = Loss()
        one.reasoning = thinking.fit(one, TARGET)
        try:
            members, _ = grammar(vendor).write_request(one, TARGET, lost)
        except Refusal as refusal:
            assert refusal.status == 400
            continue
        assert lost.header().isascii()
        msgspec.json.decode(msgspec.json.encode(members))


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_bent_answer_is_refused_or_told(shared: Path, fmt: str) -> None:
    bodies = [each["response"]["body"] for each in recorded(shared, fmt) if "body" in each["response"]]
    assert len(bodies) > 20

    @given(st.sampled_from(bodies).flatmap(mutated).map(encoded) | st.binary(max_size=40))
    def never(body: bytes) -> None:
        answered(fmt, body)

    never()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_bent_answer_of_nobodys_is_refused_or_told(fmt: str) -> None:
    @given(st.data())
    def never(data: st.DataObject) -> None:
        body, _ = told(fmt, data.draw(answers(fmt)), Request(format=fmt, model=MODEL))
        answered(fmt, encoded(data.draw(mutated(json.loads(body)))))

    never()


def answered(fmt: str, body: bytes) -> None:
    try:
        answer = grammar(fmt).read_answer(body, Names())
    except Refusal as refusal:
        assert refusal.status >= 400
        assert refusal.message
        return
    for client in FORMATS:
        msgspec.json.decode(told(client, copy.deepcopy(answer), Request(format=client, model=MODEL))[0])


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_bent_stream_ends_in_the_clients_grammar(shared: Path, fmt: str) -> None:
    """Recorded streams, their bytes or one event's JSON bent, in any pieces: every client is shown a sound stream."""
    found = [each["response"] for each in recorded(shared, fmt) if "sse" in each["response"]]
    short = [one for one in found if len("".join(one["sse"])) < 30_000]
    assert len(short) > 10

    @given(st.data())
    def never(data: st.DataObject) -> None:
        response = data.draw(st.sampled_from(short))
        frames = list(response["sse"])
        if data.draw(st.booleans()):
            at = data.draw(st.integers(0, len(frames) - 1))
            frames[at] = bent_frame(data, frames[at])
        stream = (response.get("sse_separator", "\n\n").join(frames) + response.get("sse_tail", "")).encode(
            errors="surrogatepass"
        )
        if data.draw(st.booleans()):
            stream = data.draw(bent_bytes(stream))
        shown(fmt, data.draw(chunked(stream)))

    never()


def bent_frame(data: st.DataObject, frame: str) -> str:
    lines = frame.split("\n")
    for at, line in enumerate(lines):
        if line.startswith("data: {"):
            lines[at] = "data: " + encoded(data.draw(mutated(json.loads(line[6:])))).decode()
    return "\n".join(lines)


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_bent_stream_of_nobodys_ends_in_the_clients_grammar(fmt: str) -> None:
    @given(st.data())
    def never(data: st.DataObject) -> None:
        asking = Request(format=fmt, model=MODEL, stream=True)
        stream, _ = streamed(fmt, data.draw(streams(data.draw(answers(ANY)))), asking)
        frames = stream.decode().split("\n\n")
        at = data.draw(st.integers(0, len(frames) - 1))
        frames[at] = bent_frame(data, frames[at])
        if data.draw(st.booleans()):
            other = data.draw(st.integers(0, len(frames) - 1))
            frames[at], frames[other] = frames[other], frames[at]
        shown(fmt, data.draw(chunked("\n\n".join(frames).encode(errors="surrogatepass"))))

    never()


def shown(fmt: str, chunks: list[bytes]) -> None:
    """Reads a vendor's stream, and shows it to a client of every format."""
    reader = grammar(fmt).reader(Names())
    events: list[Event] = []
    for chunk in chunks:
        events += reader.feed(chunk)
    events += reader.end()
    assert isinstance(events[-1], End | Fail), "neither an end nor a failure"
    assert not any(isinstance(event, End | Fail) for event in events[:-1]), "something after the end"
    assert reader.feed(b"data: {}\n\n") == []
    folding = Fold()
    try:
        folding.feed(Unwrap(Names()).feed(events))
        folding.answer()
    except Refusal:
        assert isinstance(events[-1], Fail)
    for client in FORMATS:
        stream, _ = streamed(client, events, Request(format=client, model=MODEL, stream=True))
        assert [fault for fault in faults(client, stream) if not any(word in fault for word in TWICE)] == []


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("member", ["messages", "input", "contents", "tools", "system", "metadata", "unheard-of"])
def test_a_request_nested_without_end_is_refused_or_relayed(fmt: str, member: str) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"properties":', b"}"), (b'{"content":[', b"]}")):
        for levels in (900, 100_000):
            nested = opening * levels + b"1" + closing * levels
            relayed(fmt, b'{"max_tokens":1,"' + member.encode() + b'":' + nested + b"}")


def test_an_empty_answer_is_still_told() -> None:
    for fmt in FORMATS:
        body, _ = told(fmt, Answer(), Request(format=fmt, model=MODEL))
        assert json.loads(body)
