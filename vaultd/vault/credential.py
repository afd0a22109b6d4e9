"""A credential: what the vault keeps. Its dict form is the sealed plaintext, versioned; no I/O here.

The owner (`vault.owner`) is the only one who makes a new one durable. Everybody else gets immutable values.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, NamedTuple

import msgspec

from vaultd.errors import Misconfigured
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret

FORMAT: Final = 1

_NOT_SEALED: Final = frozenset({"id", "generation", "source"})
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._@+-]")


@dataclass(frozen=True, slots=True)
class Settings:
    """The operator's word on one credential; kept in its sealed metadata."""

    disabled: bool = False
    priority: int = 0
    weight: int = 1
    #: Requests that may be under way with it at a time; 0 is any number.
    parallel: int = 0
    label: str = ""
    proxy_url: Secret | None = None
    excluded_models: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    #: Key credentials only.
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    #: (upstream name, alias) pairs; where given they replace the default catalogue.
    models: tuple[tuple[str, str], ...] = ()
    #: The name of the file that was uploaded, to which the credential answers whatever its own file is called.
    uploaded_as: str = ""


class Mark(NamedTuple):
    """How far a credential has come, in order: a later sign-in starts a life of its own, whatever its number was."""

    created_at: float
    generation: int


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
    def known_as(self) -> str:
        """What a person calls the account; empty where neither the vendor nor a person gave a name."""
        return self.account.email or self.settings.label or self.account.person or self.account.account

    @property
    def mark(self) -> Mark:
        return Mark(self.created_at, self.generation)

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
        plain = msgspec.to_builtins(self, enc_hook=_reveal)
        # The file's name and its header say these; `source` is always "file" in a file.
        return {"v": FORMAT} | {member: value for member, value in plain.items() if member not in _NOT_SEALED}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, id: str, generation: int) -> Credential:  # noqa: A002
        """Raises Misconfigured for a version this program does not know."""
        if plain.get("v") != FORMAT:
            raise Misconfigured(
                f"{id} is in credential format {plain.get('v')!r}, this vaultd knows {FORMAT}: use its writer"
            )
        try:
            return msgspec.convert({**plain, "id": id, "generation": generation, "source": "file"}, cls, dec_hook=_hide)
        except msgspec.ValidationError as error:
            raise Misconfigured(f"{id} holds no credential: {error}") from None


def file_stem(credential: Credential, *, distinct: bool = False) -> str:
    """The id a new credential asks for: `<provider>-<account or label>`, in the characters a file's name may have.

    `distinct`: that name belongs to another identity (a personal and a team plan of one email), so 8 hex digits over
    the identity follow.
    """
    shown = credential.known_as
    stem = _NOT_IN_NAMES.sub("-", f"{credential.provider}-{shown}" if shown else credential.provider)
    # 127 is the rule for names; nine are kept for what `distinct` adds.
    stem = stem.lstrip("._@+-")[:118] or "credential"
    if not distinct:
        return stem
    return f"{stem}-{hashlib.sha256(chr(0).join(credential.identity).encode()).hexdigest()[:8]}"


def same(one: Credential, other: Credential) -> bool:
    """One identity. Who has no name at all is nobody else's equal."""
    return one.identity == other.identity and any(one.identity[1:])


def alike(one: Credential, other: Credential) -> bool:
    """One account, as far as both tell: an imported file may hold an email alone, where a sign-in gives the ids too."""
    if same(one, other):
        return True
    ids = ((one.account.person, other.account.person), (one.account.account, other.account.account))
    return (
        one.provider == other.provider
        and bool(one.account.email)
        and one.account.email == other.account.email
        and all(mine == his or not mine or not his for mine, his in ids)
    )


def signed_in_again(current: Credential, new: Credential) -> Credential:
    """The operator's word on the old login stays, but for what this sign-in said anew."""
    unsaid = Settings()
    kept = {
        field.name: getattr(current.settings, field.name)
        for field in fields(Settings)
        if getattr(new.settings, field.name) == getattr(unsaid, field.name)
    }
    return replace(new, settings=replace(new.settings, **kept))


def signed_in_over(current: Credential, new: Credential) -> Credential | None:
    """None where it is another account. Who signs in has named his himself: of a dead login the email is enough."""
    fits = same if current.dead is None else alike
    return signed_in_again(current, new) if fits(current, new) else None


def _reveal(value: Any) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"a credential holds no {type(value).__name__}")


def _hide(wanted: type, value: Any) -> Secret:
    if wanted is Secret and isinstance(value, str):
        return Secret(value)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")
