"""Exchanges nobody wrote down: requests, answers and streams as hypothesis makes them, in the representation.

`requests(format)` and `answers(format)` make what that format can say, in its normal form (`wire.turns`), so that the
laws are about nearly every example; `ANY` makes what only some format can say.
"""

from __future__ import annotations

import base64
import copy
import itertools
import os
from functools import cache
from typing import Any, Final

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from talk import FORMATS, MODEL

from vaultd.wire import signature
from vaultd.wire.folding import unfold
from vaultd.wire.ir import (
    Answer,
    Call,
    Choice,
    Citation,
    Close,
    Delta,
    Event,
    Media,
    Open,
    Output,
    Part,
    Reasoning,
    Request,
    Result,
    Search,
    Text,
    Thinking,
    Tool,
    Turn,
    Variant,
)
from vaultd.wire.thinking import budget_of
from vaultd.wire.turns import settle
from vaultd.wire.usage import Usage

#: `HYPOTHESIS_PROFILE=hour` is `make fuzz`: the same properties, far more examples.
_SLOW: Final = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
#: No explanations: they trace each line, and make what fails slow to say so.
_PHASES: Final = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
settings.register_profile("base", deadline=None, suppress_health_check=_SLOW, phases=_PHASES)
settings.register_profile("ci", settings.get_profile("base"), max_examples=20, database=None)
#: To find one example, whatever it looks like.
ANY_ONE: Final = settings(deadline=None, database=None, max_examples=1000, phases=[Phase.generate])
settings.register_profile("hour", settings.get_profile("base"), max_examples=6000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

ANY: Final = "any"

#: Members of a request that a format has a word for, beside the conversation and its tools.
CARRIED: Final[dict[str, frozenset[str]]] = {
    fmt: frozenset(said.split())
    for fmt, said in {
        "openai-chat": """max_output temperature top_p top_k stop n seed presence_penalty frequency_penalty parallel
            verbosity modalities image user cache_key tier metadata output reasoning""",
        "openai-responses": """max_output temperature top_p parallel verbosity user cache_key tier metadata output
            reasoning""",
        "anthropic-messages": "temperature top_k stop parallel user reasoning",
        "gemini": """max_output temperature top_p top_k stop n seed presence_penalty frequency_penalty modalities image
            output reasoning""",
    }.items()
}


# Words.

#: No surrogates: a text that has one is no JSON. Never only space: such texts may be left out.
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=24).filter(lambda text: text.strip())
plain_words = st.text("abcdefghijklmnopqrstuvwxyz ÄÖ漢字🙂", min_size=1, max_size=16).filter(lambda text: text.strip())
names = st.builds(
    lambda first, rest: first + rest,
    st.sampled_from("abcXYZ_"),
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", max_size=16),
)
#: As MCP servers name their tools: too long, or with what no vendor takes.
odd_names = st.one_of(
    names,
    st.builds(
        lambda server, tool: f"mcp__{server}__{tool}",
        st.text("abcdef", min_size=20, max_size=40),
        st.text("abc_def", min_size=20, max_size=40),
    ),
    st.text("0123abc.:/ äß-", min_size=1, max_size=90),
)
tokens = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=8, max_size=20)
ids = tokens.map(lambda text: f"call_{text}")
blobs = st.binary(min_size=1, max_size=24).map(lambda data: base64.b64encode(data).decode())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | plain_words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
arguments = st.dictionaries(names, values, max_size=3).map(lambda value: msgspec.json.encode(value).decode())
fractions = st.integers(0, 20).map(lambda number: number / 20)

schemas = st.dictionaries(
    names,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "number", "boolean"])}, optional={"description": plain_words}
    ),
    max_size=3,
).map(lambda members: {"type": "object", "properties": members})


@cache
def signatures(fmt: str) -> st.SearchStrategy[str]:
    """A vendor's seal in the words in which it travels; not every vendor's is sound base64."""
    seals = blobs | st.just("gAAAAfake-encrypted-reasoning")
    return seals.map(lambda text: signature.carry(text, fmt))


# Media.


@cache
def images(fmt: str) -> st.SearchStrategy[Media]:
    mimes = st.sampled_from(["image/png", "image/jpeg"])
    inline = st.builds(lambda mime, data: Media(kind="image", mime=mime, data=data), mimes, blobs)
    if fmt == "gemini":
        return inline | st.builds(
            lambda mime, name: Media(kind="image", mime=mime, url=f"https://host.example/{name}"), mimes, names
        )
    linked = names.map(lambda name: Media(kind="image", url=f"https://host.example/{name}"))
    return inline | linked


