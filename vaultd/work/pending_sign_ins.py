"""Sign-ins in the daemon, whose person sits at a page or at a terminal beside it: started by one request, answered by
others, over in time by themselves.

    start ─▶ wait ─┬─ callback on the loopback port, callback on the main port, pasted address, device code ─▶ ok
                   ├─ refused by the person or the vendor, timed out, cancelled ─▶ error
                   └─ a choice is needed (Google's projects, a name for the account) ─▶ asking ─▶ wait

Each is a task of its own: a page that is closed ends nothing. The state of an ended one is kept for a while, so that
every page that asks hears the same. What an answer holds is judged as in a process of its own, and never kept. Each
change has a number (`SignIn.revision`), so that whoever waits asks once and hears of the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from vaultd.catalog.manifest import Provider
from vaultd.effects import AwaitRedirect, Choose, Show
from vaultd.errors import Misconfigured, PortTaken, SignInRequired, TryLater, VaultdError
from vaultd.net.clock import Clock
from vaultd.oauth.callback import NotOursError, judge, parse_pasted
from vaultd.vault.audit import Audit
from vaultd.vault.credential import Credential
from vaultd.vault.owner import Owner
from vaultd.work.drive import Sender
from vaultd.work.race import race
from vaultd.work.sign_in import MAX_PENDING, SignIns, Way, Wish, new_state
from vaultd.work.tasks import Tasks

_log = logging.getLogger("vaultd.work")

Status = Literal["wait", "asking", "ok", "error"]

#: As long as a sign-in itself may take: a page left open hears how it ended.
KEPT_SECONDS: Final = 900.0
#: So many ended ones at most; each is a line of text.
KEPT: Final = 64
#: Nobody names the account for so long: it gets a number, for the login itself is done and must not be lost.
NAMING_SECONDS: Final = 300.0
#: A vendor that cannot be reached twice, a port that is taken, some lines that were no answer: more says nothing new.
_NOTES: Final = 20
#: A name for people, part of a file's name (`vault.credential.file_stem` cuts there too).
LONGEST_LABEL: Final = 118
#: For a sign-in that only its name keeps from being saved, when the daemon stops.
_LAST_WORDS: Final = 5.0


class NotPending(Misconfigured):
    """Nothing waits for this answer: it came before, or its sign-in has ended."""


class UnknownState(NotPending):
    """No sign-in has this state, now or lately."""


class Question(NamedTuple):
    """What the person is asked. Without `options` any short text will do."""

    text: str
    options: tuple[str, ...]
    default: str


class SignIn:
    """One sign-in as a page sees it, and its desk (`sign_in.Desk`)."""

    def __init__(self, wish: Wish, clock: Clock, *, asks: bool) -> None:
        """`asks`: somebody is there to answer questions; else the defaults stand."""
        self.state: Final = new_state()
        self.provider: Final = wish.provider.id
        self.way: Final[Way] = wish.way
        self.status: Status = "wait"
        self.url = ""
        self.user_code = ""
        self.listening: int | None = None
        self.notes: list[str] = []
        #: Why it is one, once it is an error.
        self.failure: VaultdError | None = None
        #: The credential's id, and what its account is called, once it is ok.
        self.credential = ""
        self.account = ""
        self.question: Question | None = None
        #: The answer to the redirect is in.
        self.answered = False
        self.ended_at: float | None = None
        self.naming = False
        #: Grows with everything that a page shows.
        self.revision = 0
        self._clock = clock
        self._asks = asks
        self._deadline = clock.boot() + wish.timeout
        self._awaited: AwaitRedirect | None = None
        self._line: asyncio.Future[str | None] | None = None
        self._choice: asyncio.Future[Sequence[str]] | None = None
        self._muted = False
        self._shown = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def error(self) -> str:
        return str(self.failure) if self.failure is not None else ""

    @property
    def waits(self) -> bool:
        return self.ended_at is None

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._deadline - self._clock.boot())

    async def shown(self) -> None:
        """Until there is something to show: an address, or why there is none."""
        await self._shown.wait()

    async def outgrows(self, revision: int, seconds: float) -> None:
        """Until something is otherwise than it was at `revision`; for so long at most."""
        if self.revision == revision:
            # Taken now: a change before the race has begun would have replaced it.
            await race(_set(self._changed), self._clock.sleep(seconds))

    # What the page does.

    def takes(self, line: str) -> Mapping[str, str]:
        """An answer to the redirect: the address that the browser ended on, or `code#state`. Its parameters.

        Raises NotPending where none is awaited, NotOursError where this is not it; neither changes anything.
        """
        if self._awaited is None or self._line is None or self._line.done():
            raise NotPending("this sign-in waits for no answer (any more)")
        awaited = self._awaited
        params = parse_pasted(line, awaited.redirect_uri)
        answer = judge(params, awaited.state, awaited.issuer, issuer_required=awaited.issuer_required)
        self._line.set_result(line)
        return answer

    def has_no_more_lines(self) -> None:
        """Whoever would have pasted cannot: it ends where nothing listens, and goes on where an answer may come."""
        self._muted = True
        if self.listening is None and self._line is not None and not self._line.done():
            self._line.set_result(None)

    @property
    def redirect_uri(self) -> str:
        """Where the vendor sends the browser; empty where nothing is awaited."""
        return self._awaited.redirect_uri if self._awaited is not None else ""

    def chooses(self, choice: Sequence[str]) -> None:
        """The answer to `question`. Raises NotPending where there is none, Misconfigured where it is no answer."""
        if self.question is None or self._choice is None or self._choice.done():
            raise NotPending("this sign-in asks nothing")
        options = self.question.options
        if not choice or len(set(choice)) != len(choice) or (not options and len(choice) > 1):
            raise Misconfigured("choose at least one of the options, each once" if options else "one text is expected")
        if options and not set(choice) <= set(options):
            raise Misconfigured("that is none of the options")
        if not options and (len(choice[0]) > LONGEST_LABEL or not choice[0].isprintable()):
            raise Misconfigured(f"a name is at most {LONGEST_LABEL} printable characters")
        self._choice.set_result([text.strip() for text in choice])
        self.status, self.question = "wait", None
        self._tells()

    # What the flow does: `sign_in.Desk`.

    async def show(self, effect: Show, listening: int | None) -> None:
        self.url, self.user_code, self.listening = effect.url, effect.user_code, listening
        if self.way == "browser" and listening is None:
            self.note(f"or give that address this daemon's host and port and the path /{self.provider}/callback")
        if effect.expires_in is not None:
            self._deadline = min(self._deadline, self._clock.boot() + effect.expires_in)
        self._shown.set()
        self._tells()

    async def pasted(self, awaited: AwaitRedirect) -> str | None:
        if self._muted and self.listening is None:
            return None
        self._awaited, self._line = awaited, asyncio.get_running_loop().create_future()
        try:
            return await self._line
        finally:
            # Also where the listener was faster: the line is cancelled then, and what comes later is none.
            self.answered = True
            self._tells()

    async def choose(self, effect: Choose) -> Sequence[str]:
        if not self._asks:
            return [effect.default]
        return await self._asked(Question(effect.question, tuple(effect.options), effect.default))

    async def ask_label(self, provider: Provider) -> str:
        if not self._asks:
            return ""
        self.naming = True
        self._deadline = self._clock.boot() + NAMING_SECONDS
        text = f"{provider.name or provider.id} gives no name; call this account"
        try:
            return (await race(self._asked(Question(text, (), "")), self._nobody()))[0]
        finally:
            self.naming = False

    def note(self, line: str) -> None:
        if len(self.notes) < _NOTES and line not in self.notes:
            self.notes.append(line)
            self._tells()

    def tick(self, seconds_left: float) -> None:
        """A page counts down by itself."""

    # How it ends.

    def succeeds(self, credential: Credential) -> None:
        self.status, self.credential, self.account = "ok", credential.id, credential.known_as
        self._ends()

    def fails(self, reason: VaultdError) -> None:
        self.status, self.failure = "error", reason
        self._ends()

    def _ends(self) -> None:
        """The address holds the state, which is of no use any more."""
        self.url = self.user_code = ""
        self.question, self.ended_at = None, self._clock.boot()
        self._shown.set()
        self._tells()

    def _tells(self) -> None:
        self.revision += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _asked(self, question: Question) -> Sequence[str]:
        self.status, self.question = "asking", question
        self._choice = asyncio.get_running_loop().create_future()
        self._tells()
        try:
            return await self._choice
        finally:
            self.question, self._choice = None, None
            if self.waits:
                self.status = "wait"
                self._tells()

    async def _nobody(self) -> Sequence[str]:
        await self._clock.sleep(NAMING_SECONDS)
        return [""]


async def _set(event: asyncio.Event) -> None:
    await event.wait()


class PendingSignIns:
    """The sign-ins of this daemon's pages: `MAX_PENDING` at a time, and those that ended a while ago."""

    def __init__(self, owner: Owner, send: Sender, clock: Clock, audit: Audit, *, callback_bind: str = "") -> None:
        self._audit = audit
        self._sign_ins = SignIns(owner, send, clock, callback_bind=callback_bind)
        self._clock = clock
        self._tasks = Tasks()
        self._held: dict[str, SignIn] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        #: Hears each provider and outcome, to count them.
        self.told: Callable[[str, str], None] = lambda _provider, _outcome: None
        self._one_starts = asyncio.Lock()

    async def start(self, wish: Wish, who: str, *, asks: bool = True) -> SignIn:
        """Under way, for `who`; `shown` waits for what there is to show. Raises TryLater where too many wait."""
        async with self._one_starts:
            await self._make_way(wish)
            sign_in = SignIn(wish, self._clock, asks=asks)
            self._held[sign_in.state] = sign_in
            self._running[sign_in.state] = self._tasks.start("sign in", self._run(sign_in, wish, who))
        _log.info("sign-in started", extra={"provider": sign_in.provider})
        self.told(sign_in.provider, "started")
        return sign_in

    def get(self, state: str) -> SignIn | None:
        self._forget()
        return self._held.get(state)

    def all(self) -> list[SignIn]:
        """The newest first."""
        self._forget()
        return list(reversed(self._held.values()))

    def redirected(self, query: str, provider: str = "") -> Mapping[str, str]:
        """A browser came back with this query, to `provider`'s callback. Raises NotPending, NotOursError."""
        sign_in = self._named(parse_qsl(query, keep_blank_values=True), provider)
        return sign_in.takes(f"{sign_in.redirect_uri}?{query}")

    def pasted(self, line: str, provider: str = "", state: str = "") -> Mapping[str, str]:
        """A person pasted what the browser ended on: an address of any host, or `code#state`. With `state` the page
        says whose answer it is, with `provider` whose it must be. Raises NotPending, NotOursError."""
        line = line.strip()
        try:
            parts = urlsplit(line) if "://" in line else None
        except ValueError:
            raise NotOursError("that address cannot be read") from None
        found = parse_qsl(parts.query, keep_blank_values=True) if parts else [("state", line.partition("#")[2])]
        sign_in = self._named([("state", state)] if state else found, provider)
        if parts is not None and parts.path.endswith("/callback") and parts.path.count("/") == 2:
            # CLIProxyAPI's habit: the main port's address in place of the vendor's; both say the same.
            line = f"{sign_in.redirect_uri}?{parts.query}"
        return sign_in.takes(line)

    async def cancel(self, sign_in: SignIn) -> None:
        # The person has said no, here or at the vendor's: the same class.
        await self._stop(sign_in, SignInRequired("cancelled"))

    async def close(self) -> None:
        """Ends all of them. One that waits for a name alone is saved without."""
        naming = [sign_in for sign_in in self._held.values() if sign_in.naming]
        last = [self._running[sign_in.state] for sign_in in naming]
        for sign_in in naming:
            sign_in.chooses([""])
        if last:
            await asyncio.wait(last, timeout=_LAST_WORDS)
        await self._tasks.close()
        for sign_in in self._held.values():
            if sign_in.waits:
                sign_in.fails(TryLater("vaultd stopped", own=True))

    async def _run(self, sign_in: SignIn, wish: Wish, who: str) -> None:
        try:
            async with self._audit.sign_in(who, sign_in.provider) as told:
                credential = await self._sign_ins.run(wish, sign_in, state=sign_in.state)
                # Before the outcome is written: from here on nothing cancels a login that is there.
                sign_in.succeeds(credential)
                told.what = credential.id
        except VaultdError as error:
            sign_in.fails(error)
            # The class alone: what a vendor said of an answer stays out of the log.
            _log.info("sign-in failed", extra={"provider": sign_in.provider, "error": type(error).__name__})
            self.told(sign_in.provider, "failed")
        except Exception as error:
            sign_in.fails(VaultdError(f"vaultd failed ({type(error).__name__}); look at its log"))
            raise
        else:
            _log.info("signed in", extra={"provider": sign_in.provider, "credential": credential.id})
            self.told(sign_in.provider, "ok")
        finally:
            self._running.pop(sign_in.state, None)

    async def _make_way(self, wish: Wish) -> None:
        """A person who starts anew has given the last one up: it would keep the vendor's one callback port. One whose
        answer is in is left to end. Device codes need no port, so several may wait; where all places are taken the
        same vendor's oldest goes."""
        self._forget()
        waiting = [sign_in for sign_in in self._held.values() if sign_in.waits]
        given_up = [one for one in waiting if one.provider == wish.provider.id and not one.answered and not one.naming]
        if wish.way == "browser":
            for one in [one for one in given_up if one.way == "browser"]:
                await self._stop(one, PortTaken("a newer sign-in to the same vendor has taken its place"))
                waiting.remove(one)
                given_up.remove(one)
        if len(waiting) >= MAX_PENDING:
            if not given_up:
                raise TryLater(f"{MAX_PENDING} sign-ins are waiting for their person already; finish or cancel one")
            await self._stop(given_up[0], TryLater("newer sign-ins to the same vendor have taken its place"))

    async def _stop(self, sign_in: SignIn, why: VaultdError) -> None:
        task = self._running.get(sign_in.state)
        if task is None or not sign_in.waits:
            return
        task.cancel()
        await asyncio.wait([task])
        # A task that was cancelled before its first step has no end of its own; one whose login was being saved is ok.
        self._running.pop(sign_in.state, None)
        if sign_in.waits:
            sign_in.fails(why)

    def _named(self, params: Sequence[tuple[str, str]], provider: str) -> SignIn:
        """The one that the answer's `state` names; a state is its vendor's alone."""
        sign_in = self.get(next((value for name, value in params if name == "state"), ""))
        if sign_in is None:
            raise UnknownState("unknown or expired state")
        if provider and sign_in.provider != provider:
            raise NotOursError("this answer belongs to another vendor's sign-in")
        return sign_in

    def _forget(self) -> None:
        """Those that ended long ago, and the oldest where many did."""
        ended = [one for one in self._held.values() if not one.waits]
        now = self._clock.boot()
        for number, one in enumerate(ended):
            assert one.ended_at is not None
            if now - one.ended_at > KEPT_SECONDS or number < len(ended) - KEPT:
                del self._held[one.state]
