"""What a pure flow may ask the world for.

A flow is a generator: it yields an effect and is sent the answer, so that the RFC's figure is visible in the
indentation and a test is a transcript (the shape of httpx's `auth_flow`). `work.drive` performs the effects;
nothing here knows how. A failed effect is thrown into the flow as one of `vaultd.errors`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from vaultd.errors import ProtocolError

T = TypeVar("T")

#: RFC 6749 token answers are a few kB (the largest seen holds three JWTs, 8 kB); anything larger is not one (SEC-29).
ANSWER_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Send:
    """One HTTP request that may carry a credential: redirects are never followed (SEC-28).

    Answered by `Reply`, whatever the status. Raises `TryLater` when no answer came.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    limit: int = ANSWER_LIMIT

    def __repr__(self) -> str:
        return f"Send({self.method} {self.url.partition('?')[0]})"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to `Send`: header names in lower case, body read whole and inflated, at most `Send.limit` bytes."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises ProtocolError, without quoting the body."""
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise ProtocolError(f"the answer (status {self.status}) is not JSON") from error
        if not isinstance(value, dict):
            raise ProtocolError(f"the answer (status {self.status}) is not a JSON object")
        return value


@dataclass(frozen=True, slots=True)
class Show:
    """Show the person where to go: `url` to open, and for device flows the `user_code` to enter. Answered by None."""

    url: str
    user_code: str = ""
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class AwaitRedirect:
    """Wait for the authorization response to `redirect_uri`, by loopback callback or by paste, whichever is first.

    `listen` is False where nobody can listen (the vendor's own page shows the code): then paste is the only way.
    Answered by the response's parameters, already judged (`oauth.callback.judge`): `state` matched, no repeats.
    """

    redirect_uri: str
    state: str = field(repr=False)
    issuer: str = ""
    #: The issuer promised to name itself: an answer without `iss` is then refused too (RFC 9207 §2.4).
    issuer_required: bool = False
    listen: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """Let `seconds` pass on a monotonic clock. Answered by None."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Now:
    """The time on the monotonic clock, in seconds. Answered by float."""


@dataclass(frozen=True, slots=True)
class Choose:
    """Ask which of `options` to take. Answered by a non-empty sublist: the person's; with nobody there `[default]`."""

    question: str
    options: Sequence[str]
    default: str


Effect = Send | Show | AwaitRedirect | Wait | Now | Choose
Flow = Generator[Effect, Any, T]
