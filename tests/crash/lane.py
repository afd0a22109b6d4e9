"""One login, one pretend vendor, and a daemon that is killed again and again in the middle of renewing it.

A kill counts only where it struck a renewal: ordered, and not told to be done by anything the daemon said before it
died. After each the daemon is started again at once, and asked for a token. The login is safe where the vendor takes
the refresh token that the new daemon holds: it is the family's newest, and the family lives.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from home import environment, signed_in
from processes import Line, Processes

from vaultd.sandbox import Sandbox
from vaultd.sandbox.records import GrantError

#: Who is killed, and how long a spent refresh token still works at the vendor.
Mode = Literal["daemon", "everything", "keeper"]
GRACE: Mapping[Mode, float] = {"daemon": 0, "everything": 30, "keeper": 30}
_KILLED: Mapping[Mode, tuple[str, ...]] = {
    "daemon": ("daemon",),
    "everything": ("daemon", "keeper"),
    "keeper": ("keeper",),
}
#: How long the vendor thinks before it answers: there must be a moment to strike in.
THINKS = 0.006
#: A login is lost that a started daemon has not settled by itself by then. Shorter than the grace, with room for a
#: busy machine: it takes a twentieth of a second.
SETTLES = 12.0
#: Seconds from an order to its commit, and from the vendor's being asked, to begin with; found out by striking.
_WHOLE, _REST = 0.03, 0.014


@dataclass(frozen=True)
class Kill:
    """One kill, and what became of the login."""

    mode: Mode
    index: int
    #: Seconds after the order, or after the vendor was asked.
    moment: float
    #: Where it struck: `missed`, or what the vendor had done of this renewal by then.
    phase: Literal["missed", "before the vendor was asked", "the vendor at work", "the vendor had rotated"]
    lost: bool = False
    reused: int = 0
    unreadable: bool = False
    why: str = ""

    @property
    def good(self) -> bool:
        return not (self.lost or self.reused or self.unreadable or self.why)

    def plain(self) -> dict[str, Any]:
        return asdict(self)


class Lane:
    """A folder, a login, a vendor. `strike` it as often as wanted; a lost login is signed in anew."""

    def __init__(self, folder: Path, name: str, mode: Mode, provider: str, processes: Processes) -> None:
        self.name = name
        self._mode: Mode = mode
        self._provider = provider
        self._processes = processes
        self._folder = folder
        self._lives = 0
        self._daemon: Line | None = None
        #: Guesses: order to commit, and vendor asked to commit.
        self._whole, self._rest = _WHOLE, _REST

    async def open(self) -> None:
        self._sandbox = Sandbox(access_seconds=3600)
        await self._sandbox.__aenter__()
        self._vendor = self._sandbox[self._provider]
        self._vendor.set(grace_seconds=GRACE[self._mode])
        self._sandbox.fault(self._provider, at="token", do="delay", times=0, seconds=THINKS)
        await self._sign_in()

    async def close(self) -> None:
        await self._processes.kill(self.name, "daemon", "keeper")
        await self._sandbox.__aexit__(None, None, None)

    async def strike(self, index: int, seed: str) -> Kill:
        """Order a renewal, kill at a random moment of it, start again, see what is left."""
        rng = random.Random(f"{seed}:{self._mode}:{index}")
        daemon = self._daemon or await self._settled()
        assert daemon is not None, f"{self.name}: the login was lost before kill {index}"
        asked, rotated = self._asked(), self._vendor.counts["renewals"]
        daemon.say(do="renew")
        await _until(daemon, "ordered")
        moment, at_vendor = await self._await_moment(rng, asked)
        now_asked, now_rotated = self._asked() - asked, self._vendor.counts["renewals"] - rotated
        killed = await self._processes.kill(self.name, *_KILLED[self._mode])
        said = daemon.so_far() if self._mode == "keeper" else await daemon.all()
        ended = {"done"} if self._mode == "keeper" else {"done", "failed"}  # without its keeper a daemon says `failed`
        hit = killed > 0 and not ended & {words["said"] for words in said}
        unhelped = (
            "" if self._mode != "keeper" or not hit or await self._comes_right(daemon) else "not settled by the daemon"
        )
        await self._processes.kill(self.name, "daemon")
        daemon.close()
        self._learn(moment, at_vendor=at_vendor, hit=hit)
        phase: Any = "before the vendor was asked" if not now_asked else "the vendor at work"
        phase = "missed" if not hit else "the vendor had rotated" if now_rotated else phase
        return await self._judged(Kill(self._mode, index, round(moment, 5), phase, why=unhelped))

    async def last_word(self) -> str:
        """Who outlived his daemon ends, and a renewal that nobody disturbs is one renewal. Empty if all is well."""
        await self._processes.kill(self.name, "daemon")
        async with asyncio.timeout(SETTLES):
            while await self._processes.left(self.name):  # noqa: ASYNC110  - another process's children
                await asyncio.sleep(0.01)
        daemon = await self._settled()
        if daemon is None:
            return "the login is lost"
        renewals = self._vendor.counts["renewals"]
        daemon.say(do="renew")
        words = await _until(daemon, "done", "failed")
        if words.get("said") != "done" or self._vendor.counts["renewals"] != renewals + 1 or not self._safe(words):
            return f"the last renewal: {words.get('said')} {words.get('reason', '')}"
        return ""

    async def _comes_right(self, daemon: Line) -> bool:
        """A daemon that lost its keeper starts another, which settles what was cut off, or nothing was spent."""
        try:
            async with asyncio.timeout(SETTLES):
                while (words := await daemon.hear()) is not None:
                    if words["said"] != "ordered" and self._safe(words):
                        return True
        except TimeoutError:
            pass
        return False

    async def _await_moment(self, rng: random.Random, asked: int) -> tuple[float, bool]:
        """Half of the kills fall anywhere from the order to the commit, half from when the vendor has the token.

        A keeper is there only after the order: it is killed when the vendor has the token."""
        if self._mode != "keeper" and rng.random() < 0.5:
            moment = rng.uniform(0, self._whole)
            await asyncio.sleep(moment)
            return moment, False
        moment = rng.uniform(0, self._rest)
        try:
            async with asyncio.timeout(SETTLES):
                await self._vendor.until(lambda: self._asked() > asked)
        except TimeoutError:
            return 0.0, True  # never asked: somebody was faster, and `done` says so
        await asyncio.sleep(moment)
        return moment, True

    def _learn(self, moment: float, *, at_vendor: bool, hit: bool) -> None:
        """The span to strike in follows the machine: about one in twelve falls after the commit, so none is spared."""
        span = self._rest if at_vendor else self._whole
        if not hit:
            span *= 0.85
        elif moment > span / 2:
            span *= 1.03
        if at_vendor:
            self._rest = span
        else:
            self._whole = span

    async def _judged(self, kill: Kill) -> Kill:
        reuses = self._vendor.counts["reuse_events"]
        self._daemon = None
        settled = await self._settled()
        last = self._last
        if settled is None:
            await self._present_what_it_holds()
        reused = self._vendor.counts["reuse_events"] - reuses
        unreadable = bool(last.get("refused")) and settled is None
        if settled is not None and not reused:
            return kill
        why = {name: last.get(name) for name in ("said", "reason", "refused", "dead", "generation", "unsettled")}
        family = self._vendor.families[-1]
        held = "newest" if last.get("refresh") == family.refresh else "spent" if last.get("refresh") else "none"
        why |= {"family alive": family.alive, "refresh token held": held, "folder": str(self._home)}
        await self._processes.kill(self.name, "daemon", "keeper")
        self._daemon = None
        await self._sign_in()
        return Kill(
            kill.mode, kill.index, kill.moment, kill.phase, settled is None, reused, unreadable, json.dumps(why)
        )

    async def _present_what_it_holds(self) -> None:
        """What the daemon would do at the next expiry: is a spent token presented?"""
        assert self._daemon is not None
        with suppress(OSError):
            self._daemon.say(do="renew")
            await _until(self._daemon, "ordered")
            await _until(self._daemon, "done", "failed")

    async def _settled(self) -> Line | None:
        """A daemon that was just started, once the login it holds is the vendor's newest; None if that never comes.

        One that had to renew to get there is replaced: it would not renew again within the minute.
        """
        while True:
            renewals = self._vendor.counts["renewals"]
            self._daemon, _ = await self._processes.start(
                self.name, "daemon", env=self._env, id=self._id, log=str(self._home / "stderr.log")
            )
            self._last: dict[str, Any] = {"said": "nothing"}
            self._daemon.say(do="token")
            try:
                async with asyncio.timeout(SETTLES):
                    while not (self._last["said"] in {"done", "changed"} and self._safe(self._last)):
                        words = await self._daemon.hear()
                        if words is None:
                            return None
                        self._last = words
                        if words["dead"] or (words["said"] == "failed" and not self._vendor.families[-1].alive):
                            return None
            except TimeoutError:
                return None
            if self._vendor.counts["renewals"] == renewals:
                return self._daemon
            await self._processes.kill(self.name, "daemon")
            self._daemon.close()

    def _safe(self, words: Mapping[str, Any]) -> bool:
        """What the daemon holds is what the vendor will take: now, and at the next renewal."""
        family = self._vendor.families[-1]
        try:
            self._vendor.live(words["bearer"])
        except GrantError:
            return False
        return family.alive and words["refresh"] == family.refresh and not words["unsettled"]

    def _asked(self) -> int:
        return self._vendor.counts["requests:token"]

    async def _sign_in(self) -> None:
        """A fresh folder with a fresh login, sealed by the real owner."""
        self._lives += 1
        self._home = self._folder / f"{self.name}-{self._lives}"
        self._env = environment(self._home)
        self._id = await signed_in(self._home, self._sandbox, self._provider)


async def _until(line: Line, *said: str) -> dict[str, Any]:
    """The first of these that the daemon says; nothing where it ended before."""
    while (words := await line.hear()) is not None:
        if words["said"] in said:
            return words
    return {}
