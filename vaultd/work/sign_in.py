"""A person signs in: the flow driven, its effects performed at a `Desk`, the grant settled as a credential.

A desk is wherever the person sits: a terminal, or a page (`work.pending_sign_ins`). The loopback callback and a pasted
line race for the redirect; a port that another program holds leaves the paste. What may be asked of a person without a
browser is the desk's business, what is asked of the vendor is the flow's.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Protocol

from vaultd.catalog.manifest import Provider
from vaultd.effects import AwaitRedirect, Choose, Effect, Flow, Show
from vaultd.errors import Misconfigured, PortTaken, TimedOut, TryLater
from vaultd.net.clock import Clock
from vaultd.net.loopback import Listener
from vaultd.oauth import authcode, codex_device, device
from vaultd.oauth.callback import NotOursError, judge, parse_pasted
from vaultd.oauth.endpoints import login_of
from vaultd.oauth.tokens import Account, Grant
from vaultd.vault.commit import outlasted
from vaultd.vault.credential import Credential, Settings
from vaultd.vault.owner import Owner
from vaultd.work.drive import Sender, drive, unattended
from vaultd.work.race import race
from vaultd.work.tasks import Tasks

#: 32 random bytes, as 43 characters: RFC 7636 §4.1's verifier, and twice RFC 9700's 128 bits for `state`.
RANDOM_BYTES = 32
TIMEOUT = 900.0
#: Who is not back within a day starts anew: vendors' own pages and codes last minutes.
LONGEST_TIMEOUT = 86_400.0
#: Whoever starts more than eight at once is not a person (SEC-09).
MAX_PENDING = 8

Way = Literal["browser", "paste-page", "device"]


class Desk(Protocol):
    """Where the person sits."""

    async def show(self, effect: Show, listening: int | None) -> None:
        """The address to open, with the user code of a device flow; `listening`: the port the answer may come to."""
        ...

    async def pasted(self, awaited: AwaitRedirect) -> str | None:
        """The next line the person gives for what is awaited; None once no more can come."""
        ...

    async def choose(self, effect: Choose) -> Sequence[str]: ...

    async def ask_label(self, provider: Provider) -> str:
        """What to call an account that has no name of its own; empty with nobody there."""
        ...

    def note(self, line: str) -> None: ...

    def tick(self, seconds_left: float) -> None:
        """About once a second while waiting."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for."""

    provider: Provider
    way: Way = "browser"
    label: str = ""
    #: Google projects to use without asking, or `ALL`.
    projects: tuple[str, ...] = ()
    timeout: float = TIMEOUT


class SignIns:
    """The sign-ins under way in this process."""

    def __init__(self, owner: Owner, send: Sender, clock: Clock, *, callback_bind: str = "") -> None:
        """`callback_bind`: where callbacks are listened for in place of loopback (`net.loopback`)."""
        self._owner = owner
        self._send = send
        self._clock = clock
        self._callback_bind = callback_bind
        self._tasks = Tasks()
        self._pending = 0

    async def run(self, wish: Wish, desk: Desk, *, state: str = "") -> Credential:
        """The settled credential. `state`: what the vendor is to send back; made here where the caller need not know
        it. Raises what the flow raises, TimedOut, and PortTaken where no way in is left."""
        if self._pending >= MAX_PENDING:
            raise TryLater(f"{MAX_PENDING} sign-ins are waiting for their person already; finish or end one of them")
        self._pending += 1
        try:
            async with _listening(wish, desk, self._callback_bind) as door:
                performer = _Performer(wish, desk, door, self._send, self._clock)
                flow = _flow(wish, self._clock, state or new_state())
                grant = await race(drive(flow, performer.perform), self._deadline(wish, desk))
        finally:
            self._pending -= 1
        for warning in grant.warnings:
            desk.note(warning)
        if wish.projects and not performer.asked_for_projects:
            desk.note(f"{wish.provider.id} knows no projects; --project-id was of no use")
        settling = self._tasks.start("settle", self._owner.settle(await self._credential(wish, grant, desk)))
        # Whoever gives up now is too late: told that it was cancelled, he would find the login in use.
        await outlasted(settling)
        settled: Credential = settling.result()
        return settled

    async def _deadline(self, wish: Wish, desk: Desk) -> NoReturn:
        end = self._clock.boot() + wish.timeout
        while (left := end - self._clock.boot()) > 0:
            desk.tick(left)
            await self._clock.sleep(min(1.0, left))
        raise TimedOut(f"nobody finished the sign-in within {wish.timeout:.0f} s; start it again")

    async def _credential(self, wish: Wish, grant: Grant, desk: Desk) -> Credential:
        account = grant.account or Account()
        label = wish.label
        if not label and not account.email and not account.person:
            label = await desk.ask_label(wish.provider)
        now = self._clock.now()
        return Credential(
            id="",  # the owner's to say
            provider=wish.provider.id,
            kind="oauth",
            tokens=grant.tokens,
            account=account,
            settings=Settings(label=label),
            created_at=now,
            renewed_at=now,
        )


