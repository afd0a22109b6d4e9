"""Every key of the configuration flattened, for a page that shows and edits them one by one: `routing.strategy`.

From the model, so that no key is described twice. A list, and the overlay of manifests, is one key.
"""

from __future__ import annotations

import functools
import typing
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from vaultd.config.document import is_section, unwrapped
from vaultd.config.masked import secret_at
from vaultd.config.model import Config
from vaultd.config.write import Path, matched, says, steps

#: What only a start can change: sockets, folders and keys are opened once.
AT_START: Final = ("host", "port", "tls", "auth-dir", "vault", "tracing")
#: What no route changes: whoever got hold of the management key must not be able to let others in with it (THR-25).
LOCKED: Final = ("remote-management.allow-remote", "remote-management.secret-key")

_TYPES: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class Key:
    path: str
    type: str
    choices: tuple[str, ...]
    default: Any
    says: str
    #: What a list's members are: a page edits lines of text unlike sections. "" for what is no list.
    of: str = ""

    @property
    def restart(self) -> bool:
        return self.path.partition(".")[0] in AT_START

    @property
    def secret(self) -> bool:
        """Whether its value may hold one, and is shown masked."""
        name = self.path.rpartition(".")[2]
        return secret_at(name) or name in {"openai-compatibility", "providers", "headers"} or name.endswith("api-key")

    @property
    def locked(self) -> bool:
        return self.path in LOCKED


@functools.cache
def every() -> tuple[Key, ...]:
    """In the order of the model."""
    return tuple(_below(Config, ""))


def values(config: Config) -> dict[str, Any]:
    """Each key's value in force."""
    plain = msgspec.to_builtins(config)
    return {key.path: _at(plain, key.path) for key in every()}


def differing(before: Config, after: Config) -> list[str]:
    """The keys whose values are not the same."""
    old, new = values(before), values(after)
    return [path for path, value in new.items() if old[path] != value]


def tidied(path: Path, value: Any, old: Any) -> Any:
    """`value` for the key at `path` without what says no more than the default does, unless `old` says it too: a page
    sends every member of an entry, and nobody wants to read them all in the file."""
    kind: Any = Config
    for step in path:
        if isinstance(step, int):
            kind = unwrapped(typing.get_args(kind)[0])[0] if typing.get_origin(kind) is list else None
        else:
            kind = _members(kind)[step][0] if step in _members(kind) else None
    return _tidied(kind, value, old)


def _tidied(kind: Any, value: Any, old: Any) -> Any:
    if isinstance(value, list) and typing.get_origin(kind) is list:
        before = old if isinstance(old, list) else []
        where, inner = matched(before, value), unwrapped(typing.get_args(kind)[0])[0]
        return [
            _tidied(inner, member, before[where[index]] if index in where else None)
            for index, member in enumerate(value)
        ]
    if not isinstance(value, dict) or not is_section(kind):
        return value
    was, known, kept = old if isinstance(old, dict) else {}, _members(kind), {}
    for name, member in value.items():
        inner, default = known.get(name, (None, msgspec.NODEFAULT))
        tidy = _tidied(inner, member, was.get(name))
        if not says(tidy, default) or (name in was and says(was[name], tidy)):
            kept[name] = tidy
    return kept


def _members(kind: Any) -> dict[str, tuple[Any, Any]]:
    """Each member's type and its default as plain data; `NODEFAULT` where it must be given."""
    if not is_section(kind):
        return {}
    found = {}
    for field in msgspec.structs.fields(kind):
        default = msgspec.to_builtins(_default(field)) if not field.required else msgspec.NODEFAULT
        found[field.encode_name] = (unwrapped(field.type)[0], default)
    return found


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def _below(kind: Any, prefix: str) -> typing.Iterator[Key]:
    for field in msgspec.structs.fields(kind):
        inner, meaning = unwrapped(field.type)
        path = prefix + field.encode_name
        if is_section(inner):
            yield from _below(inner, f"{path}.")
            continue
        origin = typing.get_origin(inner)
        choices = typing.get_args(inner) if origin is typing.Literal else ()
        type_ = {list: "list", dict: "object", typing.Literal: "string"}.get(origin) or _TYPES.get(inner, "object")
        of = _TYPES.get(unwrapped(typing.get_args(inner)[0])[0], "object") if origin is list else ""
        yield Key(path, type_, choices, _default(field), meaning, of)


def _at(plain: Any, path: str) -> Any:
    for step in steps(path):
        plain = plain[step]
    return plain
