"""What the matrix asks about: each feature as something a client says or a vendor answers, and how to see that it
arrived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from talk import MODEL

from vaultd.wire.ir import (
    Answer,
    Call,
    Choice,
    Citation,
    Hosted,
    Media,
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
from vaultd.wire.usage import Usage

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = Tool(name="weather", description="tells the weather", schema=SCHEMA)
PNG = Media(kind="image", mime="image/png", data="aGk=")


@dataclass(frozen=True)
class Asked:
    """`says` makes the request; `heard` sees it in what the vendor was sent, read back."""

    name: str
    says: Callable[[], dict[str, Any]]
    heard: Callable[[Request], object]

    def request(self, client: str) -> Request:
        members = {"turns": [Turn("user", [Text("hello")])], "max_output": 50_000} | self.says()
        return Request(format=client, model=MODEL, **members)


@dataclass(frozen=True)
class Answered:
    """`says` makes the vendor's answer; `heard` sees it in what the client was told, read back."""

    name: str
    says: Callable[[], Answer]
    heard: Callable[[Answer], object]


def parts(request: Request, kind: type[Part]) -> list[Any]:
    return [part for turn in request.turns for part in turn.parts if isinstance(part, kind)]


def question(*more: Part) -> dict[str, Any]:
    return {"turns": [Turn("user", [Text("look"), *more])]}


def used(*results: Part, calls: int = 1) -> dict[str, Any]:
    """A conversation in which the tool was used."""
    made: list[Part] = [Call(f"call_{number}", "weather", '{"city":"Oslo"}') for number in range(calls)]
    shown: list[Any] = list(results) or [Text("rain")]
    told: list[Part] = [Result(f"call_{number}", "weather", shown) for number in range(calls)]
    turns = [Turn("user", [Text("the weather?")]), Turn("assistant", made), Turn("user", told)]
    return {"turns": turns, "tools": [TOOL]}


def answer(*said: Part, **more: Any) -> Answer:
    members: dict[str, Any] = {"id": "answer1", "model": MODEL, "usage": Usage(10, 5)} | more
    return Answer(parts=list(said), **members)


def texts(found: Answer) -> str:
    return "".join(part.text for part in found.parts if isinstance(part, Text))


def calls_in(found: Answer) -> list[tuple[str, str]]:
    return [(part.name, part.arguments) for part in found.parts if isinstance(part, Call)]


CALL = Call("call_1", "weather", '{"city":"Oslo"}')
CITED = Citation(url="https://host.example/a", title="a page", start=0, end=5)

