"""What a translation could not carry. A writer says it here and goes on; nothing is left out in silence (R2)."""

from __future__ import annotations

from collections.abc import Iterator


class Loss:
    """Names of what was lost, each once, in the client's own words: a request member (`logit_bias`), a part
    (`input_audio`), a hosted tool (`code_interpreter`), a detail (`tool_result.is_error`). Never a value.
    """

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    def add(self, name: str) -> None:
        """`name` may be a client's word: only what fits a header survives, and not much of it."""
        kept = "".join([c for c in name[:60] if c.isascii() and (c.isalnum() or c in "._-:/")])
        if kept and len(self._names) < _MOST:
            self._names[kept] = None

    def __bool__(self) -> bool:
        return bool(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def header(self) -> str:
        """For `x-vaultd-dropped`."""
        return ", ".join(self._names)


#: A client could send thousands of unknown members; a header of them all would be refused on its way.
_MOST = 50
