"""Gemini's JSON is protobuf's: every member may be spelled in camelCase or in snake_case, and SDKs mix the two in one
body. A number may be a text there, as 64-bit ones always are.

Only members of structures that Gemini defines are spelled anew, never the names in arguments, answers of tools or
schemas: those are the client's.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from vaultd.wire.refusal import Refusal

_HUMP: Final = re.compile(r"_([a-z0-9])")


def camel(members: dict[str, Any]) -> dict[str, Any]:
    """One level in camelCase; `members` itself where it is so already. What is there in both spellings stays as the
    camelCase one says."""
    if "_" not in "".join(members):
        return members
    spelled: dict[str, Any] = {}
    for name, value in members.items():
        if "_" in name:
            spelled.setdefault(_HUMP.sub(_upper, name), value)
        else:
            spelled[name] = value
    return spelled


def _upper(found: re.Match[str]) -> str:
    return found[1].upper()


def snake(name: str) -> str:
    """`codeExecution` as `code_execution`."""
    return "".join([f"_{letter.lower()}" if letter.isupper() else letter for letter in name])


def wrong(name: str, expected: str) -> Refusal:
    return Refusal(400, "bad-request", f"{name} is not {expected}")


def structure(value: Any, name: str) -> dict[str, Any]:
    """A client's object in camelCase; an empty one where it gave none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(name, "an object")
    return camel(value)


def listed(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(name, "a list")
    return value


def text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(name, "a text")
    return value


def texts(value: Any, name: str) -> list[str]:
    return [text(item, name) for item in listed(value, name)]


def number(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise wrong(name, "a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise wrong(name, "a number")
    return value


def whole(value: Any, name: str) -> int | None:
    found = number(value, name)
    if found is None or isinstance(found, int):
        return found
    if not found.is_integer():
        raise wrong(name, "a whole number")
    return int(found)


def flag(value: Any, name: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise wrong(name, "true or false")
