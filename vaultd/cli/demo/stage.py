"""Where the demo plays: a temporary folder, the programs started in it, and their end.

The programs are the installed ones, each a process of its own; nothing of the daemon runs in the demo's process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vaultd.errors import TryLater

#: For a program's next line: a cold start of Python on a slow disk, several times over.
PATIENCE = 20.0
#: After SIGTERM; then SIGKILL. A daemon with no request in work is gone in well under a second.
GRACE = 5.0
#: So many of a failed program's last words are shown.
LAST_WORDS = 12


class Stage:
    """`async with Stage() as stage`: whatever happens, its programs end and its folder goes."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="vaultd-demo-"))  # 0700
        self.credentials = self.folder / "auth"
        self.config = self.folder / "config.yaml"
        self._logs = self.folder / "log"
        self._lasting: dict[str, Process] = {}
        self._started: list[Process] = []

    async def __aenter__(self) -> Self:
        for folder in (self.folder / "home", self.folder / "run", self._logs):
            folder.mkdir(mode=0o700)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for process in reversed(self._started):
                await _end(process)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Writes the configuration; JSON is YAML. It names its folders, so that `--config` finds them from anywhere."""
        own = {"auth-dir": str(self.credentials), "vault": {"key-file": str(self.folder / "root.key")}}
        with os.fdopen(os.open(self.config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump({**own, **settings}, file, indent=2)

    async def start(self, name: str, *argv: str) -> Process:
        """A program that must not end before the demo does."""
        process = self._lasting[name] = await self.run(name, *argv)
        return process

    async def run(self, name: str, *argv: str) -> Process:
        """`python -m …`, in a session of its own: Ctrl-C is for the demo, which then ends the others in order."""
        with (self._logs / f"{name}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", *argv),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        self._started.append(process)
        return process

    async def ask(self, name: str, *argv: str) -> str:
        """What a vaultd command printed. Raises TryLater where it failed."""
        process = await self.run(name, "vaultd", *argv)
        text, _ = await asyncio.wait_for(process.communicate(b""), PATIENCE)
        if process.returncode:
            raise self.failed(name, process)
        return text.decode().strip()

    async def line(self, name: str, process: Process) -> str:
        """The next line it prints. Raises TryLater where it ends or stays silent."""
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        except TimeoutError:
            raise TryLater(f"{name} said nothing for {PATIENCE:.0f} s{self._last_words(name)}") from None
        if not line:
            await process.wait()
            raise self.failed(name, process)
        return line.decode().strip()

    def failed(self, name: str, process: Process) -> TryLater:
        return TryLater(f"{name} ended with exit status {process.returncode}{self._last_words(name)}")

    async def outlast(self, name: str) -> None:
        """Raises TryLater as soon as this program has ended. Otherwise never returns."""
        process = self._lasting[name]
        await process.wait()
        raise self.failed(name, process)

    def _last_words(self, name: str) -> str:
        with contextlib.suppress(OSError):
            lines = (self._logs / f"{name}.log").read_text(errors="replace").splitlines()[-LAST_WORDS:]
            return "".join(f"; {line}" for line in lines)
        return ""

    def _environment(self) -> dict[str, str]:
        """Nothing of the person's own vaultd, keys or proxies reaches the demo's programs."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TZ") if name in os.environ}
        home = str(self.folder / "home")
        own = {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_STATE_HOME": home, "TMPDIR": home}
        return {**kept, **own, "XDG_RUNTIME_DIR": str(self.folder / "run"), "VAULTD_CONFIG": str(self.config)}


async def _end(process: Process) -> None:
    for signal_it in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal_it()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE)
