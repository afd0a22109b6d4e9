"""What can be switched from outside: how a vendor, its person and its servers behave. Types only, no behaviour.

Strict: an unknown name is an error, for a test that misspells a switch must not pass by accident.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

#: How the person at the authorization page acts, or how the page's redirect is spoilt.
Consent = Literal[
    "open", "form", "deny", "wrong-state", "wrong-state-error", "no-state", "no-code", "repeat-state", "repeat-code"
]

#: Where a fault strikes. `llm` is inference, `count` token counting, `code-assist` Google's onboarding calls.
Place = Literal[
    "any",
    "authorize",
    "token",
    "revoke",
    "device",
    "device-token",
    "device-page",
    "discovery",
    "userinfo",
    "projects",
    "services",
    "code-assist",
    "llm",
    "count",
    "models",
]

#: What a fault does. The first row answers in place of the vendor, the second before or after it worked, the third
#: strikes after `after_events` events of a stream.
Deed = Literal[
    "status", "answer", "redirect", "gzip-bomb", "huge",
    "delay", "hang", "cut", "cut-after",
    "cut-stream", "error-event", "stall",
]  # fmt: skip


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One vendor's switches. The defaults are a well-behaved vendor and a person who says yes."""

    #: Who signs in next: an email, or `{email, person, account, plan, phone}`. Empty: `<vendor>@example.com`.
    account: str | dict[str, str] = ""
    consent: Consent = "open"
    #: RFC 9207 `iss` in the authorization response: empty leaves it out, `own` is the right one.
    iss: str = ""
    #: Deliver `code#state` in the `code` parameter (Claude).
    code_hash_state: bool = False
    #: Take any loopback port in a registered redirect URI, for tests that cannot own the fixed one.
    any_port: bool = False

    #: The person at the device page: `page` waits until it is opened with the code, `auto` approves by itself.
    device: Literal["page", "auto", "deny", "expire"] = "page"
    pending_polls: int = 0
    slow_downs: int = 0
    #: Real vendors say 5 s; a pretend one need not keep people waiting.
    device_interval: float = 1
    device_seconds: float = 300
    #: Merged over the device answer; null removes.
    device_answer: dict[str, Any] = {}
    #: The Codex device dialect answers 404 where an account may not use it.
    device_enabled: bool = True

    #: Life of an access token in seconds; None is the vendor's usual one.
    access_seconds: float | None = None
    #: Refresh tokens on renewal: a new one, the same one again, or none in the answer. None is the vendor's habit.
    refresh: Literal["rotate", "same", "absent"] | None = None
    #: A rotated refresh token still works for so long (FAPI 2.0 Security Profile §5.3.2.1).
    grace_seconds: float = 0
    #: Merged over token answers; null removes. `expires_in`, `refresh_token`, `token_type`, anything.
    token_answer: dict[str, Any] = {}

    userinfo_answer: dict[str, Any] = {}
    #: Merged over the discovery document (xAI).
    discovery_answer: dict[str, Any] = {}
    projects: list[str] = msgspec.field(default_factory=lambda: ["sandbox-project"])
    #: Projects on one page of the listing; 0 lists all at once.
    projects_per_page: int = 0
    #: `onboardUser` calls that answer `done: false` first.
    onboard_polls: int = 0
    services_enabled: bool = True

    #: Claude: OAuth requests need the vendor's own first system block.
    identity_required: bool = False
    #: API keys that are refused.
    bad_keys: list[str] = []
    #: Models this vendor answers 404 for.
    missing_models: list[str] = []
    #: Every access token is refused (401) although it is live: a vendor that does not take what it has just given.
    refuse_access: bool = False
    #: The token endpoint is not where it was: an HTML page with 404, whatever is asked.
    token_moved: bool = False
    #: How far the `Date` of this vendor's answers is from its clock.
    date_skew_seconds: float = 0
    #: Headers of every good answer of a model, such as say how much of an allowance is used.
    answer_headers: dict[str, str] = {}
    #: Seconds before each piece written to a stream.
    gap_seconds: float = 0
    #: Cut streams into pieces of so many bytes, wherever that falls; 0 writes event by event.
    chunk_bytes: int = 0


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One misbehaviour: where, what, how often, and to whom. A filter left empty matches everything."""

    at: Place
    do: Deed
    #: How many times it strikes; 0 is for ever.
    times: int = 1
    #: Matching requests that get away first.
    skip: int = 0
    status: int = 0
    body: str = ""
    content_type: str = "text/html"
    headers: dict[str, str] = {}
    retry_after: float | None = None
    seconds: float = 0
    #: Bytes of `huge`, or of the inflated `gzip-bomb`.
    size: int = 64 * 1024 * 1024
    after_events: int = 1
    #: Filters: the account's email, an API key, a model, a Google project, a grant type.
    account: str = ""
    key: str = ""
    model: str = ""
    project: str = ""
    grant: str = ""


class Quota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An allowance that is used up for `seconds` from when it is switched on: 429 in the vendor's own shape and hints.

    A filter left empty matches everything. Google counts by project and by model, so those are filters too.
    """

    seconds: float
    #: What the hint says instead of what is left: vendors are wrong about it by weeks.
    says_seconds: float | None = None
    #: `usual` is the vendor's own way of saying it, `retry-after` that header alone, `none` nothing.
    hint: Literal["usual", "retry-after", "none"] = "usual"
    account: str = ""
    key: str = ""
    model: str = ""
    project: str = ""


class Denial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refusal until it is lifted. The first two are about who asks, the others about what is asked.

    A bad key is the switch `bad_keys`: it is refused before anything else is looked at.
    """

    #: `empty`: no money left. `model`: not for this account. `policy`: the content.
    why: Literal["empty", "model", "too-long", "too-large", "policy"]
    #: Another status than the vendor's usual one for this.
    status: int = 0
    account: str = ""
    key: str = ""
    model: str = ""
    project: str = ""
