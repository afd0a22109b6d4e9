"""What an edit is, whatever the file is written in: a path of keys and the value that is to stand there.

Pure. `Odd` is raised where a text cannot be edited; whoever knows the file's name says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

#: `("env", "ANTHROPIC_BASE_URL")`.
Path = tuple[str, ...]
#: What stands where nothing does; as an edit's value: take it away.
NOTHING: Final = object()


class Odd(Exception):
    """The text is not what its format should be, or not written in a way that can be edited."""


class Text(Protocol):
    """One format of settings. Raises Odd."""

    def read(self, text: str) -> Any: ...

    def put(self, text: str, path: Path, value: Any) -> str: ...

    def remove(self, text: str, path: Path) -> str: ...

    def empty(self, text: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class Edit:
    """`ours`: whatever stands there later is part of it (a provider of our name), and goes whole with `--undo`.
    `secret`: the value is the client key."""

    path: Path
    value: Any
    ours: bool = False
    secret: bool = False


def at(raw: Any, path: Path) -> Any:
    """What stands at `path`; `NOTHING` where nothing does."""
    for step in path:
        if not isinstance(raw, Mapping) or step not in raw:
            return NOTHING
        raw = raw[step]
    return raw


def with_(raw: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    members = dict(raw) if isinstance(raw, Mapping) else {}
    members[path[0]] = with_(members.get(path[0]), path[1:], value)
    return members


def without(raw: Any, path: Path) -> Any:
    members = dict(raw)
    if len(path) > 1:
        members[path[0]] = without(members[path[0]], path[1:])
    else:
        del members[path[0]]
    return members


def newline(text: str) -> str:
    """As the text has it."""
    return "\r\n" if "\r\n" in text else "\n"
