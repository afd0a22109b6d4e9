"""Token files of CLIProxyAPI, read from their text into credentials of ours.

The five shapes of its November 2025 files: flat for codex, claude, qwen and iflow, nested `token` for gemini. What a
file claims about itself (an id_token nobody verified) names an account for people and decides no access. A file may be
hostile (THR-18): what is read must be of its type, printable and of a sane length, and where its tokens go is the
manifest's to say, whatever endpoint the file names. Opens no file, seals nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NoReturn

from vaultd.catalog.models import Catalog
from vaultd.config.load import is_proxy
from vaultd.errors import Misconfigured
from vaultd.oauth.account import MAX_FACT, account_from, claims, merged
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings

#: What a file's `type` says → the provider here. Later names of the same logins included.
_PROVIDERS: Final = {
    "codex": "codex",
    "claude": "claude",
    "gemini": "gemini",
    "gemini-cli": "gemini",
    "qwen": "qwen",
    "iflow": "iflow",
}
#: Vendors' tokens are JWTs of a few kB at most. A file has four, and what can be sealed ends at 48 KiB.
_LONGEST_TOKEN: Final = 8 * 1024
#: Goes into a header as it is (RFC 6750 §2.1 knows fewer characters; vendors keep to no grammar, but to ASCII).
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
#: Twenty projects with the longest ids that Google allows (30 characters).
_LONGEST_TEXT: Final = 640


def read_token_file(text: str, name: str, catalog: Catalog, *, now: float) -> Credential | None:
    """None for a sealed file. Raises Misconfigured naming the file and what is wrong with it; never quotes it."""
    file = _object(text, name)
    if "recipients" in file and "ciphertext" in file:
        return None
    kind = _text(file, "type", name).lower()
    if kind not in _PROVIDERS:
        known = ", ".join(sorted(set(_PROVIDERS.values())))
        raise Misconfigured(f"{name}: `type` is {kind or 'missing'}; token files of {known} can be imported")
    provider = catalog.provider(_PROVIDERS[kind])
    tokens = _tokens(file, name, now)
    account = _account(file, name)
    if provider.oauth is not None and provider.oauth.account.source == "id-token" and tokens.id_token is not None:
        # An imported id_token is past its hour as a rule; whose it was, it still says.
        account = merged(
            account, account_from(provider, claims(tokens.id_token.reveal(), provider.oauth.client_id, 0.0))
        )
    return Credential(
        id="",
        provider=provider.id,
        kind="oauth",
        tokens=tokens,
        account=account,
        settings=_settings(file, name),
        created_at=now,
        renewed_at=tokens.issued_at,
    )


def _tokens(file: Mapping[str, Any], name: str, now: float) -> Tokens:
    token = file.get("token")
    nested = token if isinstance(token, dict) else file
    access, refresh = _secret(nested, "access_token", name), _secret(nested, "refresh_token", name)
    if access is None and refresh is None:
        raise Misconfigured(f"{name}: holds neither access_token nor refresh_token")
    expires = _moment(nested, "expiry", name) or _moment(file, "expired", name) or now
    issued = _moment(file, "last_refresh", name) or min(now, expires)
    return Tokens(
        access=access or Secret(""),
        refresh=refresh,
        id_token=_secret(nested, "id_token", name),
        scope=_text(file, "scope", name),
        issued_at=min(issued, expires),
        expires_at=expires,
        api_key=_secret(file, "api_key", name),
    )


def _account(file: Mapping[str, Any], name: str) -> Account:
    facts: dict[str, Any] = {}
    # Names a host, which `work.address` checks against the vendor's own before a token goes there (THR-42).
    if resource := _text(file, "resource_url", name):
        facts["resource_url"] = resource
    if account := _text(file, "account_id", name):
        facts["chatgpt_account_id"] = account
    projects = [project for part in _text(file, "project_id", name).split(",") if (project := part.strip())]
    if projects:
        facts["projects"] = projects
    email = _text(file, "email", name)
    if len(email) > MAX_FACT:
        raise Misconfigured(f"{name}: email is too long")
    return Account(email=email, account=account, facts=facts)


def _settings(file: Mapping[str, Any], name: str) -> Settings:
    proxy = _text(file, "proxy_url", name)
    if proxy and not is_proxy(proxy):
        raise Misconfigured(f"{name}: proxy_url is no address")
    return Settings(
        disabled=file.get("disabled") is True,
        proxy_url=Secret(proxy) if proxy else None,
    )


def _object(text: str, name: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=partial(_members, name), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Misconfigured(f"{name}: is not JSON") from None
    if not isinstance(value, dict):
        raise Misconfigured(f"{name}: is not a JSON object")
    return value


def _members(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two programs may each read another of two members of one name (RFC 8259 §4)."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Misconfigured(f"{name}: repeats a member")
    return members


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def _moment(file: Mapping[str, Any], key: str, name: str) -> float | None:
    """RFC 3339 with the writer's own zone; Go writes nanoseconds."""
    text = _text(file, key, name)
    if not text:
        return None
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC).timestamp()
    except (ValueError, OverflowError):
        raise Misconfigured(f"{name}: {key} is no RFC 3339 time") from None


def _text(file: Mapping[str, Any], key: str, name: str, longest: int = _LONGEST_TEXT) -> str:
    value = file.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Misconfigured(f"{name}: {key} is no text")
    text = value.strip()
    if len(text) > longest or not text.isprintable():
        raise Misconfigured(f"{name}: {key} is too long, or holds what cannot be printed")
    return text


def _secret(file: Mapping[str, Any], key: str, name: str) -> Secret | None:
    value = _text(file, key, name, _LONGEST_TOKEN)
    if value and not _TOKEN.fullmatch(value):
        raise Misconfigured(f"{name}: {key} holds characters that no token has")
    return Secret(value) if value else None
