"""Tool names on their way to a vendor and back: each format has its own alphabet and length, clients want theirs back.

Made anew from each request's own tools, so no state is kept between requests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from vaultd.wire.ir import Call, CallKind, Request, Tool

#: OpenAI and Anthropic: `[A-Za-z0-9_-]{1,64}` (observed refusals, November 2025); Google allows `.` and `:` too.
LONGEST: Final = 64
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]")
_FOREIGN_GOOGLE: Final = re.compile(r"[^A-Za-z0-9_.:-]")


def plain(name: str) -> str:
    """A name OpenAI and Anthropic take. An MCP tool's long name keeps its last part, which tells tools apart."""
    name = _FOREIGN.sub("_", name) or "_"
    if len(name) > LONGEST and name.startswith("mcp__"):
        name = "mcp__" + name.rsplit("__", 1)[1]
    return name[:LONGEST]


def google(name: str) -> str:
    """A name Google takes: it begins with a letter or an underscore."""
    name = _FOREIGN_GOOGLE.sub("_", name)
    return (name if name[:1].isalpha() or name[:1] == "_" else "_" + name)[:LONGEST]


def numbered(name: str, taken: Mapping[str, str], number: int = 1) -> str:
    """`name_1`, `name_2`, …, within the limit; from `number` on, for one who knows that those before it are taken."""
    while True:
        tail = f"_{number}"
        candidate = name[: LONGEST - len(tail)] + tail
        if candidate not in taken:
            return candidate
        number += 1


def hashed(name: str, original: str) -> str:
    """`name_<12 hex of the original's SHA-256>`, within the limit."""
    tail = "_" + hashlib.sha256(original.encode()).hexdigest()[:12]
    return name[: LONGEST - len(tail)] + tail


class Names:
    """Client's tool names ⇄ a vendor's. `wrapped` are the client's custom tools that the vendor was shown as functions:
    their one argument is `input` (`wire.custom`)."""

    __slots__ = ("_back", "_folded", "_numbers", "_there", "wrapped")

    def __init__(self) -> None:
        self._there: dict[str, str] = {}
        self._back: dict[str, str] = {}
        self._folded: dict[str, str] = {}
        #: The last number given to a name, so that ten thousand alike are not each counted from one.
        self._numbers: dict[str, int] = {}
        #: Client's names of custom tools that travel as functions.
        self.wrapped: frozenset[str] = frozenset()

    @classmethod
    def of(cls, request: Request, fit: Callable[[str], str], *, customs: bool) -> Names:
        """`fit`: `plain` or `google`. `customs`: the vendor's format has custom tools, so none is wrapped.

        Tools come first in their order, then names that only the history knows, so that a name does not change when
        the conversation goes on.
        """
        names = cls()
        for name in _every(request):
            names._add(name, fit)
        if not customs:
            names.wrapped = frozenset(tool.name for tool in request.tools if tool.kind == "custom")
        return names

    def _add(self, name: str, fit: Callable[[str], str]) -> None:
        if name in self._there:
            return
        sent = fit(name)
        if sent in self._back:
            sent = hashed(sent, name) if fit is google else self._numbered(sent)
        self._there[name] = sent
        self._back[sent] = name

    def _numbered(self, name: str) -> str:
        sent = numbered(name, self._back, self._numbers.get(name, 0) + 1)
        self._numbers[name] = int(sent.rpartition("_")[2])
        return sent

    def send(self, name: str) -> str:
        """The vendor's name of a client's tool."""
        return self._there.get(name, name)

    def restore(self, name: str) -> str:
        """The client's name of what the vendor calls `name`; a model that gets the case wrong is understood."""
        found = self._back.get(name)
        if found is None:
            if not self._folded:  # made when a model is the first to get a case wrong
                for sent, known in self._back.items():
                    self._folded.setdefault(sent.lower(), known)
            found = self._folded.get(name.lower(), name)
        return found

    def kind(self, name: str) -> CallKind:
        """By the client's name: `custom` where the call must be unwrapped."""
        return "custom" if name in self.wrapped else "function"


def _every(request: Request) -> Iterable[str]:
    found = [tool.name for tool in request.tools]
    found += [part.name for turn in request.turns for part in turn.parts if type(part) is Call and part.name]
    return found


def tool_named(request: Request, name: str) -> Tool | None:
    return next((tool for tool in request.tools if tool.name == name), None)
