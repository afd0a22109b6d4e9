"""Custom tools for vendors that only know functions: the free text travels as `{"input": …}`, and is unwrapped on its
way back.

OpenAI's custom tools take text in a grammar of their own (Codex's `apply_patch` and `exec`).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from vaultd.wire.ir import Answer, Call, Close, Delta, Event, Open, Part, Tool, Variant
from vaultd.wire.names import Names

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
#: A text that was not closed, without what an escape had begun with. A pair of surrogates is one letter.
_OPEN: Final = re.compile(
    r"""\s*\{\s*"input"\s*:\s*"((?:[^"\\]|\\(?:[^u]|u(?![dD][89abAB])[0-9a-fA-F]{4}|u[0-9a-fA-F]{4}\\u[0-9a-fA-F]{4}))*)"""
    r"(?:\\[u0-9a-fA-F\\]*)?"
)


def wrapped(text: str) -> str:
    return msgspec.json.encode({"input": text}).decode()


def unwrapped(arguments: str) -> str:
    """The text in it, as far as it goes where the model was cut off; what the model wrote where it wrote something
    else."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return _begun(arguments)
    text = value.get("input") if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def _begun(arguments: str) -> str:
    found = _OPEN.fullmatch(arguments)
    if found is None:
        return arguments
    try:
        return msgspec.json.decode(f'"{found[1]}"', type=str)
    except msgspec.DecodeError:
        return arguments


def in_grammar(tool: Tool) -> bool:
    """Whether the tool's text is held to a grammar, as no function's argument is."""
    return isinstance(tool.grammar, dict) and tool.grammar.get("type") != "text"


def as_function(tool: Tool) -> Tool:
    """The tool as a vendor without custom tools is shown it."""
    return msgspec.structs.replace(tool, kind="function", schema=SCHEMA, grammar=None, strict=None)


class Unwrap:
    """A stage between reader and writer. The text of a wrapped call is held until it is whole."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._held: dict[int, list[str]] = {}

    def feed(self, events: list[Event]) -> list[Event]:
        if not self._names.wrapped:
            return events
        out: list[Event] = []
        for event in events:
            if isinstance(event, Open) and isinstance(event.part, Call) and event.part.name in self._names.wrapped:
                self._held[event.block] = []
                out.append(Open(event.block, msgspec.structs.replace(event.part, kind="custom"), event.choice))
            elif isinstance(event, Delta) and event.block in self._held:
                self._held[event.block].append(event.text)
            elif isinstance(event, Close) and event.block in self._held:
                text = unwrapped("".join(self._held.pop(event.block)))
                part = event.part
                if text:
                    out.append(Delta(event.block, text))
                out.append(Close(event.block, msgspec.structs.replace(part, kind="custom") if part else None))
            else:
                out.append(event)
        return out

    def answer(self, answer: Answer) -> Answer:
        if self._names.wrapped:
            answer.parts = [self._part(part) for part in answer.parts]
            answer.others = [Variant([self._part(part) for part in v.parts], v.reason) for v in answer.others]
        return answer

    def _part(self, part: Part) -> Part:
        if isinstance(part, Call) and part.name in self._names.wrapped:
            return msgspec.structs.replace(part, kind="custom", arguments=unwrapped(part.arguments))
        return part
