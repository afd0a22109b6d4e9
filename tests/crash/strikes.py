"""Every system call of one renewal's way to the disk, struck in turn: killed there, or answered with an error or a lie.

strace attaches to the one thread that makes the call and tampers with the n-th of its kind. Afterwards the next start
must find the old login or the new one: readable, nothing left over, and never an old one that nobody will settle after
the vendor was asked.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import home
from committing import refresh_token
from processes import LONGEST, Line, Processes

#: What changes a disk, finds out what is on it, or makes it last.
CALLS: Final = (
    "openat", "fchmod", "fallocate", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "read", "pread64",
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "flock",
)  # fmt: skip
WRITES: Final = ("write", "pwrite64")
#: name → strace's word for it. A lying write says 100 bytes and writes none; a short one says none and writes none.
FAULTS: Final = {
    "KILL": "signal=KILL",
    "EIO": "error=EIO",
    "ENOSPC": "error=ENOSPC",
    "EROFS": "error=EROFS",
    "lying": "retval=100",
    "short": "retval=0",
}
_LINE: Final = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?:\(| resumed)")


@dataclass(frozen=True)
class Strike:
    """The n-th `call` of a thread. `ever`: and all later ones of its kind."""

    thread: str
    call: str
    n: int
    fault: str
    ever: bool = False

    @property
    def told(self) -> str:
        return f"{self.thread} {self.call}[{self.n}{'+' if self.ever else ''}] {self.fault}"


@dataclass(frozen=True)
class Outcome:
    strike: Strike
    #: old, new, neither, or `not reached`.
    found: str
    wrong: str = ""


class Range:
    """A signed-in home that is copied for each strike."""

    def __init__(self, folder: Path, processes: Processes) -> None:
        self._folder = folder
        self._processes = processes
        self._count = 0

    async def open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._pattern = self._folder / "pattern"
        self._id = await home.signed_in(self._pattern)

    async def calls(self) -> Counter[tuple[str, str]]:
        """(thread, call) → how often, in one renewal that nobody disturbs."""
        log = self._folder / "calls.log"
        line, env, words = await self.ready("count")
        tracer = await trace("-f", "-p", str(words["main"]), "-o", str(log), "-e", f"trace={','.join(CALLS)}")
        said = await self.go(line)
        assert said and said[-1]["said"] == "done", said
        line.close()
        await tracer.wait()
        names = {words["main"]: "main", words["worker"]: "worker"}
        seen: Counter[tuple[str, str]] = Counter()
        for row in log.read_text().splitlines():
            found = _LINE.match(row)
            if found is not None and "resumed" not in row:
                seen[names[int(found[1])], found[2]] += 1
        assert (await self.look("count", env))["refresh"] == refresh_token(2)
        return seen

    async def strike(self, strike: Strike) -> Outcome:
        self._count += 1
        lane = f"strike-{self._count}"
        log = self._folder / f"{lane}.log"
        line, env, words = await self.ready(lane)
        tampering = f"inject={strike.call}:{FAULTS[strike.fault]}:when={strike.n}{'+' if strike.ever else ''}"
        tracer = await trace(
            "-p", str(words[strike.thread]), "-o", str(log), "-e", f"trace={strike.call}", "-e", tampering
        )
        said = await self.go(line)
        await self._processes.kill(lane, "commit")
        line.close()
        await tracer.wait()
        ended = {words["said"] for words in said}
        struck = not ended & {"done", "failed"} if strike.fault == "KILL" else "INJECTED" in log.read_text()
        found = await self.look(lane, env)
        shutil.rmtree(env["HOME"])
        log.unlink()
        return _judged(strike, struck, said, found)

    async def strike_all(self, strikes: Iterable[Strike], lanes: int = 3) -> list[Outcome]:
        """Side by side: most of the time is strace's own start."""
        left = iter(strikes)

        async def lane() -> list[Outcome]:
            return [await self.strike(strike) for strike in left]

        async with asyncio.TaskGroup() as group:
            done = [group.create_task(lane()) for _ in range(lanes)]
        return [outcome for task in done for outcome in task.result()]

    async def ready(self, lane: str) -> tuple[Line, dict[str, str], dict[str, Any]]:
        here = self._folder / lane
        shutil.copytree(self._pattern, here)
        env = home.environment(here)
        line, _ = await self._processes.start(lane, "commit", env=env, id=self._id, log=str(here / "stderr.log"))
        words = await line.hear()
        assert words is not None, (here / "stderr.log").read_text()
        return line, env, words

    async def look(self, lane: str, env: dict[str, str]) -> dict[str, Any]:
        line, _ = await self._processes.start(lane, "look", env=env, id=self._id, log=env["HOME"] + "/stderr.log")
        found = await line.hear()
        line.close()
        if found is None:
            return {"unreadable": await asyncio.to_thread(Path(env["HOME"], "stderr.log").read_text)}
        return found

    @staticmethod
    async def go(line: Line) -> list[dict[str, Any]]:
        """What the renewal said, until it was done, failed, or dead."""
        line.say(do="go")
        said = []
        while (words := await line.hear()) is not None:
            said.append(words)
            if words["said"] in {"done", "failed"}:
                break
        return said


