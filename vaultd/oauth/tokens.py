"""What a token endpoint answered, checked (RFC 6749 §5.1; SEC-29, SEC-30, SEC-31)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vaultd.secret import Secret


@dataclass(frozen=True, slots=True)
class Tokens:
    """One grant's tokens. `issued_at`, `expires_at`: unix seconds on the wall clock; `lifetime`: seconds as stated."""

    access: Secret
    refresh: Secret | None = None
    id_token: Secret | None = None
    token_type: str = "Bearer"  # noqa: S105 - a kind
    scope: str = ""
    issued_at: float = 0.0
    expires_at: float = 0.0
    #: An API key that the vendor derives from the grant and that inference uses instead (iFlow).
    api_key: Secret | None = None

    @property
    def lifetime(self) -> float:
        return max(0.0, self.expires_at - self.issued_at)


@dataclass(frozen=True, slots=True)
class Account:
    """Who is behind a credential. Identity is provider + person + account; the rest is for people to read."""

    person: str = ""
    account: str = ""
    email: str = ""
    plan: str = ""
    #: Further facts the relay or the person needs: `chatgpt_account_id`, `projects`, `resource_url`, …
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grant:
    """The outcome of a sign-in or a renewal: tokens, and who they belong to (None where the answer does not say)."""

    tokens: Tokens
    account: Account | None = None
    #: What the person should hear of: an `expires_in` that makes no sense, a project that could not be set up.
    warnings: tuple[str, ...] = ()
