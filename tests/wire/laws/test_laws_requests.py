"""`read(write(x)) == x` for requests: what one vendor is sent says all that the client said, or says what it lacks."""

from __future__ import annotations

import copy

import msgspec
import pytest
from exchanges import ANY, ANY_ONE, requests
from hypothesis import find, given
from hypothesis import strategies as st
from talk import FORMATS, MODEL, asked, differences, grammar

from vaultd.wire.ir import Call, Media, Part, Reasoning, Request, Result, Text
from vaultd.wire.turns import settle

#: How a format spells how much to think: the other word follows from it (`wire.thinking`).
SPELLS = {
    "openai-chat": ("level",),
    "openai-responses": ("level",),
    "anthropic-messages": ("budget",),
    "gemini": ("budget",),
}


def expected(fmt: str, request: Request) -> Request:
    """The request as its own format can only say it: the one normalisation that reading makes of writing."""
    known = copy.deepcopy(request)
    if known.reasoning is not None:
        kept = {name: getattr(known.reasoning, name) for name in SPELLS[fmt]}
        known.reasoning = Reasoning(**kept)
    if fmt == "gemini":  # an image that a tool shows stands beside its answer
        for turn in known.turns:
            turn.parts = shown_beside(turn.parts)
    if fmt == "openai-responses":
        for tool in known.tools:  # Responses takes a tool for strict where nothing is said
            tool.strict = bool(tool.strict) if tool.kind == "function" else None
    return known


def shown_beside(parts: list[Part]) -> list[Part]:
    results = [part for part in parts if isinstance(part, Result)]
    shown: list[Part] = [media for result in results for media in result.parts if isinstance(media, Media)]
    for result in results:
        result.parts = [part for part in result.parts if isinstance(part, Text)]
    return [*results, *shown, *[part for part in parts if not isinstance(part, Result)]]


def read_back(fmt: str, body: bytes, request: Request) -> Request:
    found = grammar(fmt).read_request(body, model=MODEL, stream=request.stream)
    found.echo = {}  # not what was asked, but the words it was asked in
    if found.reasoning is not None:
        found.reasoning = msgspec.structs.replace(found.reasoning, summary="")
    return found


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_written_request_reads_as_it_was(fmt: str) -> None:
    @given(requests(fmt))
    def law(request: Request) -> None:
        before = copy.deepcopy(request)
        body, _, lost = asked(fmt, request)
        assert request == before, "a writer changed what it was given"
        if not lost:
            assert differences(read_back(fmt, body, request), expected(fmt, request)) == []

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_law_is_about_rich_requests(fmt: str) -> None:
    """No loss is reported on a request with tools, calls, results and a system text: the law above is no empty one."""

    def rich(request: Request) -> bool:
        kinds = {type(part) for turn in request.turns for part in turn.parts}
        return {Call, Result} <= kinds and bool(request.system and request.tools) and not asked(fmt, request)[2]

    assert rich(find(requests(fmt), rich, settings=ANY_ONE))


@pytest.mark.parametrize("fmt", FORMATS)
def test_any_request_is_written_or_names_what_is_lost(fmt: str) -> None:
    """What any format can say, to every vendor: the conversation itself is never lost in silence."""

    @given(requests(ANY))
    def law(request: Request) -> None:
        body, names, lost = asked(fmt, request)
        found = read_back(fmt, body, request)
        assert [turn.role for turn in found.turns if turn.role != "system"], "nobody says anything"
        calls = [part.id for turn in request.turns for part in turn.parts if isinstance(part, Call)]
        kept = [part.id for turn in found.turns for part in turn.parts if isinstance(part, Call)]
        assert len(kept) == len(calls)
        restored = [names.restore(part.name) for turn in found.turns for part in turn.parts if isinstance(part, Call)]
        assert restored == [part.name for turn in request.turns for part in turn.parts if isinstance(part, Call)]
        for name in ("temperature", "top_k", "stop", "n", "seed", "verbosity", "metadata", "cache_key"):
            said = getattr(request, name)
            assert not said or getattr(found, name) == said or lost, f"{name} was lost in silence"
        assert differences(settle(copy.deepcopy(found)), found) == [], "a reader leaves nothing to settle"

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_one_body_reads_one_way(fmt: str) -> None:
    """Whitespace and the order of members mean nothing."""

    @given(requests(fmt), st.sampled_from([None, 2]))
    def law(request: Request, indent: int | None) -> None:
        body, _, _ = asked(fmt, request)
        members = msgspec.json.decode(body)
        turned = msgspec.json.format(msgspec.json.encode(dict(reversed(members.items()))), indent=indent or 0)
        assert differences(read_back(fmt, turned, request), read_back(fmt, body, request)) == []

    law()
