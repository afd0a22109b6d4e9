"""Thousands of kills, in lanes side by side, that can be broken off and gone on with.

Everything is in one small file, written after each kill: how many were made, where they struck, what failed and by
which seed. A kill's moment comes from the seed and its number alone.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from lane import Kill, Lane, Mode
from processes import Processes

#: Two cores: while one lane waits for its vendor or its disk, another computes.
LANES = 4
#: By lane: one asks by form, one by JSON, one is signed in by device, and one makes a key of its token.
PROVIDERS = ("codex", "claude", "qwen", "iflow")


class Tally(msgspec.Struct):
    """One mode's figures so far."""

    next: int = 0
    struck: int = 0
    lost: int = 0
    reused: int = 0
    unreadable: int = 0
    phases: dict[str, int] = {}
    seconds: float = 0.0
    failures: list[dict[str, object]] = []

    def add(self, kill: Kill) -> None:
        self.struck += kill.phase != "missed"
        self.lost += kill.lost
        self.reused += kill.reused
        self.unreadable += kill.unreadable
        self.phases[kill.phase] = self.phases.get(kill.phase, 0) + 1
        if not kill.good:
            self.failures.append(kill.plain())


class State(msgspec.Struct):
    seed: str = msgspec.field(default_factory=lambda: secrets.token_hex(8))
    modes: dict[Mode, Tally] = {}


class Campaign:
    """`folder` keeps the state and the lanes' homes. `tell` gets a line now and then."""

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda _line: None) -> None:
        self._folder = folder
        self._tell = tell
        self._file = folder / "kills.json"
        folder.mkdir(parents=True, exist_ok=True)
        self.state = msgspec.json.decode(self._file.read_bytes(), type=State) if self._file.exists() else State()

    async def run(self, mode: Mode, kills: int) -> Tally:
        """Until so many kills of this mode struck a renewal, those of earlier runs included."""
        tally = self.state.modes.setdefault(mode, Tally())
        if tally.struck >= kills:
            return tally
        before, started = tally.seconds, time.monotonic()
        async with self._lanes(mode) as lanes, asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(self._strikes(lane, mode, tally, kills, lambda: before + time.monotonic() - started))
        return tally

    async def _strikes(self, lane: Lane, mode: Mode, tally: Tally, kills: int, seconds: Callable[[], float]) -> None:
        while tally.struck < kills:
            index, tally.next = tally.next, tally.next + 1
            kill = await lane.strike(index, self.state.seed)
            tally.add(kill)
            tally.seconds = seconds()
            self._save()
            if not kill.good:
                self._tell(f"FAILED {kill}")
            if kill.phase != "missed" and tally.struck % 100 == 0:
                self._tell(f"{mode}: {tally.struck} of {kills} after {tally.seconds:.0f} s, {tally.lost} lost")
        if said := await lane.last_word():
            tally.lost += 1
            tally.failures.append({"mode": mode, "lane": lane.name, "why": said})
            self._save()

    @asynccontextmanager
    async def _lanes(self, mode: Mode) -> AsyncIterator[list[Lane]]:
        home = Path(tempfile.mkdtemp(prefix="homes-", dir=self._folder))
        async with Processes() as processes:
            lanes = [
                Lane(home, f"{mode}-{number}", mode, PROVIDERS[number % len(PROVIDERS)], processes)
                for number in range(LANES)
            ]
            for lane in lanes:
                await lane.open()
            try:
                yield lanes
            finally:
                for lane in lanes:
                    await lane.close()

    def _save(self) -> None:
        beside = self._file.with_suffix(".tmp")
        beside.write_bytes(msgspec.json.encode(self.state))
        beside.rename(self._file)


def table(state: State) -> str:
    """What is to be reported, as Markdown."""
    names = {
        "daemon": "the daemon, no grace",
        "everything": "everything, 30 s grace",
        "keeper": "the keeper, 30 s grace",
    }
    phases = ("before the vendor was asked", "the vendor at work", "the vendor had rotated")
    lines = [
        "| killed in mid-renewal | kills | lost | spent tokens presented | unreadable | "
        + " | ".join(phases)
        + " | missed | s |",
        "|---" * (7 + len(phases)) + "|",
    ]
    for mode, tally in state.modes.items():
        where = " | ".join(str(tally.phases.get(phase, 0)) for phase in phases)
        lines.append(
            f"| {names[mode]} | {tally.struck} | {tally.lost} | {tally.reused} | {tally.unreadable} | {where}"
            f" | {tally.phases.get('missed', 0)} | {tally.seconds:.0f} |"
        )
    return "\n".join(lines)
