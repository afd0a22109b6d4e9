"""The one renewer. Two callers: its own loop, ahead of expiry, and a request that meets a stale or a refused token.

Each renewal (`work.renewal`) is a task of its own that no cancelled request can stop, and whoever wants the same
credential meanwhile waits for that one. What is due when is arithmetic and lives in `work.due`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from vaultd.catalog.manifest import Provider
from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured, SignInRequired, TryLater, VaultdError
from vaultd.net.clock import Clock
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.work import due
from vaultd.work.renewal import Order, Renew, Renewal, fingerprint, sign_in_again
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.renew")

Outcome = Literal["renewed", "failed", "dead"]

#: The loop sleeps until something is due, but looks at both clocks this often: nothing wakes a process when the wall
#: clock is set, and asyncio's own timer stands still in suspend.
LOOK = 60.0


@dataclass(slots=True)
class _Standing:
    """What this process knows of one credential beyond its file."""

    generation: int
    life: due.Life | None
    #: True where this process made the token: then its age is known from the boot clock, and no wall clock counts.
    ours: bool = False
    failures: int = 0
    not_before: float = 0.0
    reason: str = ""
    #: What the vendor refused and renewal did not change (a derived API key): not forced again (SEC-52).
    hopeless: Secret | None = field(default=None, repr=False)


class Renewer:
    """Keeps every login of `owner` fresh. `wake` it when the catalogue changes; changes of credentials wake it."""

    def __init__(
        self,
        owner: Owner,
        catalog: Callable[[], Catalog],
        renew: Renew,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
        on_outcome: Callable[[str, str, Outcome], None] = lambda _id, _provider, _outcome: None,
    ) -> None:
        self._owner = owner
        self._catalog = catalog
        self._renew = renew
        self._clock = clock
        self._chance = chance
        self._on_outcome = on_outcome
        self._standings: dict[str, _Standing] = {}
        self._tasks = Tasks()
        #: An expected failure is a value here: whoever waits raises it, and with nobody waiting it is only logged.
        self._flights: dict[str, asyncio.Task[Credential | VaultdError]] = {}
        self._last_start: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._seen = (clock.now(), clock.boot())

    async def fresh(self, id: str, rejected: Secret | None = None) -> Credential:  # noqa: A002
        """The credential with a token that can be used now; `rejected` is the bearer a vendor just answered 401 to.

        Raises SignInRequired (dead), TryLater (it cannot be renewed now and what is in hand is of no use),
        Misconfigured (no such credential). Cancelling this never cancels the renewal.
        """
        while True:
            credential = self._usable(id)
            if not self._wanted(credential, rejected):
                return credential
            running = self._flights.get(id)
            standing = self._standing(credential)
            if running is None and standing.not_before > self._clock.boot():
                return self._make_do(id, rejected, standing.reason)
            outcome = await asyncio.shield(running or self._launch(credential, rejected))
            if isinstance(outcome, SignInRequired | Misconfigured):
                raise outcome
            if isinstance(outcome, VaultdError):
                return self._make_do(id, rejected, str(outcome))
            if running is None or rejected is None or outcome.bearer != rejected:
                return outcome

    def failing(self) -> dict[str, str]:
        """Whose renewal failed last time it was tried, by id, and why."""
        snapshot = self._owner.snapshot()
        return {
            id_: standing.reason
            for id_, standing in self._standings.items()
            if standing.failures and id_ in snapshot and snapshot[id_].generation == standing.generation
        }

    def forgive(self, id: str) -> None:  # noqa: A002
        """A person asks for a renewal: what they mended must show, so the pause after failures ends here."""
        if standing := self._standings.get(id):
            standing.not_before = 0.0

    async def forever(self) -> None:
        """Renew ahead of expiry until cancelled. One credential's failure never stops the loop."""
        unsubscribe = self._owner.changed(self.wake)
        try:
            while True:
                self._wake.clear()
                self._look_at_clocks()
                await self._rest(self._start_due())
        finally:
            unsubscribe()

    def wake(self) -> None:
        """Look again now: a credential or the catalogue changed."""
        self._wake.set()

    async def drain(self) -> None:
        """Let renewals in progress end: a token may be spent already. Bounded by the limits of `send` and `leased`."""
        await asyncio.gather(*self._flights.values(), return_exceptions=True)

    # What the loop decides.

    def _start_due(self) -> float:
        """Start what is due, the longest due first; the seconds until something next is."""
        boot = self._clock.boot()
        soonest = boot + LOOK
        snapshot = self._owner.snapshot()
        for gone in self._standings.keys() - snapshot.keys():
            del self._standings[gone]
        waiting = [(when, c.id) for c in snapshot.values() if (when := self._due(c)) is not None]
        for when, id in sorted(waiting):  # noqa: A001
            credential = snapshot[id]
            start = max(when, self._last_start.get(credential.provider, -due.GAP) + due.GAP)
            if start > boot:
                soonest = min(soonest, start)
            else:
                self._launch(credential, None)
        return soonest - boot

    def _due(self, credential: Credential) -> float | None:
        """When the loop is to renew it; None where that is nobody's business now."""
        if credential.dead or credential.settings.disabled or credential.id in self._flights:
            return None
        standing = self._standing(credential)
        return max(standing.life.due, standing.not_before) if standing.life else None

    def _look_at_clocks(self) -> None:
        """After the wall clock was set, judge anew what was judged by it (SEC-51).

        What we renewed ourselves stands, its age is known. Of two judgements by the wall clock the earlier holds: the
        clock may just have been set wrong, and a renewal too many is harmless where one too few is not.
        """
        wall, boot = self._clock.now(), self._clock.boot()
        before, self._seen = self._seen, (wall, boot)
        if not due.jumped(wall=before[0], boot=before[1], new_wall=wall, new_boot=boot):
            return
        by = round((wall - before[0]) - (boot - before[1]))
        _log.warning("the wall clock was set; due times are worked out again", extra={"seconds": by})
        for credential in self._owner.snapshot().values():
            standing = self._standing(credential)
            life = self._life(credential, wall=wall, boot=boot)
            if not standing.ours and life and standing.life and life.due < standing.life.due:
                standing.life = life

    async def _rest(self, seconds: float) -> None:
        async with asyncio.TaskGroup() as group:
            alarm = group.create_task(self._ring(seconds))
            await self._wake.wait()
            alarm.cancel()

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._wake.set()

    # What a request needs.

    def _usable(self, id: str) -> Credential:  # noqa: A002
        credential = self._owner.get(id)
        if credential is None:
            raise Misconfigured(f"no credential {id}: see `vaultd credentials list`")
        if credential.dead:
            raise sign_in_again(credential, credential.dead.reason)
        return credential

    def _wanted(self, credential: Credential, rejected: Secret | None) -> bool:
        """True where a request cannot go out with the token in hand. Ahead of expiry the loop sees to it alone."""
        standing = self._standing(credential)
        if standing.life is None:
            return False
        if rejected is not None and credential.bearer == rejected and standing.hopeless != rejected:
            return True
        return self._clock.boot() >= standing.life.stale

    def _make_do(self, id: str, rejected: Secret | None, reason: str) -> Credential:  # noqa: A002
        """The token in hand, where it still lives and was not refused; else TryLater."""
        credential = self._usable(id)
        standing = self._standing(credential)
        boot = self._clock.boot()
        if credential.bearer != rejected and standing.life and boot < standing.life.ends:
            return credential
        raise TryLater(f"{id}: its token could not be renewed: {reason}", after=max(0.0, standing.not_before - boot))

    def _standing(self, credential: Credential) -> _Standing:
        """What is known, worked out anew where the file has moved on."""
        standing = self._standings.get(credential.id)
        if standing is None or standing.generation != credential.generation:
            life = self._life(credential, wall=self._clock.now(), boot=self._clock.boot())
            standing = self._standings[credential.id] = _Standing(credential.generation, life)
        return standing

    def _life(self, credential: Credential, *, wall: float, boot: float) -> due.Life | None:
        try:
            return due.life(credential, self._provider(credential), wall=wall, boot=boot)
        except Misconfigured:
            return None  # its manifest is gone; `status` says so, and the catalogue's return wakes the loop

    def _provider(self, credential: Credential) -> Provider:
        return self._catalog().provider(credential.provider)

    # One renewal, and what is learnt from it.

    def _launch(self, credential: Credential, rejected: Secret | None) -> asyncio.Task[Credential | VaultdError]:
        self._last_start[credential.provider] = self._clock.boot()
        flight = self._tasks.start(f"renew {credential.id}", self._fly(credential, rejected))
        self._flights[credential.id] = flight
        return flight

    async def _fly(self, seen: Credential, rejected: Secret | None) -> Credential | VaultdError:
        """One renewal, noted and told whatever becomes of it."""
        try:
            renewal = await self._renew(self._order(seen, rejected))
        except VaultdError as error:
            self._failed(seen, error)
            return error
        except BaseException as error:  # our own fault, or the end of the process: never a loop without a pause
            self._failed(seen, TryLater(type(error).__name__))
            raise
        else:
            self._succeeded(renewal, rejected)
            return renewal.credential
        finally:
            del self._flights[seen.id]
            self.wake()

    def _order(self, seen: Credential, rejected: Secret | None) -> Order:
        refused = fingerprint(rejected) if rejected is not None else ""
        return Order(seen.id, self._provider(seen), seen.generation, refused)

    def _succeeded(self, renewal: Renewal, rejected: Secret | None) -> None:
        credential = renewal.credential
        if renewal.asked_at is None or credential.tokens is None:  # somebody was faster
            return
        life = self._life(credential, wall=credential.tokens.issued_at, boot=renewal.asked_at)
        hopeless = rejected if rejected is not None and credential.bearer == rejected else None
        standing = _Standing(credential.generation, life, ours=True, hopeless=hopeless)
        if credential.tokens.lifetime < 1:  # expired at birth: the next would be too
            standing.not_before, standing.reason = renewal.asked_at + due.FLOOR, "the vendor's new token had expired"
        self._standings[credential.id] = standing
        told = {"generation": credential.generation, "expires_in": round(credential.tokens.lifetime)}
        _log.info("renewed", extra={"credential": credential.id, "provider": credential.provider, **told})
        self._on_outcome(credential.id, credential.provider, "renewed")

    def _failed(self, credential: Credential, error: VaultdError) -> None:
        standing = self._standing(self._owner.get(credential.id) or credential)
        standing.failures += 1
        asked = error.after if isinstance(error, TryLater) else None
        pause = due.pause(standing.failures, asked, self._chance())
        standing.not_before = self._clock.boot() + pause
        standing.reason = str(error)
        dead = isinstance(error, SignInRequired)
        told = {"credential": credential.id, "provider": credential.provider, "reason": str(error)}
        _log.warning("renewal failed", extra=told if dead else {**told, "after": round(pause, 1)})
        self._on_outcome(credential.id, credential.provider, "dead" if dead else "failed")
