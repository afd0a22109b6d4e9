"""A login as CLIProxyAPI writes it (November 2025): what `importing.cliproxyapi` reads, the other way round. For
whoever moves one there; it is a secret from the first byte to the last, and leaves sealed to a key of theirs (THR-19).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec

from vaultd.catalog.manifest import Provider
from vaultd.errors import Misconfigured
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.vault.recipient import Recipient

#: The logins that CLIProxyAPI has a file for.
_KINDS: Final = frozenset({"claude", "codex", "gemini", "iflow", "qwen"})


def sealed_file(credential: Credential, provider: Provider, recipient: Recipient) -> dict[str, str]:
    """The one way out: as a JWE. Raises Misconfigured as `token_file` does."""
    return recipient.seal(msgspec.json.encode(token_file(credential, provider)), typ="vaultd-export+jwe")


def token_file(credential: Credential, provider: Provider) -> dict[str, Any]:
    """Raises Misconfigured where CLIProxyAPI has no file for it."""
    tokens, account = credential.tokens, credential.account
    if tokens is None or credential.provider not in _KINDS:
        raise Misconfigured(f"{credential.id} is no login that CLIProxyAPI has a file for")
    email = account.email or credential.settings.label or account.person
    plain: dict[str, Any] = {"type": credential.provider, "email": email}
    if credential.settings.proxy_url is not None:
        plain["proxy_url"] = credential.settings.proxy_url.reveal()
    if credential.settings.disabled:
        plain["disabled"] = True
    if credential.provider == "gemini":
        return plain | _google(credential, provider)
    plain |= {
        "access_token": tokens.access.reveal(),
        "refresh_token": _text(tokens.refresh),
        "expired": _at(tokens.expires_at),
        "last_refresh": _at(tokens.issued_at),
    }
    match credential.provider:
        case "codex":
            plain |= {"id_token": _text(tokens.id_token), "account_id": account.facts.get("chatgpt_account_id", "")}
        case "claude":
            plain |= {"id_token": ""}
        case "qwen":
            plain |= {"resource_url": account.facts.get("resource_url", "")}
        case "iflow":
            plain |= {"api_key": _text(tokens.api_key), "token_type": "Bearer", "scope": tokens.scope}
    return plain


def _google(credential: Credential, provider: Provider) -> dict[str, Any]:
    """With what it needs to renew: the client's own id and secret, which are public (`providers/gemini.yaml`)."""
    tokens, oauth = credential.tokens, provider.oauth
    assert tokens is not None
    assert oauth is not None
    projects = credential.settings.projects or tuple(credential.account.facts.get("projects", ()))
    return {
        "token": {
            "access_token": tokens.access.reveal(),
            "token_type": "Bearer",
            "refresh_token": _text(tokens.refresh),
            "expiry": _at(tokens.expires_at),
            "token_uri": provider.endpoints.get("token", ""),
            "client_id": oauth.client_id,
            "client_secret": oauth.client_secret,
            "scopes": list(oauth.scopes),
            "universe_domain": "googleapis.com",
        },
        "project_id": ",".join(projects),
        "auto": False,
        "checked": True,
    }


def _at(wall: float) -> str:
    return dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="seconds")


def _text(secret: Secret | None) -> str:
    return secret.reveal() if secret is not None else ""