@dataclass(frozen=True, slots=True)
class _Door:
    """How the answer may come in: by `listener`, or by paste alone, because `taken` or because the vendor shows it."""

    listener: Listener | None = None
    taken: PortTaken | None = None


class _Performer:
    """The effects of one sign-in."""

    def __init__(self, wish: Wish, desk: Desk, door: _Door, send: Sender, clock: Clock) -> None:
        self._wish = wish
        self._desk = desk
        self._door = door
        self._unattended = unattended(send, clock)
        self.asked_for_projects = False

    async def perform(self, effect: Effect) -> Any:
        match effect:
            case Show():
                return await self._desk.show(effect, self._door.listener.port if self._door.listener else None)
            case AwaitRedirect():
                return await self._redirect(effect)
            case Choose():
                return await self._choose(effect)
            case _:
                return await self._unattended(effect)

    async def _redirect(self, effect: AwaitRedirect) -> Mapping[str, str]:
        if self._door.listener is None:
            return await self._paste(effect)
        return await race(self._door.listener.answer(effect), self._paste(effect))

    async def _paste(self, effect: AwaitRedirect) -> Mapping[str, str]:
        """A line that is not ours changes nothing; the end of the input ends the paste and nothing else."""
        while (line := await self._desk.pasted(effect)) is not None:
            if not line.strip():
                continue
            try:
                params = parse_pasted(line, effect.redirect_uri)
                return judge(params, effect.state, effect.issuer, issuer_required=effect.issuer_required)
            except NotOursError as refusal:
                self._desk.note(str(refusal))
        if self._door.taken is not None:
            raise PortTaken(f"{self._door.taken}, and nothing was pasted; free the port and start again")
        if self._door.listener is None:
            raise TimedOut("the input ended before a code was pasted; start the sign-in again")
        await asyncio.Event().wait()
        raise AssertionError("an event nobody sets")

    async def _choose(self, effect: Choose) -> Sequence[str]:
        self.asked_for_projects = True
        if not self._wish.projects:
            return await self._desk.choose(effect) if effect.options else [effect.default]
        for project in self._wish.projects:
            if effect.options and project not in effect.options:
                self._desk.note(f"{project} is not among the projects this account lists; trying it all the same")
        return self._wish.projects


def new_state() -> str:
    return secrets.token_urlsafe(RANDOM_BYTES)


def _flow(wish: Wish, clock: Clock, state: str) -> Flow[Grant]:
    oauth = login_of(wish.provider)
    verifier = secrets.token_urlsafe(RANDOM_BYTES)
    if wish.way == "device":
        if oauth.device == "codex":
            return codex_device.sign_in(wish.provider, stamp=clock.now)
        return device.sign_in(wish.provider, verifier=verifier, stamp=clock.now)
    return authcode.sign_in(
        wish.provider,
        redirect_uri=_redirect_uri(wish),
        state=state,
        verifier=verifier,
        stamp=clock.now,
        listen=wish.way == "browser",
    )


def ways(provider: Provider) -> list[Way]:
    """The ways this provider's manifest offers, the usual one first."""
    oauth = login_of(provider)
    offered: list[Way] = []
    if oauth.flow == "code":
        offered.append("browser")
        if oauth.paste_redirect:
            offered.append("paste-page")
    if oauth.flow == "device" or oauth.device != "none":
        offered.append("device")
    return offered


def _redirect_uri(wish: Wish) -> str:
    oauth = login_of(wish.provider)
    if wish.way == "paste-page":
        return oauth.paste_redirect
    if oauth.redirect is None:
        raise Misconfigured(f"{wish.provider.id}: the manifest's oauth.redirect is missing; it names port and path")
    return oauth.redirect.uri


@asynccontextmanager
async def _listening(wish: Wish, desk: Desk, bind: str) -> AsyncIterator[_Door]:
    """The door, open before the person is shown where to go and shut when the sign-in ends, however it ends."""
    if wish.way != "browser":
        yield _Door()
        return
    listener = Listener(_redirect_uri(wish), bind)
    try:
        await listener.open()
    except PortTaken as taken:
        desk.note(f"{taken}: when the browser ends on a page that cannot be reached, paste that page's address here")
        yield _Door(taken=taken)
        return
    try:
        yield _Door(listener)
    finally:
        await listener.close()