@cache
def documents(fmt: str) -> st.SearchStrategy[Media]:
    named = st.just("") if fmt == "gemini" else names.map(lambda name: f"{name}.pdf")
    return st.builds(lambda name, data: Media(kind="file", mime="application/pdf", data=data, name=name), named, blobs)


@cache
def sounds() -> st.SearchStrategy[Media]:
    return blobs.map(lambda data: Media(kind="audio", mime="audio/wav", data=data))


@cache
def seen(fmt: str) -> st.SearchStrategy[Media]:
    """What a user shows."""
    shown = images(fmt) | documents(fmt)
    return shown | sounds() if fmt in {"openai-chat", "gemini", ANY} else shown


# Conversations.


@st.composite
def rounds(draw: st.DrawFn, fmt: str, tools: list[Tool]) -> list[Turn]:
    """A conversation of up to three questions, the last one open; calls have their results behind them."""
    turns: list[Turn] = []
    taken: set[str] = set()
    for _ in range(draw(st.integers(0, 2))):
        turns.append(Turn("user", draw(_questions(fmt))))
        said: list[Part] = draw(_statements(fmt))
        acts = draw(_acts()) if tools else []
        calls = {act[1]: _made(tools, act) for act in acts if act[1] not in taken}
        taken |= set(calls)
        if not calls and not any(isinstance(part, Text) for part in said):  # no vendor takes a thought alone
            said = [*said, Text("hm")]
        turns.append(Turn("assistant", [*said, *calls.values()]))
        if calls:
            turns.append(Turn("user", [_answered(call, draw(_shown(fmt))) for call in calls.values()]))
    turns.append(Turn("user", draw(_questions(fmt))))
    return turns


@cache
def _questions(fmt: str) -> st.SearchStrategy[list[Part]]:
    shown = st.lists(words.map(Text) | seen(fmt), max_size=2)
    return st.builds(lambda text, more: [Text(text), *more], words, shown)


@cache
def _statements(fmt: str) -> st.SearchStrategy[list[Part]]:
    """No thought is sent back to Gemini, which keeps no border between two texts of a model."""
    thoughts = st.lists(_thoughts(fmt), max_size=0 if fmt == "gemini" else 1)
    texts = st.lists(words.map(Text), max_size=1 if fmt == "gemini" else 2)
    return st.builds(lambda first, then: [*first, *then], thoughts, texts)


@cache
def _thoughts(fmt: str) -> st.SearchStrategy[Part]:
    if fmt == "openai-chat":
        return words.map(Thinking)
    if fmt == ANY:
        return st.sampled_from(FORMATS).flatmap(
            lambda each: st.builds(Thinking, words, signatures(each) if each != "openai-chat" else st.just(""))
        )
    return st.builds(Thinking, words, signatures(fmt))


@cache
def _acts() -> st.SearchStrategy[list[tuple[int, str, str, str]]]:
    """Of calls: which tool, the id, and what is said where it is a function, or a custom tool."""
    return st.lists(st.tuples(st.integers(0, 2), ids, arguments, words), max_size=3)


def _made(tools: list[Tool], act: tuple[int, str, str, str]) -> Call:
    number, call_id, spoken, free = act
    tool = tools[number % len(tools)]
    return Call(call_id, tool.name, free if tool.kind == "custom" else spoken, tool.kind)


@cache
def _shown(fmt: str) -> st.SearchStrategy[tuple[list[Any], bool]]:
    """What a tool answers, and whether it failed."""
    parts = st.builds(lambda text, more: [Text(text), *more], plain_words, st.lists(images(fmt), max_size=1))
    return st.tuples(parts, st.booleans() if fmt in {"anthropic-messages", ANY} else st.just(value=False))


def _answered(call: Call, shown: tuple[list[Any], bool]) -> Result:
    return Result(call.id, call.name, shown[0], is_error=shown[1], kind=call.kind)


@cache
@st.composite
def _tools(draw: st.DrawFn, fmt: str) -> list[Tool]:
    kinds = ["function", "custom"] if fmt in {"openai-responses", ANY} else ["function"]
    found: dict[str, Tool] = {}
    for name in draw(st.lists(odd_names if fmt == ANY else names, max_size=3)):
        kind = draw(st.sampled_from(kinds))
        schema = draw(schemas) if kind == "function" else None
        tool = Tool(name=name, description=draw(plain_words), schema=schema, kind=kind)  # type: ignore[arg-type]
        found.setdefault(name.lower(), tool)
    return list(found.values())


# Requests.


