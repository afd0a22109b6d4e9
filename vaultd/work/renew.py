"""The one renewer. Two callers: its own loop, ahead of expiry, and a request that meets a stale or a refused token.

Each renewal (`work.renewal`) is a task of its own that no cancelled request can stop, and whoever wants the same
credential meanwhile waits for that one. What is due when is arithmetic and lives in `work.due`, what is known of each
login in `work.standing`, who comes next in `work.agenda`, and whether a vendor is to be asked at all in `work.circuit`.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from vaultd.catalog.manifest import Provider
from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured, ProtocolError, SignInRequired, TryLater, UpstreamRefused, VaultdError
from vaultd.net.clock import Clock
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.work import due
from vaultd.work.agenda import Agenda, Turn
from vaultd.work.circuit import CLOSED, Circuit
from vaultd.work.renewal import Order, Renew, Renewal, fingerprint, sign_in_again
from vaultd.work.skew import Skew
from vaultd.work.standing import Standing, Standings, renewable, short_lived
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.renew")

Outcome = Literal["renewed", "failed", "dead"]


class Told(NamedTuple):
    """How one renewal ended, for whoever counts."""

    credential: str
    provider: str
    outcome: Outcome
    seconds: float


#: The loop sleeps until something is due, but looks at both clocks this often: nothing wakes a process when the wall
#: clock is set, and asyncio's own timer stands still in suspend.
LOOK = 60.0
#: A login whose outcome is unknown is urgent this often; after that it is no likelier to be saved than others.
URGENT = 2
#: While one login tries a vendor that failed, the others ask again after a second: it takes one to be answered.
TRIAL = 1.0


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
        on_outcome: Callable[[Told], None] = lambda _told: None,
    ) -> None:
        self._owner = owner
        self._catalog = catalog
        self._renew = renew
        self._clock = clock
        self._chance = chance
        self._on_outcome = on_outcome
        self._standings = Standings(catalog)
        self._agenda = Agenda()
        #: By provider; one that works has none.
        self._circuits: dict[str, Circuit] = {}
        self._skew = Skew()
        self._tasks = Tasks()
        #: An expected failure is a value here: whoever waits raises it, and with nobody waiting it is only logged.
        self._flights: dict[str, asyncio.Task[Credential | VaultdError]] = {}
        #: When each of them began, on the boot clock.
        self._began: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._seen = (clock.now(), clock.boot())
        #: What the agenda was made from, and whose turn is to be worked out again all the same.
        self._planned: Mapping[str, Credential] = {}
        self._unsettled: frozenset[str] = frozenset()
        self._known: Catalog | None = None
        self._touched: set[str] = set()

    async def fresh(self, id: str, rejected: Secret | None = None, *, least: float = 0.0) -> Credential:  # noqa: A002
        """The credential with a token that can be used now; `rejected` is the bearer a vendor just answered 401 to.
        `least`: seconds that its token is to live on, for whoever takes it away; where it cannot, it is what there is.

        It comes back with that very bearer where renewal does not help: within a minute of the last one, or where that
        did not change it (SEC-52).

        Raises SignInRequired (dead), TryLater (it cannot be renewed now and what is in hand is of no use),
        Misconfigured (no such credential). Cancelling this never cancels the renewal.
        """
        while True:
            credential = self._usable(id)
            standing = self._standing(credential)
            refused = self._refused(standing, rejected)
            if not refused and not self._stale(standing, least):
                return credential
            running = self._flights.get(id)
            if running is None and (held := self._held(standing, refused=refused)):
                return self._make_do(id, rejected, *held)
            outcome = await asyncio.shield(running or self._launch(credential, rejected))
            if isinstance(outcome, SignInRequired | Misconfigured):
                raise outcome
            if isinstance(outcome, VaultdError):
                held = self._held(self._standing(self._usable(id)))
                return self._make_do(id, rejected, str(outcome), held[1] if held else 0.0)
            if running is None or rejected is None or outcome.bearer != rejected:
                return outcome

    def failing(self) -> dict[str, str]:
        """Whose token is not renewed although it should be, by id, and why: its own last failure, or what holds it."""
        boot, found = self._clock.boot(), {}
        for credential in self._owner.snapshot().values():
            if not renewable(credential):
                continue
            standing = self._standing(credential)
            if standing.failures:
                found[credential.id] = standing.reason
            elif standing.life and boot >= standing.life.ends and (held := self._held(standing)):
                found[credential.id] = held[0]
        return found

    def due(self) -> dict[str, float]:
        """In how many seconds each login is to be renewed, by id; less than 0 where it is overdue, whether it waits for
        its turn, its vendor or its pause after a failure, or is being tried: a pause is no progress."""
        boot, found = self._clock.boot(), {}
        for credential in self._owner.snapshot().values():
            standing = self._standing(credential) if renewable(credential) else None
            if standing is not None and standing.life is not None:
                found[credential.id] = standing.life.due - boot
        return found

    def vendors(self) -> Mapping[str, Circuit]:
        """Whose token endpoint failed since it last worked, by provider: `opened`, `until` (boot), `reason`."""
        return MappingProxyType(self._circuits)

    def skew(self) -> float | None:
        """The vendors' clocks less ours, in seconds; None where none has told."""
        return self._skew.now(wall=self._clock.now(), boot=self._clock.boot())

    def forgive(self, id: str) -> None:  # noqa: A002
        """A person asks for a renewal: what they mended must show, so nothing holds the next one back."""
        if credential := self._owner.get(id):
            standing = self._standing(credential)
            standing.asked, standing.hopeless = True, None

    async def forever(self) -> None:
        """Renew ahead of expiry until cancelled. One credential's failure never stops the loop."""
        unsubscribe = self._owner.changed(self.wake)
        try:
            while True:
                self._wake.clear()
                self._plan(everything=self._look_at_clocks())
                await self._rest(self._start_due())
        finally:
            unsubscribe()

    def wake(self) -> None:
        """Look again now: a credential or the catalogue changed."""
        self._wake.set()

    async def drain(self, seconds: float | None = None) -> None:
        """Let renewals in progress end: a token may be spent already. No longer than this, where a keeper goes on with
        them alone; else bounded by the limits of `send` and `leased`."""
        if self._flights:
            await asyncio.wait(list(self._flights.values()), timeout=seconds)
        for id in self._flights:  # noqa: A001
            _log.warning("ending without waiting any longer for this renewal", extra={"credential": id})

    # What the loop decides.

    def _start_due(self) -> float:
        """Start whose turn it is; the seconds until it may be somebody's again."""
        boot = self._clock.boot()
        while (id := self._agenda.next(boot, self._circuits)) is not None:  # noqa: A001
            self._launch(self._planned[id], None)
        rest = self._agenda.rest(boot, self._circuits)
        return LOOK if rest is None else min(rest, LOOK)

    def _plan(self, *, everything: bool) -> None:
        """Brings the agenda up to date with what changed since it last was. What did not change costs a glance."""
        snapshot, unsettled, catalog = self._owner.snapshot(), self._owner.unsettled(), self._catalog()
        if snapshot is not self._planned or catalog is not self._known:
            gone = self._planned.keys() - snapshot.keys()
            self._standings.forget(gone)
            for id in gone:  # noqa: A001
                self._agenda.put(id, None)
            everything = self._standings.count(snapshot) or everything
        changed = self._touched | (unsettled ^ self._unsettled)
        if everything:
            changed.update(snapshot)
        elif snapshot is not self._planned:
            changed.update(key for key, credential in snapshot.items() if self._planned.get(key) is not credential)
        for id in changed & snapshot.keys():  # noqa: A001
            self._agenda.put(id, self._turn(snapshot[id], unsettled=id in unsettled))
        self._planned, self._unsettled, self._known = snapshot, unsettled, catalog
        self._touched.clear()

    def _turn(self, credential: Credential, *, unsettled: bool) -> Turn | None:
        """When the loop is to renew it; None where that is nobody's business now."""
        if credential.id in self._flights or credential.dead:
            return None
        # What was begun while it was enabled is brought to its end: else the login may be lost with it.
        standing = self._standing(credential) if unsettled or renewable(credential) else None
        if standing is None or standing.life is None:
            return None
        life, vendor = standing.life, credential.provider
        if not unsettled:
            return Turn(vendor, max(life.due, standing.earliest), life.stale, failures=standing.failures)
        # An intent older than our own renewal is news that has not come through yet.
        when = max(standing.not_before, standing.forcible)
        urgent = (standing.unknown or standing.failures) < URGENT
        return Turn(vendor, when, life.stale, urgent=urgent, failures=standing.failures)

    def _look_at_clocks(self) -> bool:
        """True after the wall clock was set: then all that was judged by it is judged anew (SEC-51)."""
        wall, boot = self._clock.now(), self._clock.boot()
        before, self._seen = self._seen, (wall, boot)
        self._tell_skew()
        if not due.jumped(wall=before[0], boot=before[1], new_wall=wall, new_boot=boot):
            return False
        by = round((wall - before[0]) - (boot - before[1]))
        _log.warning("the wall clock was set; due times are worked out again", extra={"seconds": by})
        self._standings.clock_was_set(wall=wall, boot=boot)
        return True

    def _tell_skew(self) -> None:
        wall, boot = self._clock.now(), self._clock.boot()
        if news := self._skew.news(wall=wall, boot=boot):
            _log.warning(news, extra={"skew": round(self._skew.now(wall=wall, boot=boot) or 0.0, 1)})

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

    def _stale(self, standing: Standing, least: float) -> bool:
        """True where time made the token in hand useless. Ahead of that the loop sees to it alone, and to an unknown
        outcome too: a token that lives is as good as it was.

        Whoever asks for more gets half a vendor's lifetime at most: more would renew a short one each time.
        """
        tokens, boot = standing.credential.tokens, self._clock.boot()
        if standing.life is None or boot >= standing.life.stale:
            return standing.life is not None
        if tokens is None or tokens.refresh is None:
            return False
        return boot > standing.life.ends - min(least, tokens.lifetime / 2)

    def _refused(self, standing: Standing, rejected: Secret | None) -> bool:
        """True where a 401 on `rejected` is to renew it."""
        if rejected is None or standing.life is None or standing.credential.bearer != rejected:
            return False
        return standing.hopeless != rejected and self._clock.boot() >= standing.forcible

    def _held(self, standing: Standing, *, refused: bool = False) -> tuple[str, float] | None:
        """Why it may not be renewed now, and until when; None where it may."""
        boot, vendor = self._clock.boot(), standing.credential.provider
        if standing.asked:
            return None
        circuit = self._circuits.get(vendor, CLOSED)
        if not circuit.admits(boot):
            until = max(circuit.until, boot + TRIAL, standing.not_before)
            times = f"failed {circuit.failures} times in a row and is left alone for {until - boot:.0f} s"
            return f"{vendor}'s token endpoint {times}: {circuit.reason}", until
        if standing.not_before > boot:
            return standing.reason, standing.not_before
        return (short_lived(standing), standing.rested) if standing.rested > boot and not refused else None

    def _make_do(self, id: str, rejected: Secret | None, reason: str, until: float) -> Credential:  # noqa: A002
        """The token in hand, where it still lives and was not refused; else TryLater."""
        credential = self._usable(id)
        standing = self._standing(credential)
        boot = self._clock.boot()
        if credential.bearer != rejected and standing.life and boot < standing.life.ends:
            return credential
        raise TryLater(f"{id}: its token could not be renewed: {reason}", after=max(0.0, until - boot))

    def _standing(self, credential: Credential) -> Standing:
        return self._standings.of(credential, wall=self._clock.now(), boot=self._clock.boot())

    def _provider(self, credential: Credential) -> Provider:
        return self._catalog().provider(credential.provider)

    # One renewal, and what is learnt from it.

    def _launch(self, credential: Credential, rejected: Secret | None) -> asyncio.Task[Credential | VaultdError]:
        boot, vendor = self._clock.boot(), credential.provider
        self._agenda.put(credential.id, None)
        self._agenda.began(vendor, boot)
        if vendor in self._circuits:
            self._circuits[vendor] = self._circuits[vendor].begun(credential.id, boot)
        flight = self._tasks.start(f"renew {credential.id}", self._fly(credential, rejected))
        self._flights[credential.id] = flight
        return flight

    async def _fly(self, seen: Credential, rejected: Secret | None) -> Credential | VaultdError:
        """One renewal, noted and told whatever becomes of it."""
        self._began[seen.id] = self._clock.boot()
        try:
            renewal = await self._renew(self._order(seen, rejected))
        except VaultdError as error:
            self._failed(seen, error)
            return error
        except BaseException as error:  # our own fault, or the end of the process: never a loop without a pause
            self._failed(seen, TryLater(type(error).__name__, own=True))
            raise
        else:
            self._succeeded(renewal, rejected)
            return renewal.credential
        finally:
            del self._flights[seen.id], self._began[seen.id]
            self._touched.add(seen.id)
            self.wake()

    def _order(self, seen: Credential, rejected: Secret | None) -> Order:
        refused = fingerprint(rejected) if rejected is not None else ""
        return Order(seen.id, self._provider(seen), seen.generation, refused)

    def _succeeded(self, renewal: Renewal, rejected: Secret | None) -> None:
        credential, vendor = renewal.credential, renewal.credential.provider
        self._learn_skew(vendor, renewal.skew)
        if renewal.asked_at is None or credential.tokens is None:  # somebody was faster
            self._unanswered(credential)
            return
        self._standings.renewed(credential, renewal.asked_at, rejected)
        circuit = self._circuits.pop(vendor, CLOSED)
        if circuit.opened:
            _log.warning("the vendor's token endpoint works again", extra={"provider": vendor})
        told = {"generation": credential.generation, "expires_in": round(credential.tokens.lifetime)}
        _log.info("renewed", extra={"credential": credential.id, "provider": vendor, **told})
        self._tell(credential, "renewed")

    def _failed(self, credential: Credential, error: VaultdError) -> None:
        boot, vendor, reason = self._clock.boot(), credential.provider, str(error)
        later = error if isinstance(error, TryLater) else TryLater(reason)
        chance = self._chance()
        standing = self._standing(self._owner.get(credential.id) or credential)
        pause = standing.failed(reason, boot=boot, asked=later.after, unknown=later.outcome_unknown, chance=chance)
        self._learn_skew(vendor, error.skew)
        if _blames_vendor(error):
            self._trip(credential, reason, later.after, chance)
        else:
            self._unanswered(credential)
        dead = isinstance(error, SignInRequired)
        told = {"credential": credential.id, "provider": vendor, "reason": reason}
        _log.warning("renewal failed", extra=told if dead else {**told, "after": round(pause, 1)})
        self._tell(credential, "dead" if dead else "failed")

    def _tell(self, credential: Credential, outcome: Outcome) -> None:
        took = self._clock.boot() - self._began[credential.id]
        self._on_outcome(Told(credential.id, credential.provider, outcome, took))

    def _trip(self, credential: Credential, reason: str, asked: float | None, chance: float) -> None:
        boot, vendor = self._clock.boot(), credential.provider
        before = self._circuits.get(vendor, CLOSED)
        logins = sum(1 for other in self._owner.snapshot().values() if other.provider == vendor and renewable(other))
        after = before.failed(credential.id, reason, boot=boot, asked=asked, chance=chance, logins=logins)
        self._circuits[vendor] = after
        if after.opened and not before.opened:
            told = {"provider": vendor, "failures": after.failures, "reason": reason}
            _log.warning("the vendor's token endpoint fails: its logins are tried one at a time", extra=told)

    def _unanswered(self, credential: Credential) -> None:
        if circuit := self._circuits.get(credential.provider):
            self._circuits[credential.provider] = circuit.unanswered(credential.id)

    def _learn_skew(self, vendor: str, seconds: float | None) -> None:
        if seconds is not None:
            self._skew.learn(vendor, seconds, wall=self._clock.now(), boot=self._clock.boot())
            self._tell_skew()


def _blames_vendor(error: VaultdError) -> bool:
    """True for what the vendor's endpoint does to every login alike: it is down, or no longer knows our client.

    A login that is dead or refused for what it is says that the endpoint works.
    """
    if isinstance(error, UpstreamRefused):
        return error.code == "invalid_client"  # RFC 6749 §5.2: the client, which all logins of a manifest share
    return isinstance(error, ProtocolError) or (isinstance(error, TryLater) and not error.own)
