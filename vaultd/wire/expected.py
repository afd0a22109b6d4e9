"""Members of a client's body, each of the type the grammar gives it, or a 400 that names it. null is absent."""

from __future__ import annotations

from typing import Any

from vaultd.wire.refusal import Refusal


class Wrong(Refusal):
    def __init__(self, name: str, kind: str) -> None:
        super().__init__(400, "bad-request", f"{name!r} must be {kind}")
        self._name, self._kind = name, kind

    def within(self, place: str) -> Wrong:
        """The same, of a member of `place`: where that is, is only put into words once something is wrong."""
        return Wrong(f"{place}.{self._name}" if self._name else place, self._kind)


def wrong(name: str, kind: str) -> Wrong:
    return Wrong(name, kind)


def text(value: Any, name: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(name, "a string")
    return value


def number(value: Any, name: str) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise wrong(name, "a number")
    return value


def integer(value: Any, name: str) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise wrong(name, "an integer")
    return value


def flag(value: Any, name: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise wrong(name, "true or false")
    return value


def array(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(name, "an array")
    return value


def mapping(value: Any, name: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(name, "an object")
    return value