@cache
def _members(fmt: str) -> dict[str, st.SearchStrategy[Any]]:
    tiers = ["flex", "priority"]
    levels = st.sampled_from(["minimal", "low", "medium", "high"])
    known: dict[str, st.SearchStrategy[Any]] = {
        "max_output": st.integers(40_000, 60_000),
        "temperature": fractions,
        "top_p": fractions,
        "top_k": st.integers(1, 100),
        "stop": st.lists(plain_words, min_size=1, max_size=3, unique=True),
        "n": st.integers(2, 4),
        "seed": st.integers(0, 2**31 - 1),
        "presence_penalty": fractions,
        "frequency_penalty": fractions,
        "parallel": st.booleans() if fmt != "anthropic-messages" else st.just(value=False),
        "verbosity": st.sampled_from(["low", "high"]),
        "modalities": st.just(["text", "image"]),
        "image": st.fixed_dictionaries({"aspect_ratio": st.sampled_from(["1:1", "16:9"])}),
        "user": names,
        "cache_key": names,
        "tier": st.sampled_from(tiers),
        "metadata": st.dictionaries(names, plain_words, min_size=1, max_size=2),
        "output": _outputs(fmt),
        "reasoning": levels.map(lambda level: Reasoning(level=level, budget=budget_of(level))),
    }
    carried = set().union(*CARRIED.values()) if fmt == ANY else CARRIED[fmt]
    return {name: strategy for name, strategy in known.items() if name in carried}


@cache
def _outputs(fmt: str) -> st.SearchStrategy[Output]:
    named = names if fmt != "gemini" else st.just("")
    strict = st.booleans() if fmt != "gemini" else st.none()
    schema = st.builds(
        lambda name, form, firm: Output(kind="schema", name=name, schema=form, strict=firm), named, schemas, strict
    )
    return schema | st.just(Output(kind="json"))


@cache
@st.composite
def requests(draw: st.DrawFn, fmt: str) -> Request:
    tools = draw(_tools(fmt))
    members = {name: draw(strategy) for name, strategy in _members(fmt).items() if draw(st.integers(0, 3)) == 0}
    if fmt == "anthropic-messages":  # it wants one
        members["max_output"] = draw(st.integers(40_000, 60_000))
        if "reasoning" in members:  # neither goes with thinking
            members.pop("temperature", None)
            members.pop("top_k", None)
    if not tools:
        members.pop("parallel", None)
    elif draw(st.booleans()):
        mode = draw(st.sampled_from(["auto", "none", "required", "one"]))
        one = draw(st.sampled_from(tools))
        chosen = Choice(mode="required", names=(one.name,)) if mode == "one" else Choice(mode=mode)  # type: ignore[arg-type]
        if "reasoning" not in members or mode in {"auto", "none"}:
            members["choice"] = chosen
        if mode == "none":
            members.pop("parallel", None)
    if fmt == "anthropic-messages" and "parallel" in members:  # said within the choice
        members.setdefault("choice", Choice(mode="auto"))
    stream = draw(st.booleans()) if fmt != "gemini" else True
    request = Request(
        format=fmt if fmt != ANY else "openai-chat",
        model=MODEL,
        stream=stream,
        system=[Text(text) for text in draw(st.lists(words, max_size=2))],
        turns=draw(rounds(fmt, tools)),
        tools=tools,
        **members,
    )
    return settle(copy.deepcopy(request))


# Answers.


@cache
@st.composite
def answers(draw: st.DrawFn, fmt: str) -> Answer:
    parts = draw(_said(fmt))
    for at, part in enumerate(parts):
        if isinstance(part, Search):
            part.id += f"_{at}"  # no vendor gives one id to two searches
    others: list[Variant] = []
    if fmt in {"openai-chat", "gemini", ANY}:
        count = draw(st.sampled_from([0, 0, 0, 1, 2]))
        others = [_variant(number, draw(_said(fmt))) for number in range(1, count + 1)]
    reason = draw(st.sampled_from(["stop", "length", "filter"]))
    stop = ""
    if any(isinstance(part, Call) for part in parts):
        reason = "tool"
    elif fmt in {"anthropic-messages", ANY}:
        reason = draw(st.sampled_from([reason, "stop-sequence", "pause"]))
        stop = draw(plain_words) if reason == "stop-sequence" else ""
    return Answer(
        id=draw(_answer_ids(fmt)),
        model=draw(names),
        created=1_700_000_000 if fmt in {"openai-chat", "openai-responses"} else 0,
        parts=parts,
        reason=reason,  # type: ignore[arg-type]
        stop=stop,
        usage=draw(usages(fmt)),
        others=others,
    )


def _variant(number: int, parts: list[Part]) -> Variant:
    """Ids of calls are one for all choices."""
    for part in parts:
        if isinstance(part, Call):
            part.id += f"-{number}"
    return Variant(parts, "tool" if any(isinstance(part, Call) for part in parts) else "stop")


