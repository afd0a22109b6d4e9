"""Edits to `.env` files, line by line, as dotenv reads them: `NAME=value`, the last of a name counts."""

from __future__ import annotations

import re
from typing import Any, Final

from vaultd.cli.connect.edit import NOTHING, Odd, Path, at, newline

#: A quoted value may go over several lines: a name in there is none of the file's.
_LINE: Final = re.compile(
    r"^(?P<before>[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)[ \t]*=[ \t]*)"
    r"(?P<value>'(?:\\'|[^'])*'|\"(?:\\\"|[^\"])*\"|`(?:\\`|[^`])*`|[^#\r\n]*?(?=[ \t]*(?:[#\r\n]|\Z)))"
    r"(?P<comment>(?:[ \t]+#[^\r\n]*)?)(?P<more>[^\r\n]*)(?P<ending>\r?\n|\Z)",
    re.MULTILINE,
)
#: What needs no quotes in any reader: addresses, keys, words.
PLAIN: Final = re.compile(r"[\w./:@%+=,~-]*", re.ASCII)


def read(text: str) -> Any:
    """What is plain without its quotes; anything else as it is written, so that it can be put back as it was."""
    return {found["name"]: _unquoted(found["value"].strip()) for found in _LINE.finditer(text)}


def put(text: str, path: Path, value: Any) -> str:
    """`value` as `read` gives it: within quotes where it needs them."""
    (name,), value = path, str(value)
    if at(read(text), path) == value:
        return text
    lines = [found for found in _LINE.finditer(text) if found["name"] == name]
    if lines:
        last = lines[-1]
        after = text[last.start("ending" if last["more"] else "comment") :]
        text = f"{text[: last.end('before')]}{value}{after}"
    else:
        joint = newline(text) if text and not text.endswith("\n") else ""
        text = f"{text}{joint}{name}={value}{newline(text)}"
    if at(read(text), path) != value:
        raise Odd(f"{name} has a character that .env files disagree about")
    return text


def remove(text: str, path: Path) -> str:
    if at(read(text), path) is NOTHING:
        return text
    return _LINE.sub(lambda found: "" if found["name"] == path[0] else found[0], text)


def empty(text: str) -> bool:
    return not text.strip()


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\"`" and PLAIN.fullmatch(value[1:-1])
    return value[1:-1] if quoted else value
