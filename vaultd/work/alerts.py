"""Tells somebody who did not ask: a fault that needs a person is a line in the log, a number in the metrics and a call
of the operator's webhook when it is new, and again when it is mended.

What is a fault is `work.health`'s word; here is only what was told of it. That stands in memory: after a restart what
still stands is told again, which is better than not at all. Nothing waits for a receiver, and one that fails gets the
same message again, with growing pauses; what it does not take in time is dropped, and the log has it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import random
import socket
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import msgspec

from vaultd.config.load import is_near
from vaultd.config.model import Config
from vaultd.effects import Reply, Send
from vaultd.errors import VaultdError
from vaultd.net.clock import Clock
from vaultd.vault.owner import Owner
from vaultd.work.drive import Sender
from vaultd.work.health.codes import Finding

_log = logging.getLogger("vaultd.alerts")

#: Of one code so many are told one by one; the others of that look are one message. A vendor that is down can make a
#: thousand logins fail, and nobody reads a thousand messages.
_ONE_BY_ONE: Final = 3
#: Messages that wait for a receiver. With one a minute that is an hour and a half, and older news helps nobody.
_WAITING: Final = 100


@dataclass(frozen=True)
class Pace:
    """Seconds. Tests have smaller ones."""

    #: Between two looks where nothing changes: faults that time makes (an expiry, a full disk) are hours long.
    look: float = 60.0
    #: After a look, however often credentials change: a thousand renewals are not a thousand looks.
    settle: float = 2.0
    #: Between two messages, so never more than twenty a minute (Slack's webhooks take one a second).
    between: float = 3.0
    #: The first pause after a receiver failed, doubling up to the last.
    first_pause: float = 5.0
    last_pause: float = 300.0


DEFAULT_PACE: Final = Pace()


class House(Protocol):
    """What of the house alerts need."""

    @property
    def config(self) -> Config: ...
    @property
    def owner(self) -> Owner: ...
    @property
    def clock(self) -> Clock: ...


class Message(msgspec.Struct, frozen=True):
    """What the webhook is sent. `text` alone is what Slack and Mattermost show."""

    text: str
    code: str
    subject: str
    says: str
    action: str
    state: Literal["fault", "mended"]
    at: str
    host: str


class Alerts:
    """`look` finds what is wrong; `trouble` hears why the receiver takes nothing, None once it does."""

    def __init__(
        self,
        house: House,
        look: Callable[[], Awaitable[list[Finding]]],
        send: Sender,
        trouble: Callable[[str | None], None],
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._house = house
        self._look = look
        self._send = send
        self._trouble = trouble
        self._pace = pace
        self._told: dict[tuple[str, str], Finding] = {}
        self._waiting: deque[Message] = deque(maxlen=_WAITING)
        self._news = asyncio.Event()
        self._changed = asyncio.Event()
        #: Code → how many there were at the last look, those that wake nobody too.
        self.faults: Counter[str] = Counter()

    async def forever(self) -> None:
        unsubscribe = self._house.owner.changed(self._changed.set)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._deliver())
        finally:
            unsubscribe()

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            await self.look()
            await self._house.clock.sleep(self._pace.settle)
            try:
                async with asyncio.timeout(self._pace.look):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Tells what is new since the last look, and what is gone."""
        findings = await self._look()
        self.faults = Counter(finding.code for finding in findings)
        now = {(finding.code, finding.subject): finding for finding in findings if finding.fault.wakes}
        before, self._told = self._told, now
        new = [finding for key, finding in now.items() if key not in before]
        gone = [finding for key, finding in before.items() if key not in now]
        for finding in new:
            _log.warning("fault", extra={"code": finding.code, "reason": finding.sentence})
        for finding in gone:
            _log.info("mended", extra={"code": finding.code, "reason": finding.says})
        if self._house.config.alerts.webhook_url:
            self._tell(new, "fault")
            self._tell(gone, "mended")

    def _tell(self, findings: list[Finding], state: Literal["fault", "mended"]) -> None:
        by_code: dict[str, list[Finding]] = {}
        for finding in findings:
            by_code.setdefault(finding.code, []).append(finding)
        for code, some in by_code.items():
            for finding in some[:_ONE_BY_ONE]:
                self._queue(finding, state)
            if (more := len(some) - _ONE_BY_ONE) > 0:
                self._queue(Finding(code, "", f"{more} more of the kind {code}", "vaultd doctor"), state)

    def _queue(self, finding: Finding, state: Literal["fault", "mended"]) -> None:
        if len(self._waiting) == _WAITING:
            _log.warning("alert dropped: its receiver takes none", extra={"code": self._waiting[0].code})
        host = socket.gethostname()
        words = f"mended: {finding.says}" if state == "mended" else finding.sentence
        at = dt.datetime.fromtimestamp(self._house.clock.now(), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = f"vaultd on {host}: {words}"
        self._waiting.append(
            Message(text, finding.code, finding.subject, finding.says, finding.action, state, at, host)
        )
        self._news.set()

    async def _deliver(self) -> None:
        pause = self._pace.first_pause
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            message = self._waiting[0]
            reason = await self._post(message)
            if reason:
                self._trouble(f"the receiver of alerts does not take them: {reason}")
                await self._house.clock.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads, guards nothing
                pause = min(pause * 2, self._pace.last_pause)
                continue
            self._trouble(None)
            pause = self._pace.first_pause
            if self._waiting and self._waiting[0] is message:  # else it was pushed out meanwhile
                self._waiting.popleft()
            await self._house.clock.sleep(self._pace.between)

    async def _post(self, message: Message) -> str:
        """Why it was not taken, "" where it was. The address may hold a secret, so no word of it is said."""
        url = self._house.config.alerts.webhook_url
        if not url:  # taken out of the configuration: there is nobody to tell
            self._waiting.clear()
            return ""
        body = msgspec.json.encode(message)
        # A proxy is the way out, and would look for what is near us elsewhere.
        proxy = "" if is_near(url) else None
        try:
            reply = await self._send(Send("POST", url, _HEADERS, body), proxy=proxy)
        except VaultdError as error:
            return str(error)
        return "" if _taken(reply) else f"it answered {reply.status}"


_HEADERS: Final[Mapping[str, str]] = {"content-type": "application/json"}


def _taken(reply: Reply) -> bool:
    return 200 <= reply.status < 300
