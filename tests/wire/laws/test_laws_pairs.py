"""All sixteen pairs: what a client of one format says reaches a vendor of another, and the vendor's answer it."""

from __future__ import annotations

import copy
import json
from itertools import product

import msgspec
import pytest
from exchanges import ANY, CARRIED, answers, requests, streams
from grammars import faults
from hypothesis import given
from hypothesis import strategies as st
from talk import FORMATS, MODEL, STAMP, TARGET, asked, grammar, heard, streamed, told

from vaultd.wire import custom, thinking
from vaultd.wire.folding import fold
from vaultd.wire.ir import Answer, Call, Media, Part, Request, Result, Text, Thinking
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names

PAIRS = list(product(FORMATS, FORMATS))


@pytest.mark.parametrize(("client", "vendor"), PAIRS)
def test_a_request_arrives_with_no_loss_that_is_not_declared(client: str, vendor: str) -> None:
    @given(requests(client))
    def law(request: Request) -> None:
        body, _, _ = asked(client, request)
        read = grammar(client).read_request(body, model=MODEL, stream=request.stream)
        read.reasoning = thinking.fit(read, TARGET)
        sent, names, lost = asked(vendor, read)
        found = grammar(vendor).read_request(sent, model=MODEL, stream=request.stream)
        assert conversation(found, names, lost) == conversation(read, Names(), lost)
        assert [names.restore(tool.name) for tool in found.tools] == [tool.name for tool in read.tools]
        for member in CARRIED[client] & CARRIED[vendor]:
            same = shape(getattr(found, member)) == shape(getattr(read, member))
            assert same or lost, f"{member}: {getattr(read, member)} became {getattr(found, member)} in silence"
        for member in CARRIED[client] - CARRIED[vendor] - QUIET:
            said = getattr(read, member)
            assert not said or lost or shape(getattr(found, member)) == shape(said), f"{member} was lost in silence"

    law()


#: Left out without a word: hints that change no answer.
QUIET = frozenset({"reasoning"})


def shape(value: object) -> object:
    """A level and a budget are one word in two tongues; a schema's own name is the vendor's affair."""
    if value is True:  # several calls at once are what every vendor does unasked
        return None
    if isinstance(value, msgspec.Struct):
        name = type(value).__name__
        return name if name == "Reasoning" else (name, getattr(value, "kind", ""))
    return value


def conversation(request: Request, names: Names, lost: Loss) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """What was said, by whom, in order: what no vendor may be left without; and all media, which may be lost if that is
    said, and which Google is shown beside a tool's answer."""
    said: list[tuple[str, ...]] = [("system", text.text) for text in request.system]
    for turn in request.turns:
        for part in turn.parts:
            said += spoken(turn.role, part, names)
    joined: list[tuple[str, ...]] = []
    for each in said:
        if joined and each[0] != "media" and len(each) == len(joined[-1]) == 2 and joined[-1][0] == each[0]:
            joined[-1] = (each[0], joined[-1][1] + each[1])  # not every format keeps a border between texts
        elif each[0] != "media":
            joined.append(each)
    return joined, [] if lost else sorted(each for each in said if each[0] == "media")


def spoken(role: str, part: Part, names: Names) -> list[tuple[str, ...]]:
    match part:
        case Text():
            return [(role, part.text)]
        case Media():
            return [("media", part.data or part.url)]
        case Call():
            text = part.arguments
            if part.name and names.restore(part.name) in names.wrapped:
                text = custom.unwrapped(text)
            return [(role, "call", part.id, names.restore(part.name), text)]
        case Result():
            found: list[tuple[str, ...]] = [("result", part.call_id, names.restore(part.name))]
            for inner in part.parts:
                found += spoken(f"result {part.call_id}", inner, names)
            return found
        case _:  # thinking is its own vendor's
            return []


@pytest.mark.parametrize(("client", "vendor"), PAIRS)
def test_an_answer_arrives_whole_and_streamed(client: str, vendor: str) -> None:
    @given(st.data())
    def law(data: st.DataObject) -> None:
        answer = data.draw(answers(vendor))
        body, _ = told(vendor, answer, Request(format=vendor, model=MODEL))
        read = grammar(vendor).read_answer(body, Names())
        asking = Request(format=client, model=MODEL, stream=True)
        lost = Loss()
        whole = json.loads(grammar(client).write_answer(copy.deepcopy(read), asking, STAMP, lost))
        stream, _ = streamed(
            vendor, data.draw(streams(answer, eager=True)), Request(format=vendor, model=MODEL, stream=True)
        )
        shown, _ = streamed(client, heard(vendor, [stream]), asking)
        assert faults(client, shown) == []
        again = grammar(client).read_answer(json.dumps(whole).encode(), Names())
        assert essence(again, client) == essence(read, client)
        assert essence(fold(heard(client, [shown])), client) == essence(read, client)

    law()


def essence(answer: Answer, client: str) -> tuple[object, ...]:
    """What every client is told of an answer, whoever gave it."""
    texts = "".join(part.text for part in answer.parts if isinstance(part, Text))
    thoughts = "".join("".join(part.text.split()) for part in answer.parts if isinstance(part, Thinking))
    calls = [(part.id, part.name, part.arguments or "{}") for part in answer.parts if isinstance(part, Call)]
    usage = answer.usage
    counts = (usage.input, usage.output, usage.cached) if usage else ()
    reason = {"stop-sequence": "stop", "pause": "stop", "malformed": "stop"}.get(answer.reason, answer.reason)
    return texts, thoughts, calls, counts, reason


@pytest.mark.parametrize("vendor", FORMATS)
def test_a_request_of_everything_reaches_every_vendor(vendor: str) -> None:
    """Custom tools, odd names, other vendors' seals: no vendor's writer fails on what another's reader gave it."""

    @given(requests(ANY))
    def law(request: Request) -> None:
        _, names, _ = asked(vendor, request)
        sent = [names.send(tool.name) for tool in request.tools]
        assert len(set(sent)) == len(sent), "two tools of one name"
        assert all(len(name) <= 64 for name in sent)

    law()