ASKED = (
    Asked("system text", lambda: {"system": [Text("be brief")]}, lambda r: [t.text for t in r.system] == ["be brief"]),
    Asked(
        "several turns",
        lambda: {"turns": [Turn("user", [Text("a")]), Turn("assistant", [Text("b")]), Turn("user", [Text("c")])]},
        lambda r: [part.text for part in parts(r, Text)] == ["a", "b", "c"],
    ),
    Asked("tools", lambda: {"tools": [TOOL]}, lambda r: (r.tools[0].name, r.tools[0].schema) == ("weather", SCHEMA)),
    Asked(
        "tool choice: one tool",
        lambda: {"tools": [TOOL], "choice": Choice(mode="required", names=("weather",))},
        lambda r: r.choice == Choice(mode="required", names=("weather",)),
    ),
    Asked(
        "tool choice: none",
        lambda: {"tools": [TOOL], "choice": Choice(mode="none")},
        lambda r: r.choice == Choice(mode="none") or not r.tools,
    ),
    Asked("no parallel tools", lambda: {"tools": [TOOL], "parallel": False}, lambda r: r.parallel is False),
    Asked("tool result", used, lambda r: parts(r, Result)[0].parts == [Text("rain")]),
    Asked("parallel results", lambda: used(calls=2), lambda r: len(parts(r, Result)) == 2),
    Asked(
        "tool result with image",
        lambda: used(Text("see"), PNG),
        lambda r: (
            "aGk=" in [m.data for x in parts(r, Result) for m in x.parts if isinstance(m, Media)]
            or "aGk=" in [m.data for m in parts(r, Media)]
        ),
    ),
    Asked("image in", lambda: question(PNG), lambda r: [m.data for m in parts(r, Media)] == ["aGk="]),
    Asked(
        "image by URL",
        lambda: question(Media(kind="image", mime="image/png", url="https://host.example/a.png")),
        lambda r: [m.url for m in parts(r, Media)] == ["https://host.example/a.png"],
    ),
    Asked(
        "file in",
        lambda: question(Media(kind="file", mime="application/pdf", data="aGk=", name="a.pdf")),
        lambda r: [(m.kind, m.data) for m in parts(r, Media)] == [("file", "aGk=")],
    ),
    Asked(
        "audio in",
        lambda: question(Media(kind="audio", mime="audio/wav", data="aGk=")),
        lambda r: [(m.kind, m.data) for m in parts(r, Media)] == [("audio", "aGk=")],
    ),
    Asked("how much to think", lambda: {"reasoning": Reasoning(level="high", budget=24576)}, lambda r: r.reasoning),
    Asked(
        "JSON schema",
        lambda: {"output": Output(kind="schema", name="city", schema=SCHEMA)},
        lambda r: r.output and r.output.schema == SCHEMA,
    ),
    Asked("JSON", lambda: {"output": Output(kind="json")}, lambda r: r.output and r.output.kind == "json"),
    Asked("stop sequences", lambda: {"stop": ["END"]}, lambda r: r.stop == ["END"]),
    Asked("most tokens", lambda: {"max_output": 50_000}, lambda r: r.max_output == 50_000),
    Asked("temperature", lambda: {"temperature": 0.5}, lambda r: r.temperature == 0.5),
    Asked("top_p", lambda: {"top_p": 0.5}, lambda r: r.top_p == 0.5),
    Asked("top_k", lambda: {"top_k": 5}, lambda r: r.top_k == 5),
    Asked("seed", lambda: {"seed": 7}, lambda r: r.seed == 7),
    Asked("several answers", lambda: {"n": 2}, lambda r: r.n == 2),
    Asked(
        "web search",
        lambda: {"hosted": [Hosted(kind="web_search", name="web_search")]},
        lambda r: [tool.kind for tool in r.hosted] == ["web_search"],
    ),
    Asked(
        "custom tools",
        lambda: {"tools": [Tool(name="patch", description="takes text", kind="custom")]},
        lambda r: [tool.name for tool in r.tools] == ["patch"],
    ),
    Asked(
        "namespaced tools",
        lambda: {"tools": [Tool(name="sky__weather", namespace="sky", description="tells", schema=SCHEMA)]},
        lambda r: [tool.name for tool in r.tools] == ["sky__weather"],
    ),
    Asked("end user", lambda: {"user": "someone"}, lambda r: r.user == "someone"),
)

ANSWERED = (
    Answered("text", lambda: answer(Text("hello")), lambda a: texts(a) == "hello"),
    Answered(
        "thinking",
        lambda: answer(Thinking("hm"), Text("yes")),
        lambda a: [part.text for part in a.parts if isinstance(part, Thinking)] == ["hm"],
    ),
    Answered("tool call", lambda: answer(CALL, reason="tool"), lambda a: calls_in(a) == [(CALL.name, CALL.arguments)]),
    Answered(
        "parallel calls",
        lambda: answer(CALL, Call("call_2", "weather", '{"city":"Rome"}'), reason="tool"),
        lambda a: [text for _, text in calls_in(a)] == ['{"city":"Oslo"}', '{"city":"Rome"}'],
    ),
    Answered("tokens", lambda: answer(Text("x"), usage=Usage(10, 5)), lambda a: a.usage and a.usage[:2] == (10, 5)),
    Answered("cached tokens", lambda: answer(Text("x"), usage=Usage(10, 5, 4)), lambda a: a.usage and a.usage.cached),
    Answered(
        "reasoning tokens", lambda: answer(Text("x"), usage=Usage(10, 5, 0, 3)), lambda a: a.usage and a.usage.reasoning
    ),
    Answered("cut at its length", lambda: answer(Text("x"), reason="length"), lambda a: a.reason == "length"),
    Answered("stopped by a filter", lambda: answer(Text("x"), reason="filter"), lambda a: a.reason == "filter"),
    Answered("refusal", lambda: answer(Text("I will not", refusal=True)), lambda a: texts(a) == "I will not"),
    Answered(
        "citations",
        lambda: answer(Text("hello", citations=[CITED])),
        lambda a: [c.url for part in a.parts if isinstance(part, Text) for c in part.citations] == [CITED.url],
    ),
    Answered(
        "search told",
        lambda: answer(Search("srvtoolu_1", "q", [CITED]), Text("hello")),
        lambda a: any(isinstance(part, Search) for part in a.parts),
    ),
    Answered("image out", lambda: answer(Text("x"), PNG), lambda a: any(isinstance(part, Media) for part in a.parts)),
    Answered("second answer", lambda: answer(Text("x"), others=[Variant([Text("y")])]), lambda a: len(a.others) == 1),
)
