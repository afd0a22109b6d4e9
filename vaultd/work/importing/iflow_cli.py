"""iFlow CLI's `oauth_creds.json`, as a user of it showed one in December 2025 (limecloud/lime issue 26; the program
itself is no longer in the registry, and the vendor ended the sign-in in April 2026):

    {"access_token", "refresh_token", "expiry_date": ms, "token_type": "bearer", "scope": "read", "apiKey"}

`apiKey` is what inference presents; the vendor hands out another with each renewal. Nothing in it says whose it is, but
a renewal does. Its `settings.json` may hold an API key and no login.
"""

from __future__ import annotations

from vaultd.errors import Misconfigured
from vaultd.oauth.tokens import Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.work.importing.fields import Around, Found, Members, millis, secret, text


def read(file: Members, name: str, around: Around) -> list[Found]:
    access, refresh = secret(file, "access_token", name), secret(file, "refresh_token", name)
    if refresh is None:
        raise Misconfigured(
            f"{name}: holds no refresh_token; an API key of iFlow is used as one of openai-compatibility in the config"
        )
    ends = millis(file, "expiry_date", name) or around.now
    return [
        Found(
            Credential(
                id="",
                provider="iflow",
                kind="oauth",
                tokens=Tokens(
                    access or Secret(""),
                    refresh,
                    scope=text(file, "scope", name),
                    issued_at=min(around.now, ends),
                    expires_at=ends,
                    api_key=secret(file, "apiKey", name),
                ),
                settings=Settings(label=around.label or "iflow-cli"),
                created_at=around.now,
                renewed_at=min(around.now, ends),
            ),
            dated=False,
        )
    ]
