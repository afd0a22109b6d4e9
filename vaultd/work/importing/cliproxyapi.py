"""Token files of CLIProxyAPI: the five shapes of its November 2025 files, flat for codex, claude, qwen and iflow,
nested `token` for gemini.

What a file claims about itself (an id_token nobody verified) names an account for people and decides no access. Where
its tokens go is the manifest's to say, whatever endpoint the file names (THR-18).
"""

from __future__ import annotations

from typing import Any, Final

from vaultd.catalog.models import Catalog
from vaultd.config.load import is_proxy
from vaultd.errors import Misconfigured
from vaultd.oauth.account import MAX_FACT, account_from, claims, merged
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.work.importing.fields import Around, Found, Members, moment, object_of, secret, text

#: What a file's `type` says → the provider here. Later names of the same logins included.
_PROVIDERS: Final = {
    "codex": "codex",
    "claude": "claude",
    "gemini": "gemini",
    "gemini-cli": "gemini",
    "qwen": "qwen",
    "iflow": "iflow",
}


def read_token_file(text_: str, name: str, catalog: Catalog, *, now: float) -> Credential | None:
    """None for a file that is sealed (by us). Raises Misconfigured naming the file and what is wrong with it; never
    quotes it."""
    file = object_of(text_, name)
    return None if is_sealed(file) else read(file, name, Around(catalog, now))[0].credential


def is_sealed(file: Members) -> bool:
    return "recipients" in file and "ciphertext" in file


def read(file: Members, name: str, around: Around) -> list[Found]:
    kind = text(file, "type", name).lower()
    if kind not in _PROVIDERS:
        known = ", ".join(sorted(set(_PROVIDERS.values())))
        raise Misconfigured(f"{name}: `type` is {kind or 'missing'}; token files of {known} can be imported")
    provider = around.catalog.provider(_PROVIDERS[kind])
    tokens = _tokens(file, name, around.now)
    account = _account(file, name)
    if provider.oauth is not None and provider.oauth.account.source == "id-token" and tokens.id_token is not None:
        # An imported id_token is past its hour as a rule; whose it was, it still says.
        account = merged(
            account, account_from(provider, claims(tokens.id_token.reveal(), provider.oauth.client_id, 0.0))
        )
    credential = Credential(
        id="",
        provider=provider.id,
        kind="oauth",
        tokens=tokens,
        account=account,
        settings=_settings(file, name, "" if account.email or account.person else around.label),
        created_at=around.now,
        renewed_at=tokens.issued_at,
    )
    return [Found(credential, dated=moment(file, "last_refresh", name) is not None)]


def _tokens(file: Members, name: str, now: float) -> Tokens:
    token = file.get("token")
    nested = token if isinstance(token, dict) else file
    access, refresh = secret(nested, "access_token", name), secret(nested, "refresh_token", name)
    if access is None and refresh is None:
        raise Misconfigured(f"{name}: holds neither access_token nor refresh_token")
    expires = moment(nested, "expiry", name) or moment(file, "expired", name) or now
    issued = moment(file, "last_refresh", name) or min(now, expires)
    return Tokens(
        access=access or Secret(""),
        refresh=refresh,
        id_token=secret(nested, "id_token", name),
        scope=text(file, "scope", name),
        issued_at=min(issued, expires),
        expires_at=expires,
        api_key=secret(file, "api_key", name),
    )


def _account(file: Members, name: str) -> Account:
    facts: dict[str, Any] = {}
    # Names a host, which `work.address` checks against the vendor's own before a token goes there (THR-42).
    if resource := text(file, "resource_url", name):
        facts["resource_url"] = resource
    if account := text(file, "account_id", name):
        facts["chatgpt_account_id"] = account
    projects = [project for part in text(file, "project_id", name).split(",") if (project := part.strip())]
    if projects:
        facts["projects"] = projects
    email = text(file, "email", name)
    if len(email) > MAX_FACT:
        raise Misconfigured(f"{name}: email is too long")
    return Account(email=email, account=account, facts=facts)


def _settings(file: Members, name: str, label: str) -> Settings:
    proxy = text(file, "proxy_url", name)
    if proxy and not is_proxy(proxy):
        raise Misconfigured(f"{name}: proxy_url is no address")
    return Settings(
        disabled=file.get("disabled") is True,
        proxy_url=Secret(proxy) if proxy else None,
        label=label,
    )
