"""What is known of each credential beside its file: how far it has come, and whether a renewal is under way.

One small file per credential (`.vault/ledger/<id>.json`), authenticated with the keyring's pepper and no secret in it.
An intent is written, and durable, before a refresh token leaves (SEC-44); as long as it stands the outcome of that
renewal is unknown, and the next process settles it at once (SEC-45). The generation written after each commit is the
anchor that shows that a file was rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Intent:
    """A renewal that was about to leave. `token`: the refresh token's fingerprint; `boot`, `wall`: when, in seconds."""

    generation: int
    token: str
    endpoint: str
    boot: float
    wall: float
