"""Codex's `auth.json` (OpenAI Codex CLI 0.169 of 2026, its strings and what it writes; the shape is unchanged since
2025):

    {"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "last_refresh": RFC 3339,
     "tokens": {"id_token", "access_token", "refresh_token", "account_id"}}

Signed in with an API key it holds that alone. `auth_mode` may also be `chatgptAuthTokens`, `agent_identity` or
`personal_access_token`, whose tokens belong to whoever gave them to Codex and are renewed by him.
"""

from __future__ import annotations

from typing import Final

from vaultd.errors import Misconfigured
from vaultd.oauth.account import account_from, claims, merged
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.work.importing.fields import Around, Found, Members, ends_at, moment, secret, section, text

#: What a login that is Codex's own says; a file of before 2026 says nothing.
_OWN: Final = frozenset({"", "chatgpt", "apikey", "api_key"})


def read(file: Members, name: str, around: Around) -> list[Found]:
    mode = text(file, "auth_mode", name)
    if mode not in _OWN:
        raise Misconfigured(f"{name}: Codex was given this login by another program (auth_mode): import it from there")
    tokens = section(file, "tokens", name)
    if tokens:
        return [login(tokens, moment(file, "last_refresh", name), name, around)]
    key = secret(file, "OPENAI_API_KEY", name)
    if key is None:
        raise Misconfigured(f"{name}: holds neither tokens nor an OPENAI_API_KEY")
    settings = Settings(label=around.label or "codex")
    return [Found(Credential("", "codex-api-key", "key", key=key, settings=settings, created_at=around.now))]


def login(tokens: Members, issued: float | None, name: str, around: Around) -> Found:
    access, refresh = secret(tokens, "access_token", name), secret(tokens, "refresh_token", name)
    if refresh is None:
        raise Misconfigured(
            f"{name}: holds no refresh_token, so it cannot be kept alive: sign in with vaultd login --codex"
        )
    id_token = secret(tokens, "id_token", name)
    ends = ends_at(access) or around.now
    issued_at = min(issued if issued is not None else around.now, ends)
    provider = around.catalog.provider("codex")
    account = Account()
    if id_token is not None and provider.oauth is not None:
        # Past its hour as a rule; whose it was, it still says.
        account = account_from(provider, claims(id_token.reveal(), provider.oauth.client_id, 0.0))
    if of := text(tokens, "account_id", name):
        account = merged(Account(account=of, facts={"chatgpt_account_id": of}), account)
    return Found(
        Credential(
            id="",
            provider="codex",
            kind="oauth",
            tokens=Tokens(access or Secret(""), refresh, id_token, issued_at=issued_at, expires_at=ends),
            account=account,
            settings=Settings(label=around.label),
            created_at=around.now,
            renewed_at=issued_at,
        ),
        dated=issued is not None,
    )
