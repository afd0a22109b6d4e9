"""Edits to `.env` files, line by line, as dotenv reads them: `NAME=value`, the last of a name counts."""

from __future__ import annotations

import re
from typing import Any, Final

from vaultd.cli.connect.edit import NOTHING, Odd, Path, at

#: A quoted value may go over several lines: a name in there is none of the file's.
_LINE: Final = re.compile(
    r"^[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)[ \t]*=[ \t]*"
    r"(?P<value>'(?:\\'|[^'])*'|\"(?:\\\"|[^\"])*\"|`(?:\\`|[^`])*`|[^#\r\n]*)[^\r\n]*(?:\r?\n|\Z)",
    re.MULTILINE,
)
#: What needs no quotes in any reader: addresses, keys, words.
_PLAIN: Final = re.compile(r"[\w./:@%+=,~-]*", re.ASCII)


def read(text: str) -> Any:
    return {found["name"]: _unquoted(found["value"].strip()) for found in _LINE.finditer(text)}


def put(text: str, path: Path, value: Any) -> str:
    (name,), value = path, str(value)
    if at(read(text), path) == value:
        return text
    if not _PLAIN.fullmatch(value):
        raise Odd(f"{name} has a character that .env files disagree about")
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [found for found in _LINE.finditer(text) if found["name"] == name]
    if lines:
        start, end = lines[-1].span()
        ending = newline if text[start:end].endswith("\n") else ""
        return f"{text[:start]}{name}={value}{ending}{text[end:]}"
    joint = newline if text and not text.endswith("\n") else ""
    return f"{text}{joint}{name}={value}{newline}"


def remove(text: str, path: Path) -> str:
    if at(read(text), path) is NOTHING:
        return text
    return _LINE.sub(lambda found: "" if found["name"] == path[0] else found[0], text)


def empty(text: str) -> bool:
    return not text.strip()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"`" else value
