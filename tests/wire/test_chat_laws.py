"""Chat's own round trip: what a client is told reads back as it was, however its vendor's events were mixed; and every
recorded answer reads whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

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
    Open,
    Part,
    Request,
    Stamp,
    Text,
    Thinking,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.face import usage as usage_in
from vaultd.wire.openai_chat.grammar import read_answer, reader, write_answer, writer
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

STAMP = Stamp(1_760_000_000, "0123456789abcdef")
ASKING = Request(format="openai-chat", model="alias", stream=True)

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8), min_size=1, max_size=4)


@st.composite
def blocks(draw: st.DrawFn) -> list[tuple[Part, list[str], Part | None]]:
    """A choice's blocks in chat's order: each as it opens, what is said in it, and as it closes."""
    found: list[tuple[Part, list[str], Part | None]] = []
    if draw(st.booleans()):
        found.append((Thinking(""), draw(texts), None))
    if draw(st.booleans()):
        said = draw(texts)
        size = len("".join(said))
        start, end = sorted(draw(st.tuples(st.integers(0, size), st.integers(0, size))))
        cited = [Citation(url="https://host.example", title="A", start=start, end=end)]
        found.append((Text(""), said, Text("", citations=cited) if draw(st.booleans()) else None))
    if draw(st.booleans()):
        found.append((Text("", refusal=True), draw(texts), None))
    if draw(st.booleans()):
        found.append((Media(kind="image", mime="image/png", data="AAAA"), [], None))
    for number in range(draw(st.integers(0, 3))):
        kind = draw(st.sampled_from(["function", "custom"]))
        found.append((Call(f"call_{number}", "see", kind=kind), draw(texts), None))  # type: ignore[arg-type]
    return found


@st.composite
def mixed(draw: st.DrawFn) -> list[Event]:
    """Every block opens in its turn; deltas and closes come in any legal order."""
    said = draw(blocks())
    moves = draw(
        st.permutations([at for at, (_, pieces, _) in enumerate(said) for _ in range(len(pieces) + 1)])
        | st.just([at for at, (_, pieces, _) in enumerate(said) for _ in range(len(pieces) + 1)])
    )
    events: list[Event] = [Begin("chatcmpl-7", "up-model", 1_700_000_000)]
    opened = 0
    left = [list(pieces) for _, pieces, _ in said]
    for at in moves:
        while opened <= at:
            events.append(Open(opened, said[opened][0]))
            opened += 1
        events.append(Delta(at, left[at].pop(0)) if left[at] else Close(at, said[at][2]))
    called = any(isinstance(part, Call) for part, _, _ in said)
    reason = draw(st.sampled_from(["length", "filter", "tool" if called else "stop"]))
    usage = draw(st.none() | st.builds(lambda count: Usage(count, count + 1, count, 1), st.integers(1, 9)))
    return [*events, End(reason, usage)]  # type: ignore[arg-type]


def heard(stream: bytes, size: int = 1 << 20) -> list[Event]:
    reading = reader(Names())
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    return [event for piece in pieces for event in reading.feed(piece)] + reading.end()


@settings(deadline=None)
@given(mixed(), st.integers(1, 40))
def test_what_is_told_reads_back(events: list[Event], size: int) -> None:
    answer = fold(events)
    lost = Loss()
    writing = writer(ASKING, STAMP, lost)
    stream = b"".join([writing.feed([event]) for event in events])
    assert fold(heard(stream)) == answer
    assert heard(stream, size) == heard(stream)
    assert read_answer(write_answer(answer, ASKING, STAMP, lost), Names()) == answer
    assert not lost


def recordings(shared: Path) -> list[tuple[str, dict[str, Any]]]:
    files = sorted((shared / "fixtures" / "openai-chat").glob("*.json"))
    found = [(file.stem, json.loads(file.read_text())["response"]) for file in files]
    return [(name, response) for name, response in found if response["status"] == 200]


def test_recorded_streams_read_whole(shared: Path) -> None:
    read = 0
    for name, response in recordings(shared):
        if "sse" not in response:
            continue
        frames = response["sse"]
        failed = any('"error":{' in frame for frame in frames)
        whole = (response.get("sse_separator", "\n\n").join(frames) + response.get("sse_tail", "")).encode()
        events = heard(whole)
        assert isinstance(events[-1], Fail if failed else End), name
        if not failed:
            found = fold(events)
            assert found.id and found.model, name
            assert found.parts, name
            assert read_answer(write_answer(found, ASKING, STAMP, Loss()), Names()).usage == found.usage, name
        read += 1
    assert read >= 30


def test_recorded_answers_read_whole(shared: Path) -> None:
    read = 0
    for name, response in recordings(shared):
        body = json.dumps(response.get("body")).encode()
        if "sse" in response:
            continue
        try:
            found = read_answer(body, Names())
        except Refusal:
            assert "choices" not in response["body"], name
            continue
        told, stated = found.usage, usage_in(body)
        assert told is not None and stated is not None, name
        assert (told.input, told.output) == (stated.input, stated.output), name
        # Azure's filter leaves a choice without a message.
        content = response["body"]["choices"][0].get("message", {}).get("content") or ""
        assert "".join(part.text for part in found.parts if isinstance(part, Text) and not part.refusal) == content, (
            name
        )
        read += 1
    assert read >= 30


def test_an_answer_without_parts_reads_back() -> None:
    nothing = Answer(id="x", model="m", created=1)
    assert read_answer(write_answer(nothing, ASKING, STAMP, Loss()), Names()) == nothing
