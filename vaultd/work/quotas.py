"""What the vendors said of each credential's quota windows, as their answers' heads tell it. Memory alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vaultd.wire.quota import Window


class Quotas:
    """The last word of each vendor on each credential."""

    def __init__(self) -> None:
        self._windows: dict[str, Sequence[Window]] = {}

    def note(self, credential: str, headers: Iterable[tuple[str, str]], now: float) -> None:
        """Called for each answer, whatever its status."""

    def of(self, credential: str) -> Sequence[Window]:
        return self._windows.get(credential, ())

    def all(self) -> Mapping[str, Sequence[Window]]:
        return self._windows
