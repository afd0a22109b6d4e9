"""Qwen Code's `oauth_creds.json` (npm @qwen-code/qwen-code 0.24.4 of 2026, read in its bundle):

    {"access_token", "refresh_token", "token_type": "Bearer", "resource_url", "expiry_date": ms}

`resource_url` names the host that serves the account, and may be missing. Nothing in it says whose it is.
"""

from __future__ import annotations

from vaultd.errors import Misconfigured
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.work.importing.fields import Around, Found, Members, millis, secret, text


def read(file: Members, name: str, around: Around) -> list[Found]:
    access, refresh = secret(file, "access_token", name), secret(file, "refresh_token", name)
    if refresh is None:
        raise Misconfigured(f"{name}: holds no refresh_token; sign in with vaultd login --qwen")
    ends = millis(file, "expiry_date", name) or around.now
    # Names a host, which `work.address` checks against the vendor's own before a token goes there (THR-42).
    resource = text(file, "resource_url", name)
    return [
        Found(
            Credential(
                id="",
                provider="qwen",
                kind="oauth",
                tokens=Tokens(access or Secret(""), refresh, issued_at=min(around.now, ends), expires_at=ends),
                account=Account(facts={"resource_url": resource} if resource else {}),
                settings=Settings(label=around.label or "qwen-code"),
                created_at=around.now,
                renewed_at=min(around.now, ends),
            ),
            dated=False,
        )
    ]
