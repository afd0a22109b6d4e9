"""Token files of CLIProxyAPI, read from their text into credentials of ours.

The five shapes of its November 2025 files: flat for codex, claude, qwen and iflow, nested `token` for gemini. What a
file claims about itself (an id_token nobody verified) names an account for people and decides no access. Opens no file,
seals nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured
from vaultd.oauth.account import account_from, claims, merged
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


def read_token_file(text: str, name: str, catalog: Catalog, *, now: float) -> Credential | None:
    """None for a sealed file. Raises Misconfigured naming the file and what is wrong with it; never quotes it."""
    file = _object(text, name)
    kind = str(file.get("type", "")).lower()
    if "recipients" in file and "ciphertext" in file:
        return None
    if kind not in _PROVIDERS:
        known = ", ".join(sorted(set(_PROVIDERS.values())))
        raise Misconfigured(f"{name}: `type` is {kind or 'missing'}; token files of {known} can be imported")
    provider = catalog.provider(_PROVIDERS[kind])
    tokens = _tokens(file, name, now)
    account = _account(file)
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
    access, refresh = _text(nested, "access_token"), _text(nested, "refresh_token")
    if not access and not refresh:
        raise Misconfigured(f"{name}: holds neither access_token nor refresh_token")
    expires = _moment(nested, "expiry", name) or _moment(file, "expired", name) or now
    issued = _moment(file, "last_refresh", name) or min(now, expires)
    return Tokens(
        access=Secret(access),
        refresh=_secret(nested, "refresh_token"),
        id_token=_secret(nested, "id_token"),
        scope=_text(file, "scope"),
        issued_at=min(issued, expires),
        expires_at=expires,
        api_key=_secret(file, "api_key"),
    )


def _account(file: Mapping[str, Any]) -> Account:
    facts: dict[str, Any] = {}
    if resource := _text(file, "resource_url"):
        facts["resource_url"] = resource
    if account := _text(file, "account_id"):
        facts["chatgpt_account_id"] = account
    projects = [project for part in _text(file, "project_id").split(",") if (project := part.strip())]
    if projects:
        facts["projects"] = projects
    return Account(email=_text(file, "email"), account=account, facts=facts)


def _settings(file: Mapping[str, Any], name: str) -> Settings:
    proxy = _text(file, "proxy_url")
    if proxy and not urlsplit(proxy).hostname:
        raise Misconfigured(f"{name}: proxy_url is no address")
    return Settings(
        disabled=file.get("disabled") is True,
        proxy_url=Secret(proxy) if proxy else None,
    )


def _object(text: str, name: str) -> Mapping[str, Any]:
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise Misconfigured(f"{name}: is not JSON") from None
    if not isinstance(value, dict):
        raise Misconfigured(f"{name}: is not a JSON object")
    return value


def _moment(file: Mapping[str, Any], key: str, name: str) -> float | None:
    """RFC 3339 with the writer's own zone; Go writes nanoseconds."""
    text = _text(file, key)
    if not text:
        return None
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC).timestamp()
    except (ValueError, OverflowError):
        raise Misconfigured(f"{name}: {key} is no RFC 3339 time") from None


def _text(file: Mapping[str, Any], key: str) -> str:
    value = file.get(key)
    return value.strip() if isinstance(value, str) else ""


def _secret(file: Mapping[str, Any], key: str) -> Secret | None:
    value = _text(file, key)
    return Secret(value) if value else None
