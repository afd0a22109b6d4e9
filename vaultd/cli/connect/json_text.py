"""Edits to JSON as people and clients keep it: with comments, trailing commas and an indentation of its own.

Only the span of an edit is replaced, so that all else is what it was, to the byte. Comments are read, as
opencode, Gemini CLI and Qwen Code do, and a comma after the last member, as opencode does. Each edit is read back and
compared with what was meant.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from vaultd.cli.connect.edit import NOTHING, Odd, Path, at, newline, with_, without

#: Deeper than any client's settings; a file made to exhaust the stack is refused, not followed.
_DEEPEST: Final = 100
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_ATOM: Final = re.compile(r"[-+.\w]+")
_TRIVIA: Final = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
#: What may follow a member on its own line and belongs to it: blanks and comments.
_REST: Final = re.compile(r"(?:[ \t]+|/\*[^\n]*?\*/)*(?://[^\r\n]*)?")
_INDENT: Final = "  "


@dataclass(slots=True)
class _Member:
    key: str
    start: int
    value: _Node
    #: Where the comma after it stands, -1 without one.
    comma: int = -1


@dataclass(slots=True)
class _Node:
    """`start` to `end` is its text."""

    kind: Literal["object", "array", "atom"]
    start: int
    end: int = 0
    members: list[_Member] = field(default_factory=list)
    value: Any = None

    def find(self, key: str) -> _Member | None:
        """Of a key that stands twice the last counts, as for every reader of JSON."""
        return next((member for member in reversed(self.members) if member.key == key), None)


def read(text: str) -> Any:
    """What it says; an empty text is an empty object. Raises Odd."""
    return _value(_tree(text)) if _bare(text) else {}


def put(text: str, path: Path, value: Any) -> str:
    """`text` with `value` at `path`. Raises Odd where something on the way is no object."""
    before = read(text)
    if at(before, path) == value and type(at(before, path)) is type(value):
        return text
    if not _bare(text):  # nothing, or comments alone
        text += ("" if not text.strip("\ufeff") or text.endswith("\n") else newline(text)) + "{}" + newline(text)
    return _checked(_put(text, path, value), with_(before, path, value))


def remove(text: str, path: Path) -> str:
    before = read(text)
    if at(before, path) is NOTHING:
        return text
    return _checked(_remove(text, path), without(before, path))


def empty(text: str) -> bool:
    """Nothing is said in it, not even in a comment."""
    return "".join(text.removeprefix("\ufeff").split()) in {"", "{}"}


def _put(text: str, path: Path, value: Any) -> str:
    node, depth = _tree(text), 0
    for step in path:
        if node.kind != "object":
            raise Odd(f"{'.'.join(path[:depth]) or 'the file'} is no object")
        member = node.find(step)
        if member is None:
            for below in reversed(path[depth + 1 :]):
                value = {below: value}
            return _inserted(text, node, step, value)
        node, depth = member.value, depth + 1
    margin = _margin(text, node.start)
    return text[: node.start] + _written(value, margin, _unit(text)) + text[node.end :]


def _inserted(text: str, node: _Node, key: str, value: Any) -> str:
    close, unit, ending, name = node.end - 1, _unit(text), newline(text), json.dumps(key, ensure_ascii=False)
    if not node.members:
        inside, margin = text[node.start + 1 : close].rstrip(), _margin(text, node.start)
        if not inside and "\n" not in text.strip() and text.strip() != "{}":
            return f"{text[: node.start + 1]}{name}: {_written(value, '', '')}{text[close:]}"
        ours = f"{margin}{unit}{name}: {_written(value, margin + unit, unit)}"
        return f"{text[: node.start + 1]}{inside}{ending}{ours}{ending}{margin}{text[close:]}"
    last = node.members[-1]
    if "\n" not in text[node.start : last.start]:
        ours = f", {name}: {_written(value, '', '')}" if last.comma < 0 else f" {name}: {_written(value, '', '')},"
        after = last.value.end if last.comma < 0 else last.comma + 1
        return text[:after] + ours + text[after:]
    margin = _margin(text, last.start)
    ours = f"{ending}{margin}{name}: {_written(value, margin, unit)}"
    if last.comma < 0:
        text, after = f"{text[: last.value.end]},{text[last.value.end :]}", last.value.end + 1
    else:
        ours, after = ours + ",", last.comma + 1
    after = _rest(text, after)
    return text[:after] + ours + text[after:]


def _remove(text: str, path: Path) -> str:
    node = _tree(text)
    for step in path[:-1]:
        member = node.find(step)
        assert member is not None
        node = member.value
    # A key that stands twice goes twice: else the other would come to count.
    while member := node.find(path[-1]):
        text = _cut(text, node, member)
        node = _tree(text)
        for step in path[:-1]:
            found = node.find(step)
            assert found is not None
            node = found.value
    return text


def _cut(text: str, node: _Node, member: _Member) -> str:
    """What `_inserted` does, backwards."""
    place = node.members.index(member)
    last = place == len(node.members) - 1
    end = member.comma + 1 if member.comma >= 0 else member.value.end
    if len(node.members) == 1:
        before, after = text[node.start + 1 : member.start], text[end : node.end - 1]
        if before.strip():
            after = newline(text) + (after.lstrip() or _margin(text, node.start))
        elif not after.strip():
            after = ""
        return text[: node.start + 1] + before.rstrip() + after + text[node.end - 1 :]
    start, past = len(text[: member.start].rstrip(" \t")), _blanks(text, end)
    if text[:start].endswith("\n") and text[past : past + 2].startswith(("\n", "\r\n")):  # its lines hold nothing else
        start, end = start - (2 if text[:start].endswith("\r\n") else 1), past
    elif not last:
        start, end = member.start, past
    text = text[:start] + text[end:]
    if last and member.comma < 0:
        comma = node.members[place - 1].comma
        text = text[:comma] + text[comma + 1 :]
    return text


def _checked(text: str, wanted: Any) -> str:
    try:
        same = read(text) == wanted
    except Odd:
        same = False
    if not same:
        raise Odd("it is written in a way that cannot be edited")
    return text


# --- how it is written ------------------------------------------------------------------------------------------------


def _written(value: Any, margin: str, unit: str) -> str:
    if not unit:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", "\n" + margin)


def _margin(text: str, where: int) -> str:
    """The blanks at the start of the line."""
    line = text[text.rfind("\n", 0, where) + 1 : where]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """One step of indentation: that of the first indented line."""
    found = re.search(r"^([ \t]+)\"", text, re.MULTILINE)
    return found[1] if found else _INDENT


def _blanks(text: str, where: int) -> int:
    return where + len(text[where:]) - len(text[where:].lstrip(" \t"))


def _rest(text: str, where: int) -> int:
    found = _REST.match(text, where)
    assert found is not None
    line = text[found.end() : found.end() + 2]
    return found.end() if line[:1] in {"", "\n"} or line == "\r\n" else where


# --- reading ----------------------------------------------------------------------------------------------------------


def _bare(text: str) -> str:
    found = _TRIVIA.match(text.removeprefix("\ufeff"))
    assert found is not None
    return text.removeprefix("\ufeff")[found.end() :]


def _tree(text: str) -> _Node:
    where = _skip(text, 1 if text.startswith("\ufeff") else 0)
    node = _node(text, where, 0)
    if _skip(text, node.end) != len(text):
        raise Odd(f"it is no JSON: something follows its end, in line {_line(text, node.end)}")
    return node


def _node(text: str, where: int, depth: int) -> _Node:
    if depth > _DEEPEST:
        raise Odd("it is nested too deeply")
    sign = text[where : where + 1]
    if sign == "{":
        return _object(text, where, depth)
    if sign == "[":
        return _array(text, where, depth)
    found = (_STRING if sign == '"' else _ATOM).match(text, where)
    if found is None:
        raise Odd(f"it is no JSON: a value is expected in line {_line(text, where)}")
    try:
        value = json.loads(found[0])
    except ValueError:
        raise Odd(f"it is no JSON: a value is expected in line {_line(text, where)}") from None
    return _Node("atom", where, found.end(), value=value)


def _object(text: str, where: int, depth: int) -> _Node:
    node, where = _Node("object", where), _skip(text, where + 1)
    while text[where : where + 1] != "}":
        if node.members and node.members[-1].comma < 0:
            raise Odd(f"it is no JSON: a comma is expected in line {_line(text, where)}")
        if text[where : where + 1] != '"':
            raise Odd(f'it is no JSON: "key": is expected in line {_line(text, where)}')
        name = _node(text, where, depth)
        colon = _skip(text, name.end)
        if text[colon : colon + 1] != ":":
            raise Odd(f'it is no JSON: "key": is expected in line {_line(text, where)}')
        value = _node(text, _skip(text, colon + 1), depth + 1)
        member = _Member(name.value, where, value)
        node.members.append(member)
        where = _skip(text, value.end)
        if text[where : where + 1] == ",":
            member.comma, where = where, _skip(text, where + 1)
    node.end = where + 1
    return node


def _array(text: str, where: int, depth: int) -> _Node:
    node, items, comma, where = _Node("array", where), [], True, _skip(text, where + 1)
    while text[where : where + 1] != "]":
        if not comma:
            raise Odd(f"it is no JSON: a comma is expected in line {_line(text, where)}")
        item = _node(text, where, depth + 1)
        items.append(_value(item))
        where = _skip(text, item.end)
        if comma := text[where : where + 1] == ",":
            where = _skip(text, where + 1)
    node.end, node.value = where + 1, items
    return node


def _value(node: _Node) -> Any:
    if node.kind == "object":
        return {member.key: _value(member.value) for member in node.members}
    return node.value


def _skip(text: str, where: int) -> int:
    found = _TRIVIA.match(text, where)
    assert found is not None
    return found.end()


def _line(text: str, where: int) -> int:
    return text.count("\n", 0, where) + 1
