"""A call whose arguments come one by one (Vertex's `streamFunctionCallArguments`): the path of each value and the
value, long texts in pieces. Recorded in 2026; vaultd never asks for it, but a `payload` rule can."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Final

import msgspec

#: `$.a.b[0]['c']`, as Google writes RFC 9535's.
_STEP: Final = re.compile(r"""\.([^.\[\]]+)|\[(\d+)\]|\['([^']*)'\]|\["([^"]*)"\]""")
_VALUES: Final = ("numberValue", "boolValue")
#: A list is as long as the greatest index in it says, so that must not be anything.
_LONGEST: Final = 10_000
_DEEPEST: Final = 64


class _Pieces(list[str]):
    """A text that goes on."""


class PartialCall:
    __slots__ = ("_arguments",)

    def __init__(self) -> None:
        self._arguments: dict[str, Any] = {}

    def add(self, given: Any) -> None:
        """`partialArgs` of one chunk."""
        for one in given if isinstance(given, list) else []:
            if not isinstance(one, dict) or not isinstance(path := one.get("jsonPath"), str):
                continue
            steps = [_step(found) for found in _STEP.finditer(path)][:_DEEPEST]
            if steps and isinstance(steps[0], str):
                self._put(steps, one)

    def arguments(self) -> str:
        """The JSON text of what has come."""
        return msgspec.json.encode(_joined(self._arguments)).decode()

    def _put(self, steps: list[str | int], one: dict[str, Any]) -> None:
        at: Any = self._arguments
        for step, after in pairwise(steps):
            inner = _get(at, step)
            if type(inner) is not (list if isinstance(after, int) else dict):
                inner = [] if isinstance(after, int) else {}
                if not _set(at, step, inner):
                    return
            at = inner
        text = one.get("stringValue")
        if isinstance(text, str):
            known = _get(at, steps[-1])
            if isinstance(known, _Pieces):
                known.append(text)
            else:
                _set(at, steps[-1], _Pieces([text]))
            return
        value = next((one[name] for name in _VALUES if name in one), None)
        _set(at, steps[-1], value)


def _step(found: re.Match[str]) -> str | int:
    if found[2] is not None:
        return min(int(found[2][:6]), _LONGEST)
    return next((name for name in (found[1], found[3], found[4]) if name is not None), "")


def _get(at: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return at[step] if isinstance(at, list) and step < len(at) else None
    return at.get(step) if isinstance(at, dict) else None


def _set(at: Any, step: str | int, value: Any) -> bool:
    if isinstance(step, str) and isinstance(at, dict):
        at[step] = value
        return True
    if isinstance(step, int) and isinstance(at, list) and step < _LONGEST:
        at += [None] * (step + 1 - len(at))
        at[step] = value
        return True
    return False


def _joined(value: Any) -> Any:
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(member) for name, member in value.items()}
    return [_joined(member) for member in value] if isinstance(value, list) else value
