"""Why a request is not served, before any grammar has given it a shape. Each format writes its own (`formats`)."""

from __future__ import annotations

from typing import Literal

from vaultd.errors import VaultdError

Kind = Literal[
    "no-such-model",
    "no-credential",
    "cooling",
    "busy",
    "sign-in-required",
    "not-implemented",
    "unauthorized",
    "forbidden",
    "bad-request",
    "too-large",
    "upstream",
]


class Refusal(VaultdError):
    """A request that gets an error for an answer: its true status, and a message that names the reason.

    `retry_after` is in seconds, None where nobody knows. `code` is a vendor's own word for it, which clients of its
    family look for (`context_length_exceeded`). `said`: what a stream said instead of an answer, as it came, to be
    judged (`work.verdict`) and never shown.
    """

    def __init__(
        self,
        status: int,
        kind: Kind,
        message: str,
        retry_after: float | None = None,
        code: str = "",
        said: bytes = b"",
    ) -> None:
        super().__init__(message)
        self.said = said
        self.status = status
        self.kind: Kind = kind
        self.message = message
        self.retry_after = retry_after
        self.code = code
