"""Who a vendor is, as data: the types one `providers/<id>.yaml` is read into. Strict; nothing here is code to run.

A quirk that needs code is a *named* hook (`catalog.hooks`); a vendor with no quirk needs none. Durations are text such
as `5d`, `4h`, `90s`. What is not listed here is an error that names the nearest key (`catalog.load`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec

from vaultd.errors import Misconfigured

FormatName = Literal["openai-chat", "openai-responses", "anthropic-messages", "gemini"]


_DURATION: Final = re.compile(r"(\d+)([smhd])")
_UNIT_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def duration(text: str) -> float:
    """`5d`, `4h`, `90s` in seconds. Raises Misconfigured."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise Misconfigured(f"`{text}` is not a duration; write a number and s, m, h or d, such as 90s or 5d")
    return float(found[1]) * _UNIT_SECONDS[found[2]]


class _Leaf(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    pass


class Redirect(_Leaf, frozen=True, kw_only=True):
    """The redirect URI the vendor registered. RFC 8252 §7.3; `localhost` only where the vendor insists (SEC-15)."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    path: Annotated[str, msgspec.Meta(pattern="^/[!-~]*$")]
    host: Literal["localhost", "127.0.0.1"] = "localhost"

    @property
    def uri(self) -> str:
        return f"http://{self.host}:{self.port}{self.path}"


class AccountPaths(_Leaf, frozen=True, kw_only=True):
    """Where the vendor says who signed in. A path is a list of keys, for keys may hold dots and slashes."""

    source: Literal["answer", "id-token", "userinfo", "none"] = "none"
    person: list[str] = []
    account: list[str] = []
    email: list[str] = []
    plan: list[str] = []
    facts: dict[str, list[str]] = {}


class OAuth(_Leaf, frozen=True, kw_only=True):
    """How a person signs in and a login is renewed."""

    flow: Literal["code", "device"] = "code"
    client_id: str
    #: Public: vendors ship it inside their own programs; no promise rests on it (SEC-10).
    client_secret: str = ""
    scopes: list[str] = []
    pkce: Literal["S256", "none"] = "S256"
    response_type: Literal["code", "none"] = "code"
    redirect: Redirect | None = None
    #: The vendor's own page that shows `code#state` to paste (`login --paste-page`).
    paste_redirect: str = ""
    authorize_params: dict[str, str] = {}
    #: The authorization request's name for `redirect_uri`, where a vendor has its own.
    redirect_param: str = "redirect_uri"
    token_body: Literal["form", "json"] = "form"  # noqa: S105 - a body format
    client_auth: Literal["none", "body", "basic", "basic-and-body"] = "none"
    #: Send `state` in the code exchange too (Claude).
    exchange_state: bool = False
    refresh_params: dict[str, str] = {}
    #: Renew so long before expiry, but never more than a fifth of the lifetime (SEC-50).
    refresh_ahead: str = "5m"
    #: Where an answer has no `expires_in`.
    default_lifetime: str = "1h"
    device: Literal["rfc8628", "codex", "none"] = "none"
    device_pkce: bool = False
    #: OpenID Connect issuer to discover endpoints from; endpoints given in the manifest win.
    issuer: str = ""
    #: Hosts that discovered endpoints may be on.
    issuer_hosts: list[str] = []
    account: AccountPaths = AccountPaths()
    #: Flow hooks, run in order: after the code or device exchange, and after each renewal.
    signed_in: list[str] = []
    renewed: list[str] = []
    #: Further `error` values that mean the login is dead, beside `invalid_grant` (SEC-48).
    terminal_errors: list[str] = []
    #: Device answers whose pending and error come with HTTP 200 need nothing: the body decides.


class Thinking(_Leaf, frozen=True, kw_only=True):
    """A model's reasoning range: token budget, or named levels."""

    min: int = 0
    max: int = 0
    zero_allowed: bool = False
    dynamic_allowed: bool = False
    levels: list[str] = []


class Model(_Leaf, frozen=True, kw_only=True):
    """One model id, or a pattern (`claude-*`) for models newer than the manifest."""

    id: str
    #: The vendor's own name where `id` is an alias, and the reasoning effort that the alias asks for.
    upstream: str = ""
    effort: str = ""
    context: int = 0
    max_output: int = 0
    thinking: Thinking | None = None
    input: tuple[Literal["text", "image", "audio", "video", "file"], ...] = ("text",)
    output: tuple[Literal["text", "image", "audio"], ...] = ("text",)
    #: Other ids of the same model to try on a 429 (`quota-exceeded.switch-preview-model`).
    preview: list[str] = []
    created: int = 0
    display_name: str = ""


class CredentialRefusal(_Leaf, frozen=True, kw_only=True):
    """A refusal that is about the credential and not the request, though its status does not say so. It fits where the
    status does, and one of `code` (whole) and one of `says` (a part of the message), of those two that are given."""

    status: Annotated[list[Annotated[int, msgspec.Meta(ge=400, le=499)]], msgspec.Meta(min_length=1)]
    #: The error's `code`, `type` or Google's `status` or `reason`.
    code: list[str] = []
    #: For a vendor that has only words for it.
    says: list[str] = []
    means: Literal["bad-key", "no-credit", "model-not-allowed"]


class Api(_Leaf, frozen=True, kw_only=True):
    """How inference is reached. The base is `endpoints.api`."""

    formats: Annotated[list[FormatName], msgspec.Meta(min_length=1)]
    #: Path below the base by format; `{model}` and `{method}` are filled in. Defaults per format in `wire.formats`.
    paths: dict[FormatName, str] = {}
    #: Path that counts tokens below the base, where the vendor has one.
    count_paths: dict[FormatName, str] = {}
    #: Query to add, by format.
    query: dict[FormatName, str] = {}
    auth: Literal["bearer", "x-api-key", "x-goog-api-key", "none"] = "bearer"
    #: `auth` for any other base-url than the manifest's own (Claude keys: Bearer elsewhere).
    auth_elsewhere: Literal["", "bearer", "x-api-key", "x-goog-api-key"] = ""
    headers: dict[str, str] = {}
    #: Tokens appended to a comma list header when missing (`anthropic-beta`: `oauth-2025-04-20`).
    append_headers: dict[str, str] = {}
    #: Headers filled from account facts: header name → fact name (`chatgpt-account-id`).
    fact_headers: dict[str, str] = {}
    #: Hosts a token-supplied base may be on, as globs (Qwen's `resource_url`).
    hosts: list[str] = []
    #: The account fact that holds a base URL (Qwen), followed only to `hosts`.
    base_fact: str = ""
    #: True where the vendor answers only with streams (Codex).
    streams_only: bool = False
    #: True where a whole answer that is translated is asked for as a stream and put together: the vendor ends
    #: connections on which nothing comes for minutes (Anthropic's documentation of long requests).
    streams_translated: bool = False
    #: Named request and answer hooks, in order (`catalog.hooks`).
    hooks: list[str] = []
    #: Refusals after which the next credential is tried, for they are this one's own; the first that fits counts.
    refusals: list[CredentialRefusal] = []
    #: Put before the client's own system text, which stays; empty for the vendors we know. An operator's word, for an
    #: endpoint that refuses a request without it.
    first_system: str = ""
    #: What the vendor says when it refuses for that reason: the client is then told of `first-system`.
    first_system_refusals: list[str] = []


class Provider(_Leaf, frozen=True, kw_only=True):
    """One vendor: a shipped manifest, a drop-in, an overlay, or an `openai-compatibility` entry."""

    id: str
    name: str = ""
    #: How far the manifest was tried against the live vendor: `none`, or a date.
    verified: str = "none"
    #: The day the vendor closed this way in, `YYYY-MM-DD`, or empty.
    sunset: str = ""
    sunset_note: str = ""
    oauth: OAuth | None = None
    #: True where an API key can be added (`vaultd credentials add`).
    keys: bool = False
    endpoints: dict[str, str] = {}
    api: Api
    models: list[Model] = []
    notes: str = ""


#: Where each leaf of a provider came from: dotted path → `shipped`, `drop-in FILE`, `config FILE`.
Origins = dict[str, str]


class Entry(msgspec.Struct, frozen=True):
    """One provider of the catalogue with the origin of its values."""

    provider: Provider
    origins: Origins
    raw: dict[str, Any]
