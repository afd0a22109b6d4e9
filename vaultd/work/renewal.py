"""One renewal: lease → look again → intent → ask the vendor → save → release. When and for whom is `work.renew`'s.

Runs whole, whoever is cancelled meanwhile. It needs the owner, one manifest and a way to send, and nobody's request;
what it is asked (`Order`) and what it answers (`Renewal`) are data, so that it can be done by a process that outlives a
killed daemon (`vaultd.keeper`).

From the intent on (SEC-44) the token in hand may be spent. It stops being so when a new one is saved, when the vendor
calls the login dead, or when it is certain that the vendor did nothing: the request never left, or a 4xx refused it. A
5xx, a broken answer or none leave the intent standing, for a server that rotates tokens may have done so before it
failed, and is to take the old one again (FAPI 2.0 Security Profile §5.3.2.1). The next renewal then comes at once
(SEC-45).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Protocol

import msgspec

from vaultd.catalog.manifest import Provider
from vaultd.effects import Reply, Send
from vaultd.errors import Misconfigured, SignInRequired, TryLater, VaultdError
from vaultd.net.clock import Clock
from vaultd.oauth.account import merged
from vaultd.oauth.grant import after_renewal
from vaultd.oauth.refresh import refresh
from vaultd.oauth.tokens import Grant, Tokens
from vaultd.pool.explain import renewing
from vaultd.secret import Secret
from vaultd.vault.commit import outlasted
from vaultd.vault.credential import Credential, DeadLogin
from vaultd.vault.lease import Lease
from vaultd.vault.ledger import Intent
from vaultd.vault.owner import Owner
from vaultd.work import due
from vaultd.work.drive import Perform, Sender, drive, unattended
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.renew")

_CUT_OFF = "an earlier renewal was cut off before its answer was saved, which may have spent this token"


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

    `skew`: the vendor's clock less ours, in seconds and good to one (its `Date`, RFC 9110 §6.6.1); None where it did
    not say. A renewal that fails has it on its error.
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


def wanted(order: Order, current: Credential, intent: Intent | None, *, wall: float, boot: float) -> bool:
    """Asked under the lease, of what is on disk: does the reason for the order still hold?"""
    if intent is not None:
        return True
    if order.rejected:
        return current.bearer is not None and fingerprint(current.bearer) == order.rejected
    if current.generation == order.generation:
        return True
    life = due.life(current, order.provider, wall=wall, boot=boot)
    return life is not None and boot >= life.due


async def renew(owner: Owner, order: Order, *, send: Sender, clock: Clock) -> Renewal:
    """The renewed credential; or what is on disk now, where that is no longer `wanted` renewed: somebody was faster.

    Raises SignInRequired after the credential was marked dead, and whatever the flow raises. Ends before a cancellation
    of the caller does: a token may be spent already.
    """
    step = Tasks().start(f"renew {order.id}", _step(owner, order, _Timed(send, clock), clock))
    if await outlasted(step):
        raise asyncio.CancelledError
    outcome: Renewal | VaultdError = step.result()
    if isinstance(outcome, VaultdError):
        raise outcome
    return outcome


async def _step(owner: Owner, order: Order, send: _Timed, clock: Clock) -> Renewal | VaultdError:
    """An expected failure is a value: what failed is said by whoever asked, and by no task."""
    try:
        credential, asked_at = await _renew(owner, order, send, clock)
    except VaultdError as error:
        error.skew = send.skew
        return error
    return Renewal(credential, asked_at, send.skew)


async def _renew(owner: Owner, order: Order, send: _Timed, clock: Clock) -> tuple[Credential, float | None]:
    id, vendor = order.id, order.provider  # noqa: A001
    async with owner.leased(id) as lease:
        current, earlier = lease.current, lease.intent
        wall, boot = clock.now(), clock.boot()
        if (
            current is None
            or current.dead
            or current.tokens is None
            or not wanted(order, current, earlier, wall=wall, boot=boot)
        ):
            return _alive(owner, current, id), None
        if earlier is not None:
            told = {"credential": id, "provider": current.provider}
            _log.warning("a renewal was cut off: its token is presented again at once", extra=told)
        asking = _Announced(lease, send, clock)
        async with lease.room():
            asked_at = clock.boot()
            try:
                grant = await drive(
                    refresh(vendor, current.tokens, stamp=clock.now), _performer(current, asking, clock)
                )
            except SignInRequired as refusal:
                reason = str(refusal)
                if earlier is not None:
                    reason += f"; {_CUT_OFF}"
                return await _buried(owner, lease, current.tokens, DeadLogin(reason, clock.now())), None
            except VaultdError:
                # What became of an earlier one this failure does not tell.
                if earlier is None and asking.in_vain:
                    with suppress(TryLater):  # it stands, and costs one renewal more
                        await lease.resolve()
                raise
            saved = await lease.put(renewed(current, grant, clock.now()))
            return await _completed(lease, saved, vendor, _performer(current, send, clock)), asked_at


class _Timed:
    """A sender that compares the vendors' clocks with ours."""

    def __init__(self, send: Sender, clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self.skew: float | None = None

    async def __call__(self, effect: Send, *, proxy: str | None = None) -> Reply:
        before = self._clock.boot()
        reply = await self._send(effect, proxy=proxy)
        with suppress(ValueError, OverflowError):
            stated = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
            # Of the whole second that a `Date` names the middle, and of the time that the request took.
            self.skew = stated + 0.5 - (self._clock.now() - (self._clock.boot() - before) / 2)
        return reply


class _Announced:
    """A sender that lets no token request leave without an intent, and knows how the request ended."""

    def __init__(self, lease: Lease, send: Sender, clock: Clock) -> None:
        self._lease = lease
        self._send = send
        self._clock = clock
        #: The intent is ours and the token was certainly not spent.
        self.in_vain = False

    async def __call__(self, effect: Send, *, proxy: str | None = None) -> Reply:
        if effect.method != "POST":  # discovery: nothing of ours is in it
            return await self._send(effect, proxy=proxy)
        await self._lease.intend(effect.url, boot=self._clock.boot(), wall=self._clock.now())
        try:
            reply = await self._send(effect, proxy=proxy)
        except TryLater as error:
            self.in_vain = not error.outcome_unknown
            raise
        self.in_vain = 300 <= reply.status < 500
        return reply


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


async def _buried(owner: Owner, lease: Lease, presented: Tokens, dead: DeadLogin) -> Credential:
    """Believe a refusal only where the file still holds the token that was refused (SEC-47): another program may write
    it without a lease. The tokens stay. Within the lease, so that nobody presents the token again meanwhile."""
    current = owner.reread(lease.id)
    if current is not None and not current.dead and current.tokens and current.tokens.refresh == presented.refresh:
        current = await lease.put(replace(current, dead=dead))
    return _alive(owner, current, lease.id)


def _alive(owner: Owner, credential: Credential | None, id: str) -> Credential:  # noqa: A002
    if credential is None:
        if trouble := owner.troubles().get(id):
            raise TryLater(f"{id}: {trouble}", own=True)
        if refused := owner.refused().get(f"{id}.json"):
            raise Misconfigured(f"{id}.json: {refused}")
        raise Misconfigured(f"no credential {id}: see `vaultd credentials list`")
    if credential.dead:
        raise sign_in_again(credential, credential.dead.reason)
    return credential


def _performer(credential: Credential, send: Sender, clock: Clock) -> Perform:
    """By the credential's own proxy. There is no person to ask."""
    return unattended(send, clock, credential.settings.proxy_url.reveal() if credential.settings.proxy_url else None)