@cache
def _answer_ids(fmt: str) -> st.SearchStrategy[str]:
    prefix = {"openai-chat": "chatcmpl-", "openai-responses": "resp_", "anthropic-messages": "msg_"}.get(fmt, "")
    return tokens.map(lambda text: prefix + text)


@cache
@st.composite
def usages(draw: st.DrawFn, fmt: str) -> Usage:
    cached = draw(st.integers(0, 1000))
    written = draw(st.integers(0, 1000)) if fmt in {"anthropic-messages", ANY} else 0
    reasoning = draw(st.integers(0, 1000)) if fmt != "anthropic-messages" else 0
    return Usage(
        draw(st.integers(0, 1000)) + cached + written,
        draw(st.integers(0, 1000)) + reasoning,
        cached,
        reasoning,
        written,
    )


@cache
@st.composite
def _said(draw: st.DrawFn, fmt: str) -> list[Part]:
    """The parts of one answer. Chat and Gemini keep no border between two texts, nor chat an order of kinds."""
    thinking = draw(st.lists(_thinking(fmt), max_size=1))
    texts = draw(st.lists(_texts(fmt), max_size=1))
    more: list[Part] = []
    if fmt == ANY:
        more = draw(st.lists(_texts(fmt) | _thinking(fmt) | images("gemini") | _searches(), max_size=3))
    elif fmt in {"openai-chat", "gemini"}:
        more = draw(st.lists(_drawn(), max_size=1))
    found = draw(st.lists(st.builds(Call, ids, odd_names if fmt == ANY else names, arguments), max_size=3))
    calls = list({call.id: call for call in found}.values())
    if fmt == ANY:
        return draw(st.permutations([*thinking, *texts, *more, *calls]))
    return [*thinking, *texts, *more, *calls]


@cache
def _thinking(fmt: str) -> st.SearchStrategy[Part]:
    if fmt in {"openai-chat", "gemini"}:
        return words.map(Thinking)
    return st.builds(Thinking, words, signatures("anthropic-messages" if fmt == ANY else fmt))


@cache
def _texts(fmt: str) -> st.SearchStrategy[Part]:
    if fmt != ANY:
        return words.map(Text)
    cited = st.builds(lambda name: Citation(url=f"https://host.example/{name}", title=name), names)
    return st.builds(lambda text, found: Text(text, citations=found), words, st.lists(cited, max_size=2))


@cache
def _drawn() -> st.SearchStrategy[Part]:
    return blobs.map(lambda data: Media(kind="image", mime="image/png", data=data))


@cache
def _searches() -> st.SearchStrategy[Part]:
    found = st.lists(names.map(lambda name: Citation(url=f"https://host.example/{name}", title=name)), max_size=2)
    return st.builds(lambda at, query, hits: Search(f"srvtoolu_{at}", query, hits), names, plain_words, found)


# Streams.


@st.composite
def streams(draw: st.DrawFn, answer: Answer, *, eager: bool = False) -> list[Event]:
    """`answer` in time: its texts in pieces, its blocks side by side, as no vendor but any vendor might send it.
    `eager`: each block says something as soon as it is open, for a reader knows no block before."""
    events = unfold(answer)
    waiting = _blocks(events)
    told: list[Event] = [events[0]]
    opened = 0
    running: list[list[Event]] = []
    while opened < len(waiting) or running:
        at = draw(st.integers(0, len(running)))
        if at == len(running):
            if opened == len(waiting):
                continue
            running.append(_in_pieces(draw, waiting[opened]))
            opened += 1
        first = isinstance(running[at][0], Open)
        told.append(running[at].pop(0))
        if eager and first and isinstance(running[at][0], Delta):
            told.append(running[at].pop(0))
        if not running[at]:
            del running[at]
    return [*told, events[-1]]


def _blocks(events: list[Event]) -> list[list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in events:
        if isinstance(event, Open | Delta | Close):
            found.setdefault(event.block, []).append(event)
    return list(found.values())


def _in_pieces(draw: st.DrawFn, block: list[Event]) -> list[Event]:
    out: list[Event] = []
    for event in block:
        if isinstance(event, Delta) and len(event.text) > 1:
            cuts = sorted(draw(st.sets(st.integers(1, len(event.text) - 1), max_size=3)))
            borders = [0, *cuts, len(event.text)]
            out += [Delta(event.block, event.text[a:b]) for a, b in itertools.pairwise(borders)]
        else:
            out.append(event)
    return out


@st.composite
def chunked(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """The same bytes in pieces of any size."""
    cuts = sorted(draw(st.sets(st.integers(0, len(stream)), max_size=12)))
    borders = [0, *cuts, len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(borders)]
