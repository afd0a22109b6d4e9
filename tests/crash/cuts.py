"""Power cuts: an ext4 of its own on a loop device, a login on it that is renewed without a pause, and the plug pulled.

What had reached the disk at that moment is the image behind the loop device: it is copied while the writer stands
still, and what only the kernel's memory had of the file system is in no copy. The copy is mounted in the place of the
disk (the journal is replayed), a start looks at it, and the next cut goes on from there, as a machine does.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import home
from committing import refresh_token
from processes import Processes

#: The smallest that holds an ext4 with a journal; it is copied at each cut.
_SIZE = 16 * 1024 * 1024
#: Seconds until the plug is pulled: a renewal takes a few thousandths.
_LONGEST = 0.06


class Refused(Exception):
    """The machine does not let us mount: the command, and what it said."""


@dataclass(frozen=True)
class Cut:
    index: int
    #: The newest generation the writer was told is safe, and the one that was there after the cut.
    acknowledged: int
    found: int
    wrong: str = ""


class Disk:
    """`await open()`, then `cut` as often as wanted, then `close()`. `forgetful`: on a system that takes an fsync of a
    folder for nothing, which must show."""

    def __init__(self, folder: Path, name: str, processes: Processes, *, forgetful: bool = False) -> None:
        self._name = name
        self._at = folder / name
        self._image = folder / f"{name}.img"
        self._copy = folder / f"{name}.cut"
        self._processes = processes
        self._forgetful = forgetful
        self._env = home.environment(self._at / "home") | {"XDG_RUNTIME_DIR": str(folder / f"{name}-run")}
        self._generation = 1

    async def format(self) -> None:
        """An empty one, mounted."""
        self._at.mkdir(parents=True)
        with self._image.open("wb") as image:
            image.truncate(_SIZE)
        await _run("mkfs.ext4", "-q", "-F", str(self._image))
        await self._mount()

    async def open(self) -> None:
        await self.format()
        self._id = await home.signed_in(self._at / "home")
        os.sync()

    async def close(self) -> None:
        await _run("umount", str(self._at))
        self._image.unlink()

    async def cut(self, index: int, seed: str) -> Cut:
        """Renew until a random moment; pull the plug; what is there?"""
        rng = random.Random(f"{seed}:cut:{index}")
        try:
            acknowledged = await self._renew_and_copy(rng.uniform(0, _LONGEST))
        finally:
            await self._processes.kill(self._name, "commit")
        await _run("umount", str(self._at))
        self._copy.rename(self._image)
        await self._mount()
        found = await self._look()
        wrong = self._wrong(acknowledged, found)
        self._generation = found["generation"] or acknowledged
        if wrong and not found["generation"]:
            await self._again()
        return Cut(index, acknowledged, found["generation"], wrong)

    async def _renew_and_copy(self, seconds: float) -> int:
        self._power_on()
        args = {"ever": True, "forgetful": self._forgetful, "log": f"{self._image}.log"}
        line, pid = await self._processes.start(self._name, "commit", env=self._env, id=self._id, **args)
        assert (await line.hear() or {}).get("said") == "ready", f"see {args['log']}"
        line.say(do="go")
        said = [await line.hear() or {}]
        while said[-1].get("said") == "sent":
            said.append(await line.hear() or {})
        await asyncio.sleep(seconds)  # after the first that was acknowledged, however slow the machine
        os.kill(pid, signal.SIGSTOP)
        await _stands_still(pid)
        acknowledged = self._newest([*said, *line.so_far()])
        shutil.copyfile(self._image, self._copy)
        line.close()
        return acknowledged

    def _newest(self, said: list[dict[str, Any]]) -> int:
        """The last generation that was acknowledged by now."""
        assert not [words for words in said if words.get("said") not in {"sent", "done"} or words.get("troubles")], said
        return max([self._generation, *(words["generation"] for words in said if words["said"] == "done")])

    async def _look(self) -> dict[str, Any]:
        self._power_on()
        line, _ = await self._processes.start(self._name, "look", env=self._env, id=self._id, log=f"{self._image}.log")
        found = await line.hear()
        line.close()
        nothing = {"generation": 0, "refresh": "", "refused": {"start": "failed"}, "unsettled": [], "left": []}
        return found or nothing

    def _power_on(self) -> None:
        """A run folder as each boot makes it: in memory, empty."""
        shutil.rmtree(self._env["XDG_RUNTIME_DIR"], ignore_errors=True)
        Path(self._env["XDG_RUNTIME_DIR"]).mkdir(mode=0o700)

    @staticmethod
    def _wrong(acknowledged: int, found: dict[str, Any]) -> str:
        generation = found["generation"]
        if found["refused"] or not generation:
            return f"refused: {found['refused']}"
        if generation not in {acknowledged, acknowledged + 1}:
            return f"acknowledged {acknowledged}, found {generation}"
        if generation > 1 and found["refresh"] != refresh_token(generation):
            return f"another generation's token in {generation}"
        return f"left over: {found['left']}" if found["left"] else ""

    async def _again(self) -> None:
        """A fresh login where a cut left none, so that the next can be counted."""
        shutil.rmtree(self._at / "home")
        self._generation = 1
        self._id = await home.signed_in(self._at / "home")
        os.sync()

    async def _mount(self) -> None:
        await _run("mount", "-o", "loop", str(self._image), str(self._at))


async def may_mount(folder: Path) -> None:
    """Raises Refused where it may not."""
    disk = Disk(folder, "try", Processes())
    await disk.format()
    await disk.close()


async def _stands_still(pid: int) -> None:
    """Every thread of it: a signal to stop is obeyed on the way out of the kernel."""
    while not {_state(thread) for thread in os.listdir(f"/proc/{pid}/task")} <= {"T", "Z"}:  # noqa: PTH208, ASYNC110
        await asyncio.sleep(0)


def _state(thread: str) -> str:
    return Path(f"/proc/{thread}/stat").read_text().rpartition(")")[2].split()[0]


async def _run(*command: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except OSError as error:
        raise Refused(f"{' '.join(command)}: {error.strerror}") from error
    said, _ = await process.communicate()
    if process.returncode:
        raise Refused(f"{' '.join(command)}: {said.decode().strip()}")