def every(calls: Counter[tuple[str, str]], *, ever: bool = False) -> Iterable[Strike]:
    """Every call × every fault that it can meet."""
    for (thread, call), count in sorted(calls.items()):
        for n in range(1, count + 1):
            for fault in FAULTS:
                if (fault in {"lying", "short"} and call not in WRITES) or (fault != "KILL" and call == "flock"):
                    continue
                yield Strike(thread, call, n, fault)
                if ever and fault.startswith("E"):
                    yield Strike(thread, call, n, fault, ever=True)


def _judged(strike: Strike, struck: bool, said: list[dict[str, Any]], found: dict[str, Any]) -> Outcome:
    if not struck:
        return Outcome(strike, "not reached")
    if "unreadable" in found:
        return Outcome(strike, "neither", found["unreadable"][-500:])
    sent = any(words["said"] == "sent" for words in said)
    done = next((words for words in said if words["said"] == "done"), None)
    new = found["refresh"] == refresh_token(2)
    old = not new and found["refresh"] != "" and found["generation"] == 1
    wrong = []
    if not (new or old) or found["refused"]:
        wrong.append(f"found generation {found['generation']}, refused {found['refused']}")
    if old and sent and not found["unsettled"]:
        wrong.append("the vendor was asked, and nothing says so")
    # Where every disk fails from there on, memory is all there is; it says so, and the intent stands.
    if old and done is not None and not (strike.ever and done["troubles"]):
        wrong.append(f"acknowledged ({done}) and lost")
    if found["left"]:
        wrong.append(f"left over: {found['left']}")
    return Outcome(strike, "new" if new else "old" if old else "neither", "; ".join(wrong))


def table(outcomes: Iterable[Outcome]) -> str:
    """By system call: how many strikes, what was found, what was wrong."""
    rows: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        row = rows.setdefault(f"{outcome.strike.thread} {outcome.strike.call}", Counter())
        row[outcome.found] += 1
        row["wrong"] += bool(outcome.wrong)
    columns = ("old", "new", "neither", "not reached", "wrong")
    lines = ["| thread, call | strikes | " + " | ".join(columns) + " |", "|---" * (2 + len(columns)) + "|"]
    for name, row in rows.items():
        total = sum(row.values()) - row["wrong"]
        lines.append(f"| {name} | {total} | " + " | ".join(str(row[column]) for column in columns) + " |")
    return "\n".join(lines)


async def trace(*words: str) -> asyncio.subprocess.Process:
    """strace, attached."""
    tracer = await asyncio.create_subprocess_exec("strace", *words, stderr=asyncio.subprocess.PIPE)
    assert tracer.stderr is not None
    said = (await asyncio.wait_for(tracer.stderr.readline(), LONGEST)).decode()
    assert "attached" in said, said
    return tracer
