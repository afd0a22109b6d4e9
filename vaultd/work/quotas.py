"""What the vendors said of each credential's quota windows, as their answers' heads tell it. Memory alone: the next
answer says it anew."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final

from vaultd.wire.quota import Window, windows

#: A vendor has four windows, or six; one that invents names is not kept in memory for it.
_MOST: Final = 16


class Quotas:
    """The last word of each vendor on each credential, window by window: an answer may speak of some alone."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._windows: dict[str, dict[str, Window]] = {}

    def note(self, credential: str, headers: Mapping[str, str]) -> None:
        """Called for each answer, whatever its status."""
        if found := windows(headers, self._now()):
            known = self._windows.setdefault(credential, {})
            for window in found:
                if window.name in known or len(known) < _MOST:
                    known[window.name] = window

    def of(self, credential: str) -> Sequence[Window]:
        """One whose reset has come is empty again, as far as is known."""
        now = self._now()
        return [
            window._replace(used=0.0, resets_at=None)
            if window.resets_at is not None and window.resets_at <= now
            else window
            for window in self._windows.get(credential, {}).values()
        ]

    def all(self) -> Mapping[str, Sequence[Window]]:
        return {credential: self.of(credential) for credential in self._windows}

    def keep(self, known: Container[str]) -> None:
        """Forgets every credential but these."""
        for gone in [credential for credential in self._windows if credential not in known]:
            del self._windows[gone]
