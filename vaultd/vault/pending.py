"""What should be on disk and is not: the refresh token there is spent, so that these are the newest there are.

They are used from memory, tried again every second, and lie sealed in an emergency copy meanwhile (`vault.emergency`).
"""

from __future__ import annotations

from dataclasses import replace

from vaultd.vault.credential import Credential


class Pending:
    """By credential id. `reasons` are for people; `copies` says where a sealed copy lies."""

    def __init__(self) -> None:
        self.values: dict[str, Credential] = {}
        self.reasons: dict[str, str] = {}
        self.copies: dict[str, str] = {}
        self._copied: dict[str, Credential] = {}

    def keep(self, credential: Credential, reason: str, copy: str = "") -> None:
        self.values[credential.id] = credential
        self.reasons[credential.id] = reason
        if copy:
            self.copies[credential.id], self._copied[credential.id] = copy, credential

    def done(self, id_: str) -> None:
        for table in (self.values, self.reasons, self.copies, self._copied):
            table.pop(id_, None)

    def copy_of(self, credential: Credential) -> str:
        """Where this very value lies sealed already; empty where it does not."""
        return self.copies[credential.id] if self._copied.get(credential.id) == credential else ""

    def over(self, id_: str, held: Credential | None) -> Credential | None:
        """What is to be used, given what is on disk. A value that somebody else's commit outdid ends here."""
        waiting = self.values.get(id_)
        if waiting is None:
            return held
        now = newest(waiting, held)
        if now is None:
            self.done(id_)
            return held
        self.values[id_] = now
        return now


def newest(waiting: Credential, held: Credential | None) -> Credential | None:
    """Of a value that waits to be committed and one that somebody else committed meanwhile. None: the latter.

    Where he changed settings over tokens that are spent by now, it is our tokens under his settings. Of two that are
    equal it is the one that waits, whose end is to be made durable: a file that is there may yet go with the power.
    """
    if held is None or held.mark < waiting.mark or held == waiting:
        return waiting
    if held.created_at > waiting.created_at or _age(held) >= _age(waiting):
        return None
    return replace(waiting, settings=held.settings, generation=held.generation + 1)


def _age(credential: Credential) -> float:
    """When its tokens were given. By `created_at` only where nothing else says: that one never goes back."""
    issued = credential.tokens.issued_at if credential.tokens is not None else 0.0
    return max(issued, credential.renewed_at) or credential.created_at
