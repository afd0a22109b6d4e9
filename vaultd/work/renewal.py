"""One renewal: lease → look again → ask the vendor → save → release. When and for whom is `work.renew`'s business.

Runs whole or not at all: `work.renew` gives it a task of its own. This is the step that can move into a process of its
own, for it needs the owner, one manifest and a way to send, and nobody's request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from vaultd.catalog.manifest import Provider
from vaultd.errors import Misconfigured, SignInRequired, VaultdError
from vaultd.net.clock import Clock
from vaultd.oauth.account import merged
from vaultd.oauth.grant import after_renewal
from vaultd.oauth.refresh import refresh
from vaultd.oauth.tokens import Grant, Tokens
from vaultd.pool.explain import renewing
from vaultd.vault.credential import Credential, DeadLogin
from vaultd.vault.owner import Lease, Owner
from vaultd.work.drive import Perform, Sender, drive, unattended

_log = logging.getLogger("vaultd.renew")


@dataclass(frozen=True, slots=True)
class Renewal:
    """What `renew` came back with. `asked_at`: the boot time just before the vendor was asked; None: it was not."""

    credential: Credential
    asked_at: float | None = None


async def renew(
    owner: Owner,
    id: str,  # noqa: A002
    provider: Callable[[Credential], Provider],
    *,
    send: Sender,
    clock: Clock,
    wanted: Callable[[Credential], bool],
) -> Renewal:
    """The renewed credential; or what is on disk now, where that is no longer `wanted` renewed: somebody was faster.

    Raises SignInRequired after the credential was marked dead, and whatever the flow raises.
    """
    async with owner.leased(id) as lease:
        current = lease.current
        if current is None or current.dead or current.tokens is None or not wanted(current):
            return Renewal(_alive(current, id))
        vendor = provider(current)
        perform = _performer(current, send, clock)
        async with lease.room():
            asked_at = clock.boot()
            try:
                grant = await drive(refresh(vendor, current.tokens, stamp=clock.now), perform)
            except SignInRequired as refusal:
                reason = str(refusal)
            else:
                saved = await lease.put(renewed(current, grant, clock.now()))
                return Renewal(await _completed(lease, saved, vendor, perform), asked_at)
    return Renewal(await _buried(owner, id, current.tokens, DeadLogin(reason, clock.now())))


def renewed(current: Credential, grant: Grant, now: float) -> Credential:
    """The credential after a renewal. Facts may change (a plan); who it is may not, for identity decides the file."""
    known = current.account
    account = merged(known, grant.account or known)
    account = replace(account, person=known.person or account.person, account=known.account or account.account)
    return replace(current, tokens=grant.tokens, account=account, renewed_at=now)


async def _completed(lease: Lease, saved: Credential, vendor: Provider, perform: Perform) -> Credential:
    """With what the vendor's hooks add. Their failure costs nothing: what they told last time is kept."""
    if vendor.oauth is None or not vendor.oauth.renewed or saved.tokens is None:
        return saved
    try:
        grant = await drive(after_renewal(vendor, Grant(saved.tokens, saved.account)), perform)
    except VaultdError as error:
        told = {"credential": saved.id, "provider": saved.provider, "reason": str(error)}
        _log.warning("renewed, but the vendor's hook failed", extra=told)
        return saved
    completed = renewed(saved, grant, saved.renewed_at)
    return saved if completed == saved else await lease.put(completed)


def sign_in_again(credential: Credential, reason: str) -> SignInRequired:
    return SignInRequired(f"{credential.id}: sign-in required ({reason}): {renewing(credential)}")


async def _buried(owner: Owner, id: str, presented: Tokens, dead: DeadLogin) -> Credential:  # noqa: A002
    """Believe a refusal only where the file still holds the token that was refused (SEC-47); the tokens stay."""
    async with owner.leased(id) as lease:
        current = lease.current
        if current is not None and not current.dead and current.tokens and current.tokens.refresh == presented.refresh:
            current = await lease.put(replace(current, dead=dead))
    return _alive(current, id)


def _alive(credential: Credential | None, id: str) -> Credential:  # noqa: A002
    if credential is None:
        raise Misconfigured(f"no credential {id}: see `vaultd credentials list`")
    if credential.dead:
        raise sign_in_again(credential, credential.dead.reason)
    return credential


def _performer(credential: Credential, send: Sender, clock: Clock) -> Perform:
    """By the credential's own proxy. There is no person to ask."""
    return unattended(send, clock, credential.settings.proxy_url.reveal() if credential.settings.proxy_url else None)
