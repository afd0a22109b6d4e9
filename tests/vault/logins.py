"""Credentials as a sign-in makes them, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace

from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner


def login(
    email: str = "a@b.example", *, provider: str = "codex", person: str = "", account: str = "", at: float = 1000.0
) -> Credential:
    """A sign-in's outcome, as `work.sign_in` gives it to `settle`."""
    return Credential(
        id="",
        provider=provider,
        kind="oauth",
        tokens=Tokens(
            Secret(f"CANARY-access-{email}"), Secret(f"CANARY-refresh-{email}"), issued_at=at, expires_at=at + 60
        ),
        account=Account(person=person, account=account, email=email),
        created_at=at,
    )


def renewed(credential: Credential, at: float) -> Credential:
    assert credential.tokens is not None
    tokens = replace(
        credential.tokens, access=Secret(f"CANARY-access-{at}"), refresh=Secret(f"CANARY-{at}"), issued_at=at
    )
    return replace(credential, tokens=tokens, renewed_at=at)


async def put(owner: Owner, credential: Credential) -> Credential:
    async with owner.leased(credential.id) as lease:
        return await lease.put(credential)
