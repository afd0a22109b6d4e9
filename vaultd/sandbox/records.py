"""What a pretend vendor keeps: accounts, codes, token families, device sign-ins, requests. `state` changes them.

Every secret made here holds the word CANARY, so that one search finds a leak; what leaves the process is masked.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from vaultd.sandbox.switches import Fault


class GrantError(Exception):
    """A grant or token was refused. `code` is the RFC 6749 §5.2 / RFC 8628 §3.5 error value."""

    def __init__(self, code: str, why: str, *, detail: str = "") -> None:
        super().__init__(why)
        self.code = code
        self.why = why
        #: A vendor's finer word for the same refusal (`refresh_token_reused`).
        self.detail = detail or code


@dataclass(frozen=True, slots=True)
class Account:
    """Who signs in. One person may have several accounts; members of a team share one account."""

    email: str
    person: str
    account: str
    plan: str = "plus"
    phone: str = ""

    @classmethod
    def of(cls, vendor: str, given: str | Mapping[str, str]) -> Account:
        """From the `account` switch: what is not said follows from the email, always the same way."""
        said = {"email": given} if isinstance(given, str) else dict(given)
        email = said.get("email") or (f"{vendor}@example.com" if "phone" not in said else "")
        seed = email or said.get("phone", "")
        said = {"person": _uuid(f"person:{seed}"), "account": _uuid(f"account:{seed}")} | said
        return cls(**said | {"email": email})


@dataclass(slots=True)
class Code:
    """An authorization code: single use; a second use revokes what the first one gave (RFC 6749 §4.1.2)."""

    value: str = field(repr=False)
    account: Account
    redirect_uri: str
    challenge: str
    state: str
    scope: str
    offline: bool
    expires_at: float
    family: Family | None = None


@dataclass(slots=True)
class Family:
    """All tokens that descend from one sign-in. Replaying a rotated refresh token kills the whole family."""

    id: str
    account: Account
    scope: str
    refresh: str = field(default="", repr=False)
    #: Rotated refresh tokens and when they were.
    retired: dict[str, float] = field(default_factory=dict, repr=False)
    alive: bool = True
    renewals: int = 0


@dataclass(slots=True)
class Access:
    """One access token. `api_key` is what iFlow derives from it."""

    value: str = field(repr=False)
    family: Family
    expires_at: float
    api_key: str = field(default="", repr=False)
    revoked: bool = False


@dataclass(slots=True)
class Device:
    """A device sign-in under way."""

    device_code: str = field(repr=False)
    user_code: str
    account: Account
    challenge: str
    scope: str
    expires_at: float
    pending_left: int
    slow_downs_left: int
    verdict: Literal["waiting", "approved", "denied", "expired", "used"] = "waiting"


@dataclass(slots=True)
class Hit:
    """One request that reached the vendor, whole: for tests in this process. `masked` is what leaves it."""

    at: str
    method: str
    path: str
    query: list[tuple[str, str]] = field(repr=False)
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    #: The sandbox's clock.
    when: float = 0.0
    status: int = 0
    disconnected: bool = False

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def masked(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "query": [[name, shown(name, value)] for name, value in self.query],
            "headers": [[str(name), shown(name, value)] for name, value in self.headers],
            "body_bytes": len(self.body),
            "when": self.when,
            "status": self.status,
            "disconnected": self.disconnected,
        }


@dataclass(slots=True)
class Armed:
    """A fault that is switched on, with what is left of it."""

    fault: Fault
    to_skip: int
    left: int | None


#: Headers and query parameters that carry a secret.
_SECRET_NAMES = {"authorization", "x-api-key", "x-goog-api-key", "cookie", "key", "accesstoken", "code", "token"}


def mask(value: str) -> str:
    """Enough to tell two values apart, not enough to use one."""
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:12]


def shown(name: str, value: str) -> str:
    """A header or parameter fit to leave the process: `Bearer sha256:…` where it is a secret."""
    if name.lower() not in _SECRET_NAMES and "CANARY" not in value:
        return value
    scheme, space, rest = value.rpartition(" ")
    return scheme + space + mask(rest)


def challenge_of(verifier: str) -> str:
    """RFC 7636 §4.6."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def jwt(claims: Mapping[str, Any]) -> str:
    """A JWT whose signature verifies nowhere: what it says is for display. The signature part holds CANARY."""
    head, body = (
        base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=").decode()
        for part in ({"alg": "RS256", "typ": "JWT", "kid": "sandbox"}, claims)
    )
    # 43 characters are 256 bits: a length that decodes as base64url.
    return f"{head}.{body}.CANARY{secrets.token_hex(18)}A"


def _uuid(seed: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, seed))


def new_secret(vendor: str, kind: str) -> str:
    return f"{vendor}-{kind}-CANARY-{secrets.token_urlsafe(24)}"


#: What the sandbox issued, as opposed to an API key a person made up.
ISSUED = re.compile(r"^[a-z]+-(at|rt|code|dc|key)-CANARY-")
