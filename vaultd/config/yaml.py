"""The one strict YAML loader, and the one way from its values to a typed struct (THR-35).

YAML 1.1 reads `no` as false, `08:30` as 510 and `1_000` as 1000. Here a plain scalar stays the text it is (`Plain`)
until the type that wants it says otherwise. Nothing that turns a small file into a large value is let in: no
aliases, no anchors, no tags, no repeated keys. No file is opened here.
"""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
import yaml

from vaultd.errors import Misconfigured

T = TypeVar("T")

#: The largest CLIProxyAPI example is 51 kB; twenty times that is no longer written by hand.
MAX_BYTES: Final = 1024 * 1024
#: Our deepest key is six levels down. 32 stays far from Python's recursion limit.
MAX_DEPTH: Final = 32

#: libyaml's event parser where PyYAML was built with it: same events, ten times faster at start-up.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
#: YAML 1.2.2 §10.3.2, the core schema; octal and hexadecimal left out, nobody writes a model parameter in them.
_INT: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class Plain(str):
    """A scalar written without quotes: its text, for the type to decide."""

    __slots__ = ()


class Fault(NamedTuple):
    """What is wrong, and where: a dotted key such as `openai-compatibility[0].models[1].name`."""

    path: str
    message: str


def load(text: bytes | str, source: str) -> Any:
    """Mappings, lists, `Plain`, `str` and None. Raises Misconfigured: source, line and reason, never content."""
    if len(text) > MAX_BYTES:
        raise Misconfigured(f"{source}: larger than 1 MiB, which no configuration is")
    try:
        events = iter(yaml.parse(text, Loader=_LOADER))
        return _document(events, source)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # `str(error)` would quote the line, and the line may hold a key.
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}" if mark else source
        raise Misconfigured(f"{where}: not YAML: {getattr(error, 'problem', None) or 'bad characters'}") from None


def natural(value: Any) -> Any:
    """Plain scalars as YAML 1.2's core schema reads them, for values whose type only a vendor knows (`payload`)."""
    if isinstance(value, dict):
        return {key: natural(member) for key, member in value.items()}
    if isinstance(value, list):
        return [natural(member) for member in value]
    if not isinstance(value, Plain):
        return value
    if value in _BOOL:
        return _BOOL[value]
    if _INT.fullmatch(value):
        return int(value)
    return float(value) if _FLOAT.fullmatch(value) else str(value)


def convert(value: Any, into: type[T], source: str) -> T:
    """`value` as `into`. Members that are null are left out, so that defaults apply. Raises Misconfigured."""
    tidy = without_nulls(value)
    try:
        return msgspec.convert(tidy, into, strict=False)
    except msgspec.ValidationError:
        fault = find_fault(tidy, into) or Fault("", "is not what is expected here")
        raise Misconfigured(
            f"{source}: {fault.path}: {fault.message}" if fault.path else f"{source}: {fault.message}"
        ) from None


def without_nulls(value: Any) -> Any:
    """`value` with every null member of a mapping left out, and every scalar plain `str`."""
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(member) for member in value]
    return str(value) if isinstance(value, str) else value


def find_fault(value: Any, into: Any, path: str = "") -> Fault | None:
    """The innermost place where `value` does not fit `into`; msgspec names neither list index nor nearest key."""
    kind = _struct_or_container(into)
    for child, wanted, below in _children(value, kind, path):
        if fault := find_fault(child, wanted, below):
            return fault
    if isinstance(value, dict) and _is_struct(kind):
        if fault := unknown_key(value, kind, path):
            return fault
        for field in msgspec.structs.fields(kind):
            if field.required and field.encode_name not in value:
                return Fault(join(path, field.encode_name), "is missing")
    try:
        msgspec.convert(value, into, strict=False)
    except msgspec.ValidationError as error:
        return Fault(path, _plainly(error, into))
    return None


def unknown_key(value: dict[str, Any], kind: type[msgspec.Struct], path: str = "") -> Fault | None:
    """The first key of `value` that the struct `kind` does not have."""
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in value:
        if key not in known:
            return Fault(join(path, key), f"no such key{nearest(key, known)}")
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """` (nearest: …)`, or the whole list where nothing is near and the list is short."""
    choices = sorted(known)
    if close := difflib.get_close_matches(word, choices, n=1, cutoff=0.5):
        return f" (nearest: {close[0]})"
    return f" (known: {', '.join(choices)})" if len(choices) <= 12 else ""


def join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _document(events: Iterator[Any], source: str) -> Any:
    value: Any = None
    seen = False
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if seen:
                raise _refused(event, source, "a second document; one file is one document")
            seen = True
            value = _node(next(events), events, source, 0)
    return value


def _node(event: Any, events: Iterator[Any], source: str, depth: int) -> Any:
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise _refused(event, source, "anchors and aliases are not allowed; write the value out")
    if event.tag is not None:
        raise _refused(event, source, "tags are not allowed")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if depth >= MAX_DEPTH:
        raise _refused(event, source, f"nested deeper than {MAX_DEPTH}")
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_node(event, events, source, depth + 1))
        return items
    return _mapping(events, source, depth)


def _mapping(events: Iterator[Any], source: str, depth: int) -> dict[str, Any]:
    members: dict[str, Any] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = _node(event, events, source, depth + 1)
        if not isinstance(key, str):
            raise _refused(event, source, "a key must be text")
        if key in members:
            raise _refused(event, source, f"`{key}` is given twice; keep one")
        members[str(key)] = _node(next(events), events, source, depth + 1)
    return members


def _scalar(event: Any) -> Any:
    if event.style:
        return event.value
    return None if event.value in NULL else Plain(event.value)


def _refused(event: Any, source: str, why: str) -> Misconfigured:
    return Misconfigured(f"{source}:{event.start_mark.line + 1}: {why}")


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _struct_or_container(into: Any) -> Any:
    """`into` without `Annotated` and `| None`."""
    while typing.get_origin(into) is typing.Annotated:
        into = typing.get_args(into)[0]
    if typing.get_origin(into) in {typing.Union, types.UnionType}:
        some = [option for option in typing.get_args(into) if option is not type(None)]
        return _struct_or_container(some[0]) if len(some) == 1 else into
    return into


def _children(value: Any, kind: Any, path: str) -> Iterator[tuple[Any, Any, str]]:
    if isinstance(value, dict) and _is_struct(kind):
        for field in msgspec.structs.fields(kind):
            if field.encode_name in value:
                yield value[field.encode_name], field.type, join(path, field.encode_name)
        return
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(value, dict) and origin is dict:
        for key, member in value.items():
            yield member, args[1], join(path, key)
    elif isinstance(value, list) and origin in {list, tuple}:
        for index, member in enumerate(value):
            yield member, args[0], f"{path}[{index}]"


def _plainly(error: msgspec.ValidationError, into: Any) -> str:
    """msgspec's sentence, but for enums: it would quote the value, and the right ones are what one needs to know."""
    kind = _struct_or_container(into)
    if typing.get_origin(kind) is typing.Literal:
        return f"is not one of {', '.join(str(choice) or '(empty)' for choice in typing.get_args(kind))}"
    if kind is bool:
        return "is neither true nor false"
    sentence = str(error).partition(" - at ")[0].replace("`", "")
    for theirs, ours in (("object", "a mapping"), ("array", "a list"), ("str", "text")):
        sentence = re.sub(rf"\b{theirs}\b", ours, sentence)
    return sentence[:1].lower() + sentence[1:]
