"""Edits to Codex's TOML with tomlkit, which keeps comments and order; each is read back by the standard library."""

from __future__ import annotations

import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from vaultd.cli.connect.edit import NOTHING, Odd, Path, at, with_, without


def read(text: str) -> Any:
    try:
        return tomllib.loads(text.removeprefix("\ufeff").replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise Odd(f"it is no TOML: {error}") from None


def put(text: str, path: Path, value: Any) -> str:
    before = read(text)
    if at(before, path) == value:
        return text
    if at(before, path) is not NOTHING and isinstance(value, dict):
        text = remove(text, path)
    try:
        document = tomlkit.parse(text)
        table: Any = document
        for step in path[:-1]:
            if step not in table:
                table[step] = tomlkit.table(is_super_table=True)
            table = table[step]
            if not isinstance(table, dict):
                raise Odd(f"{step} is no table")
        table[path[-1]] = value
        after = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise Odd(str(error)) from None
    return _checked(after, with_(before, path, value))


def remove(text: str, path: Path) -> str:
    before = read(text)
    if at(before, path) is NOTHING:
        return text
    try:
        document = tomlkit.parse(text)
        table: Any = document
        for step in path[:-1]:
            table = table[step]
        del table[path[-1]]
        after = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise Odd(str(error)) from None
    # Blank lines that tomlkit set before and after what was added.
    if not text.startswith(("\n", "\r")):
        after = after.lstrip("\r\n")
    if not text.endswith(("\n\n", "\r\n\r\n")):
        after = after.rstrip("\r\n") + ("\r\n" if "\r\n" in text else "\n") * bool(after.strip())
    return _checked(after, without(before, path))


def empty(text: str) -> bool:
    return not text.strip()


def _checked(text: str, wanted: Any) -> str:
    if _some(read(text)) != _some(wanted):
        raise Odd("it is written in a way that cannot be edited")
    return text


def _some(raw: Any) -> Any:
    """A table that holds nothing says nothing."""
    if not isinstance(raw, dict):
        return raw
    return {key: value for key, member in raw.items() if (value := _some(member)) != {}}
