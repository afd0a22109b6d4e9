"""A vaultd process as far as renewal goes: a clock set by hand, a pretend vendor, a real vault."""

from __future__ import annotations

import asyncio
import heapq
from dataclasses import dataclass, field, replace
from pathlib import Path

from vaultd.catalog.models import Catalog
from vaultd.effects import Reply, Send
from vaultd.net.client import Client
from vaultd.oauth.tokens import Account, Tokens
from vaultd.sandbox import Account as Person
from vaultd.sandbox import Sandbox
from vaultd.secret import Secret
from vaultd.vault import keyring
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.work.renew import Renewer
from vaultd.work.renewal import Order, Renewal, renew

#: A day in 2026, far from 1970 and from every machine's own clock.
START = 1_790_000_000.0


class HandClock:
    """Both clocks, moved by the test alone."""

    def __init__(self) -> None:
        self.wall_error = 0.0
        self._boot = 1000.0
        self._booted = START - 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._asleep = asyncio.Event()

    def now(self) -> float:
        return self.true() + self.wall_error

    def true(self) -> float:
        """What the vendors' clocks say."""
        return self._booted + self._boot

    def boot(self) -> float:
        return self._boot

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        sleeper = (self._boot + seconds, id(woken), woken)
        heapq.heappush(self._sleepers, sleeper)
        self._asleep.set()
        try:
            await woken.wait()
        finally:
            self._sleepers = [other for other in self._sleepers if other[2] is not woken]
            heapq.heapify(self._sleepers)

    def advance(self, seconds: float) -> None:
        self._boot += seconds
        while self._sleepers and self._sleepers[0][0] <= self._boot:
            heapq.heappop(self._sleepers)[2].set()

    def suspend(self, seconds: float) -> None:
        """The boot clock goes on, timers stand still."""
        self._boot += seconds
        self._sleepers = [(when + seconds, *sleeper) for when, *sleeper in self._sleepers]  # type: ignore[misc]

    def reboot(self, off: float) -> None:
        """The machine was off for so long, and its boot clock begins anew. Nobody may be asleep."""
        assert self._sleepers == []
        self._booted, self._boot = self.true() + off, 0.0

    async def to_next(self) -> None:
        """Once somebody sleeps, to the moment the first is to wake."""
        while not self._sleepers:
            self._asleep.clear()
            await self._asleep.wait()
        self.advance(self._sleepers[0][0] - self._boot)


@dataclass
class Desk:
    """One vaultd process, as far as renewal goes."""

    sandbox: Sandbox
    clock: HandClock
    owner: Owner
    catalog: Catalog
    client: Client
    #: (boot time, credential's proxy, URL) of each request that left.
    sent: list[tuple[float, str | None, str]] = field(default_factory=list)
    #: (id, vendors' time) of each renewal that began.
    begun: list[tuple[str, float]] = field(default_factory=list)
    outcomes: asyncio.Queue[tuple[str, str]] = field(default_factory=asyncio.Queue)
    chance: float = 0.5

    def __post_init__(self) -> None:
        self.renewer = Renewer(
            self.owner,
            lambda: self.catalog,
            self.renew,
            self.clock,
            chance=lambda: self.chance,
            on_outcome=lambda told: self.outcomes.put_nowait((told.credential, told.outcome)),
        )

    async def renew(self, order: Order) -> Renewal:
        self.begun.append((order.id, self.clock.true()))
        return await renew(self.owner, order, send=self.send, clock=self.clock)

    async def send(self, effect: Send, *, proxy: str | None = None) -> Reply:
        self.sent.append((self.clock.boot(), proxy, effect.url))
        return await self.client.send(effect)

    async def sign_in(self, vendor: str = "codex", email: str = "") -> Credential:
        """What a sign-in leaves: tokens the vendor knows, sealed in the folder."""
        credential = login(self.sandbox, vendor, email, self.clock.now())
        return await self.owner.settle(credential)

    def get(self, id: str) -> Credential:  # noqa: A002
        credential = self.owner.get(id)
        assert credential is not None
        return credential

    def renewals(self, vendor: str = "codex") -> int:
        return self.sandbox[vendor].counts["renewals"]


def login(sandbox: Sandbox, vendor: str, email: str, now: float) -> Credential:
    state = sandbox[vendor]
    person = Person.of(vendor, email)
    code = state.authorize(
        account=person, redirect_uri="-", challenge="", state="-", scope="openid offline_access", offline=True
    )
    access = state.redeem(code.value, redirect_uri="-", verifier="", state="-")
    tokens = Tokens(
        access=Secret(access.value),
        refresh=Secret(access.family.refresh),
        issued_at=now,
        expires_at=now + state.access_seconds,
        api_key=Secret(state.derive_key(access)) if vendor == "iflow" else None,
    )
    account = Account(person=person.person, account=person.account, email=person.email, plan=person.plan)
    return Credential(id="", provider=vendor, kind="oauth", tokens=tokens, account=account, created_at=now)


def without_refresh(credential: Credential) -> Credential:
    assert credential.tokens is not None
    return replace(credential, tokens=replace(credential.tokens, refresh=None))


async def open_vault(folder: Path) -> Owner:
    key = folder.parent / "root.key"
    opened = keyring.unlock(folder, {}, None, key)
    owner = Owner(opened.credentials, opened)
    await owner.load()
    return owner
