"""Edits to Codex's TOML, statement by statement: a key at the top, or a table of our own at the end.

A statement is found by the standard library's parser and replaced or cut as it stands, so that comments, order and
spacing elsewhere stay, to the byte. (tomlkit keeps comments, but moves tables together whose names begin alike.) What
is new is written by tomlkit. Each edit is read back and compared with what was meant.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Any, Final

import tomlkit

from vaultd.cli.connect.edit import NOTHING, Odd, Path, at, newline, with_, without

#: Lines of one statement: a list of commands in a settings file has some dozens.
_LONGEST: Final = 500
_HAND: Final = "it is written in a way that cannot be edited: do it by hand"


@dataclass(frozen=True, slots=True)
class _Statement:
    """`table`: the header's name for a header, else that of the header above it. `says`: what it says by itself."""

    start: int
    end: int
    table: Path
    says: Any
    header: bool


def read(text: str) -> Any:
    try:
        return tomllib.loads(_plain(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Odd(f"it is no TOML: {error}") from None


def put(text: str, path: Path, value: Any) -> str:
    before = read(text)
    if at(before, path) == value:
        return text
    if isinstance(value, dict):
        after = _appended(_without_table(text, path), path, value)
    elif len(path) == 1:
        after = _put_top(text, path[0], value)
    else:
        raise Odd(_HAND)
    return _checked(after, with_(before, path, value))


def remove(text: str, path: Path) -> str:
    before = read(text)
    if (found := at(before, path)) is NOTHING:
        return text
    if isinstance(found, dict):
        return _checked(_without_table(text, path), without(before, path))
    for one in _statements(text):
        if not one.header and not one.table and len(path) == 1 and path[0] in one.says:
            return _checked(text[: one.start] + text[one.end :], without(before, path))
    raise Odd(_HAND)


def empty(text: str) -> bool:
    return not text.strip()


def _put_top(text: str, key: str, value: Any) -> str:
    tops = [one for one in _statements(text) if not one.header and not one.table]
    for one in tops:
        if key in one.says:
            statement = tomlkit.parse(text[one.start : one.end])
            statement[key] = value
            return text[: one.start] + tomlkit.dumps(statement) + text[one.end :]
    where = tops[-1].end if tops else int(text.startswith("\ufeff"))
    joint = "" if text[:where].endswith(("\n", "\ufeff")) or not text[:where] else newline(text)
    return text[:where] + joint + _lines({key: value}, text) + text[where:]


def _appended(text: str, path: Path, table: dict[str, Any]) -> str:
    whole: dict[str, Any] = table
    for step in reversed(path):
        whole = {step: whole}
    joint = newline(text) if text and not text.endswith("\n") else ""
    return text + joint + newline(text) * bool(text) + _lines(whole, text)


def _without_table(text: str, path: Path) -> str:
    """Its headers, those below it, and what they hold; and the blank line above."""
    found = [one for one in _statements(text) if path and one.table[: len(path)] == path]
    while found:
        last = found.pop()
        start, end = last.start, last.end
        while found and not text[found[-1].end : start].strip(" \t\r\n"):
            start = found.pop().start
        blank = re.search(r"(?:^|(?<=\n))[ \t]*\r?\n\Z", text[:start])
        text = text[: blank.start() if blank else start] + text[end:]
    return text


def _statements(text: str) -> list[_Statement]:
    """Raises Odd where the text has more than statements of one or more whole lines, which TOML does not."""
    start = int(text.startswith("\ufeff"))
    # TOML knows no other end of a line than this one.
    lines, found = re.findall(r"[^\n]*\n|[^\n]+", text[start:]), []
    table: Path = ()
    place = 0
    while place < len(lines):
        end = place
        for end in range(place + 1, min(place + _LONGEST, len(lines)) + 1):
            says = _says("".join(lines[place:end]))
            if says is not None:
                break
        else:
            raise Odd(_HAND)
        length = sum(len(line) for line in lines[place:end])
        if says:
            header = lines[place].lstrip(" \t").startswith("[")
            table = _name(says) if header else table
            found.append(_Statement(start, start + length, table, says, header))
        place, start = end, start + length
    return found


def _says(statement: str) -> Any:
    try:
        return tomllib.loads(_plain(statement))
    except tomllib.TOMLDecodeError:
        return None


def _name(says: Any) -> Path:
    """Of a header, which says nothing but its name."""
    name: list[str] = []
    while isinstance(says, dict) and says:
        ((step, says),) = says.items()
        name.append(step)
    return tuple(name)


def _lines(value: dict[str, Any], text: str) -> str:
    return tomlkit.dumps(value).replace("\n", newline(text))


def _plain(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def _checked(text: str, wanted: Any) -> str:
    try:
        same = _some(read(text)) == _some(wanted)
    except Odd:
        same = False
    if not same:
        raise Odd(_HAND)
    return text


def _some(raw: Any) -> Any:
    """A table that holds nothing says nothing."""
    if not isinstance(raw, dict):
        return raw
    return {key: value for key, member in raw.items() if (value := _some(member)) != {}}
