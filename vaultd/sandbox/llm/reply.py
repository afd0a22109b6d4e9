"""What the pretend model says: decided from the prompt alone, so that a test knows the answer beforehand.

    say WORD                 the answer is WORD
    count to N               the answer is `1 2 … N`, one event per number
    use tool NAME with {…}   a call of NAME (else of the first tool declared) with these arguments (else made up to fit
                             the schema); once its result is there, the answer is `The tool said: RESULT`
    anything else            `The sandbox heard: PROMPT`

No grammar in here: each of them reads a request into `Ask` and writes `Answer` out.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

_SAY = re.compile(r"\bsay\s+([\w-]+)", re.IGNORECASE)
_COUNT = re.compile(r"\bcount to (\d{1,5})\b", re.IGNORECASE)
_USE = re.compile(r"\buse (?:the |a )?tool(?:\s+([\w.:-]+))?(?:\s+with\s+(\{.*\}))?", re.IGNORECASE | re.DOTALL)

#: What is quoted back of a prompt or a tool result: enough to recognise it in a test.
_QUOTED = 200


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the client declared. `custom` takes free text where others take JSON."""

    name: str
    schema: dict[str, Any] = field(default_factory=dict)
    custom: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request asks for, whatever its grammar.

    `prompt` is the last user turn; `tool_result` is set only where a tool's result came after it.
    """

    model: str
    prompt: str
    stream: bool
    tools: tuple[Tool, ...] = ()
    tool_result: str | None = None
    #: The client insists on a tool: its name, or `*` for any.
    forced: str = ""
    thinking: bool = False
    #: All text of the request, for counting.
    said: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: dict[str, Any]
    custom: bool = False

    @property
    def json(self) -> str:
        return msgspec.json.encode(self.arguments).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say. `pieces` joined are `text`."""

    id: str
    model: str
    pieces: tuple[str, ...]
    tool: ToolCall | None
    thinking: str
    input_tokens: int
    output_tokens: int
    thinking_tokens: int

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def tokens_of(text: str) -> int:
    """A token count anybody can check: the words, and never nothing."""
    return max(1, len(text.split()))


def answer(ask: Ask) -> Answer:
    """The answer to `ask`, the same every time."""
    tool = None if ask.tool_result is not None else _tool_call(ask)
    text = "" if tool else _text(ask)
    thinking = "The sandbox thought about it." if ask.thinking else ""
    return Answer(
        id=hashlib.sha256(f"{ask.model}:{ask.said}".encode()).hexdigest()[:24],
        model=ask.model,
        pieces=tuple(re.findall(r"\S+\s*", text)),
        tool=tool,
        thinking=thinking,
        input_tokens=tokens_of(ask.said),
        output_tokens=tokens_of(tool.json if tool else text) + (tokens_of(thinking) if thinking else 0),
        thinking_tokens=tokens_of(thinking) if thinking else 0,
    )


def _text(ask: Ask) -> str:
    if ask.tool_result is not None:
        return f"The tool said: {ask.tool_result[:_QUOTED]}"
    if said := _SAY.search(ask.prompt):
        return said[1]
    if count := _COUNT.search(ask.prompt):
        return " ".join(str(number) for number in range(1, int(count[1]) + 1))
    return f"The sandbox heard: {ask.prompt.strip()[:_QUOTED]}"


def _tool_call(ask: Ask) -> ToolCall | None:
    wish = _USE.search(ask.prompt)
    if not ask.tools or not (wish or ask.forced):
        return None
    named = ask.forced.strip("*") or (wish[1] if wish else "")
    tool = next((tool for tool in ask.tools if tool.name == named), ask.tools[0])
    arguments = _stated(wish[2] if wish else None)
    if arguments is None:
        arguments = _made_up(tool.schema)
    call_id = hashlib.sha256(f"{tool.name}:{ask.said}".encode()).hexdigest()[:16]
    return ToolCall(call_id, tool.name, arguments, tool.custom)


def _stated(text: str | None) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text or "")
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def _made_up(schema: dict[str, Any]) -> dict[str, Any]:
    """Arguments with every required member, of the right type."""
    properties = schema.get("properties") or {}
    return {name: _value(properties.get(name) or {}) for name in schema.get("required") or []}


def _value(schema: dict[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "string")
    # JSON Schema writes types small, Gemini's OpenAPI subset in capitals.
    match (kind[0] if isinstance(kind, list) else kind).lower():
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case "array":
            return []
        case "object":
            return _made_up(schema)
        case _:
            return "sandbox"
