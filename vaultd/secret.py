"""A value that must not be seen: no text, no repr, no JSON, no pickle. `reveal()` is the only way out, and greppable.

A `str` subclass would still leak through `json.dumps` and `"".join`, so this is no `str`.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn


class Secret:
    """Wraps one secret text. Compared in constant time; never hashed."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret does not leave the process")
