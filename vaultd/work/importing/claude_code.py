"""Claude Code's `.credentials.json` (Claude Code 2.1.330 of 2026, read in its bundle):

    {"claudeAiOauth": {"accessToken", "refreshToken", "expiresAt": ms, "scopes": […], "subscriptionType",
                       "accountUuid", "organizationUuid"}, …}

The two ids are there since 2026; before, and for the email, `.claude.json` beside it (or one folder up) has
`oauthAccount: {accountUuid, emailAddress, organizationUuid}`. A login that has ended stays as empty tokens. Other
members (logins of MCP servers) are Claude Code's own business. On macOS all of it lies in the keychain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vaultd.errors import Misconfigured
from vaultd.oauth.account import MAX_FACT
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.work.importing.fields import Around, Found, Members, millis, object_of, secret, section, text

#: The companion, and the one member of it that is read.
COMPANION: Final = ".claude.json"
COMPANION_MEMBER: Final = "oauthAccount"


def read(file: Members, name: str, around: Around) -> list[Found]:
    login = section(file, "claudeAiOauth", name)
    access, refresh = secret(login, "accessToken", name), secret(login, "refreshToken", name)
    if access is None and refresh is None:
        raise Misconfigured(f"{name}: this login has ended; sign in with vaultd login --claude")
    ends = millis(login, "expiresAt", name) or around.now
    account = _account(login, name, around)
    return [
        Found(
            Credential(
                id="",
                provider="claude",
                kind="oauth",
                tokens=Tokens(
                    access or Secret(""),
                    refresh,
                    scope=_scope(login, name),
                    issued_at=min(around.now, ends),
                    expires_at=ends,
                ),
                account=account,
                settings=Settings(label="" if account.person or account.email else around.label or "claude-code"),
                created_at=around.now,
                renewed_at=min(around.now, ends),
            ),
            dated=False,
        )
    ]


def _account(login: Members, name: str, around: Around) -> Account:
    person, organization = text(login, "accountUuid", name), text(login, "organizationUuid", name)
    email = ""
    said = _companion(around)
    if not person or person == said.get("accountUuid"):
        person = person or text(said, "accountUuid", COMPANION)
        organization = organization or text(said, "organizationUuid", COMPANION)
        email = text(said, "emailAddress", COMPANION, MAX_FACT)
    return Account(person=person, account=organization, email=email, plan=text(login, "subscriptionType", name))


def _companion(around: Around) -> Mapping[str, Any]:
    if COMPANION not in around.beside:
        return {}
    return section(object_of(around.beside[COMPANION], COMPANION), COMPANION_MEMBER, COMPANION)


def _scope(login: Members, name: str) -> str:
    scopes = login.get("scopes") or []
    if not isinstance(scopes, list) or not all(isinstance(scope, str) and scope.isprintable() for scope in scopes):
        raise Misconfigured(f"{name}: scopes is no list of texts")
    return " ".join(scopes)[:640]
