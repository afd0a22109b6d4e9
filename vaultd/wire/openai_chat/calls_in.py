"""Tool calls out of fragments, as upstreams really send them.

The name before the id, no id at all, no name at all, the whole name again in each fragment, two calls in one chunk,
fragments of two calls mixed, the same index for every call, the same id for two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from vaultd.wire.ir import Call, CallKind, Close, Delta, Event, Open
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.parts import signature_of

_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")
#: An id of ours has room for the vendor's id of the answer, and stays within the 64 characters of all formats.
_ROOM: Final = 40


class _Fragments:
    """One call, as far as it has come."""

    __slots__ = ("block", "id", "kind", "name", "number", "pieces", "signature")

    def __init__(self, number: int) -> None:
        #: Among the calls of its choice.
        self.number = number
        self.id = ""
        self.name = ""
        self.kind: CallKind = "function"
        self.signature = ""
        self.pieces: list[str] = []
        #: -1 until it is opened, which waits for the name, and for the id until arguments come.
        self.block = -1


class Calls:
    """The calls of one choice. `opened` gives out block numbers; `taken` are the ids of all choices."""

    def __init__(self, choice: int, names: Names, opened: Callable[[], int], taken: set[str]) -> None:
        self._choice = choice
        self._names = names
        self._opened = opened
        self._taken = taken
        self._all: list[_Fragments] = []
        self._at: dict[int, _Fragments] = {}
        self.answer = ""

    def __bool__(self) -> bool:
        """Is there one that a client hears of?"""
        return any(call.block >= 0 for call in self._all)

    def feed(self, fragments: Any, events: list[Event]) -> None:
        for place, said in enumerate(fragments if isinstance(fragments, list) else ()):
            if isinstance(said, dict):
                self._fragment(said, place, events)

    def legacy(self, said: Any, events: list[Event]) -> None:
        """`function_call`, which is one call without an id. Some write an empty one beside everything."""
        if isinstance(said, dict) and (said.get("name") or said.get("arguments")):
            self._fragment({"index": 0, "function": said}, 0, events)

    def close(self, events: list[Event]) -> None:
        """The answer is complete. A call of which nothing at all is known is none."""
        for call in self._all:
            if call.block < 0 and (call.name or call.id or call.pieces):
                call.name = call.name or f"tool_{call.number}"
                self._open(call, events)
        events += [
            Close(call.block, self._part(call) if call.signature else None) for call in self._all if call.block >= 0
        ]

    def _fragment(self, said: dict[str, Any], place: int, events: list[Event]) -> None:
        inner, kind = _inner(said)
        ident, name = _text(said.get("id")), _text(inner.get("name"))
        call = self._which(said.get("index"), place, ident, name)
        call.id = call.id or ident
        if not call.name:
            call.name, call.kind = name, kind
        call.signature = call.signature or signature_of(said)
        arguments = inner.get("input" if kind == "custom" else "arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()  # Ollama: an object
        if call.block >= 0:
            if arguments:
                events.append(Delta(call.block, arguments))
            return
        if arguments:
            call.pieces.append(arguments)
        if call.name and (call.id or call.pieces):
            self._open(call, events)

    def _which(self, index: Any, place: int, ident: str, name: str) -> _Fragments:
        """By index. Without one by id, then by name; what has neither goes on with the last."""
        if type(index) is not int:
            known = next((call for call in self._all if ident and call.id == ident), None)
            if known is not None:
                return known
            if self._all and not ident and not name:
                return self._all[-1]
            index = len(self._all)
        call = self._at.get(index)
        if call is None or (ident and call.id and ident != call.id and name):
            call = _Fragments(len(self._all))
            self._all.append(call)
            self._at[index] = call
        return call

    def _open(self, call: _Fragments, events: list[Event]) -> None:
        call.id = self._unique(call.id or f"call_{_FOREIGN.sub('_', self.answer)[:_ROOM]}_{self._choice}_{call.number}")
        call.block = self._opened()
        events.append(Open(call.block, self._part(call), self._choice))
        text = "".join(call.pieces)
        if text:
            events.append(Delta(call.block, text))

    def _part(self, call: _Fragments) -> Call:
        return Call(call.id, self._names.restore(call.name), kind=call.kind, signature=call.signature)

    def _unique(self, ident: str) -> str:
        unique, number = ident, 1
        while unique in self._taken:
            number += 1
            unique = f"{ident}_{number}"
        self._taken.add(unique)
        return unique


def _inner(said: dict[str, Any]) -> tuple[dict[str, Any], CallKind]:
    """Some write an empty `custom` beside the function."""
    function, custom = said.get("function"), said.get("custom")
    if isinstance(custom, dict) and (custom.get("name") or custom.get("input") or not isinstance(function, dict)):
        return custom, "custom"
    return (function if isinstance(function, dict) else {}), "function"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
