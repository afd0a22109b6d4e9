"""One renewal: lease → look again → intent → ask the vendor → save → release. When and for whom is `work.renew`'s.

Runs whole or not at all: `work.renew` gives it a task of its own. It needs the owner, one manifest and a way to send,
and nobody's request; what it is asked (`Order`) and what it answers (`Renewal`) are data, so that it can be done by a
process that outlives a killed daemon (`vaultd.keeper`).
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from vaultd.catalog.manifest import Provider
from vaultd.errors import Misconfigured, SignInRequired, VaultdError
from vaultd.net.clock import Clock
from vaultd.oauth.account import merged
from vaultd.oauth.grant import after_renewal
from vaultd.oauth.refresh import refresh
from vaultd.oauth.tokens import Grant, Tokens
from vaultd.pool.explain import renewing
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, DeadLogin
from vaultd.vault.owner import Lease, Owner
from vaultd.work import due
from vaultd.work.drive import Perform, Sender, drive, unattended

_log = logging.getLogger("vaultd.renew")


class Order(msgspec.Struct, frozen=True):
    """Renew `id`: because the time of its `generation` has come, or because a vendor refused the bearer whose
    fingerprint is `rejected`. Where the file has moved on, what it holds now is judged by its own stamps."""

    id: str
    provider: Provider
    generation: int
    rejected: str = ""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What `renew` came back with. `asked_at`: the boot time just before the vendor was asked; None: it was not.

    `skew`: the vendor's clock less ours, in seconds (its `Date`, RFC 9110 §6.6.1); None where it did not say.
    """

    credential: Credential
    asked_at: float | None = None
    skew: float | None = None


class Renew(Protocol):
    """`renew` with its collaborators, or the keeper that does it elsewhere. Raises what `renew` raises."""

    async def __call__(self, order: Order) -> Renewal: ...


def fingerprint(secret: Secret) -> str:
    """Tells one bearer from another where the value itself is not needed."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()


def wanted(order: Order, current: Credential, *, wall: float, boot: float) -> bool:
    """Asked under the lease, of what is on disk: does the reason for the order still hold?"""
    if order.rejected:
        return current.bearer is not None and fingerprint(current.bearer) == order.rejected
    if current.generation == order.generation:
        return True
    life = due.life(current, order.provider, wall=wall, boot=boot)
    return life is not None and boot >= life.due


async def renew(owner: Owner, order: Order, *, send: Sender, clock: Clock) -> Renewal:
    """The renewed credential; or what is on disk now, where that is no longer `wanted` renewed: somebody was faster.

    Raises SignInRequired after the credential was marked dead, and whatever the flow raises.
    """
    id, vendor = order.id, order.provider  # noqa: A001
    async with owner.leased(id) as lease:
        current = lease.current
        wall, boot = clock.now(), clock.boot()
        if (
            current is None
            or current.dead
            or current.tokens is None
            or not wanted(order, current, wall=wall, boot=boot)
        ):
            return Renewal(_alive(current, id))
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
