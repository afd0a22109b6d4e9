"""Gemini CLI's `oauth_creds.json` (Gemini CLI 0.61 of 2026, read in its bundle; what google-auth-library keeps):

    {"access_token", "refresh_token", "scope", "token_type": "Bearer", "id_token", "expiry_date": ms}

Whose it is says the id_token, else `active` in `google_accounts.json` beside it. Which Cloud project serves it is in no
file: the vendor is asked, as at a sign-in. With GEMINI_FORCE_ENCRYPTED_FILE_STORAGE, and where a keychain is used,
there is `gemini-credentials.json` instead, sealed to that machine and user.
"""

from __future__ import annotations

from typing import Final

from vaultd.errors import Misconfigured
from vaultd.oauth.account import MAX_FACT, account_from, claims
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.work.importing.fields import Around, Found, Members, millis, object_of, secret, text

COMPANION: Final = "google_accounts.json"


def read(file: Members, name: str, around: Around) -> list[Found]:
    access, refresh = secret(file, "access_token", name), secret(file, "refresh_token", name)
    if refresh is None:
        raise Misconfigured(f"{name}: holds no refresh_token; sign in with vaultd login --gemini")
    ends = millis(file, "expiry_date", name) or around.now
    id_token = secret(file, "id_token", name)
    account = _account(id_token, around)
    return [
        Found(
            Credential(
                id="",
                provider="gemini",
                kind="oauth",
                tokens=Tokens(
                    access or Secret(""),
                    refresh,
                    id_token,
                    scope=text(file, "scope", name),
                    issued_at=min(around.now, ends),
                    expires_at=ends,
                ),
                account=account,
                settings=Settings(label="" if account.email else around.label or "gemini-cli"),
                created_at=around.now,
                renewed_at=min(around.now, ends),
            ),
            dated=False,
        )
    ]


def _account(id_token: Secret | None, around: Around) -> Account:
    provider = around.catalog.provider("gemini")
    if id_token is not None and provider.oauth is not None:
        said = account_from(provider, claims(id_token.reveal(), provider.oauth.client_id, 0.0))
        if said.email:
            return said
    if COMPANION not in around.beside:
        return Account()
    return Account(email=text(object_of(around.beside[COMPANION], COMPANION), "active", COMPANION, MAX_FACT))
