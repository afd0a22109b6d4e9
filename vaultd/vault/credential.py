"""A credential: what the vault keeps. Its dict form is the sealed plaintext, versioned; no I/O here.

The owner (`vault.owner`) is the only one who makes a new one durable. Everybody else gets immutable values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's word on one credential; kept in its sealed metadata."""

    disabled: bool = False
    priority: int = 0
    weight: int = 1
    label: str = ""
    proxy_url: Secret | None = None
    excluded_models: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    #: Key credentials only.
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: (upstream name, alias) pairs; where given they replace the default catalogue.
    models: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DeadLogin:
    """Why only a person can bring this credential back, and since when (unix seconds)."""

    reason: str
    since: float


@dataclass(frozen=True, slots=True)
class Credential:
    """An OAuth login (`tokens`) or an API key (`key`) of one provider.

    `id` is the file's name without `.json`. `generation` rises by one with each commit. `source` tells sealed files
    from keys that stand in the config file; the latter are never written.
    """

    id: str
    provider: str
    kind: Literal["oauth", "key"]
    tokens: Tokens | None = None
    key: Secret | None = None
    account: Account = field(default_factory=Account)
    settings: Settings = field(default_factory=Settings)
    dead: DeadLogin | None = None
    generation: int = 0
    created_at: float = 0.0
    renewed_at: float = 0.0
    source: Literal["file", "config"] = "file"

    @property
    def identity(self) -> tuple[str, str, str]:
        """Provider + person + account: the same identity replaces its file, another never does (SEC-34)."""
        person = self.account.person or self.account.email or self.settings.label
        return (self.provider, person, self.account.account)

    @property
    def bearer(self) -> Secret | None:
        """What inference presents: the key, the vendor-derived key, or the access token."""
        if self.key is not None:
            return self.key
        if self.tokens is None:
            return None
        return self.tokens.api_key or self.tokens.access

    def to_plain(self) -> dict[str, Any]:
        """The dict that is sealed (format 1). Reveals secrets: for `vault.envelope` only."""
        raise NotImplementedError

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, id: str, generation: int) -> Credential:  # noqa: A002
        """Raises Misconfigured for a version this program does not know."""
        raise NotImplementedError
