"""A person at a shell: real processes of `vaultd`, a real daemon, its real socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import warm

#: Longer than any of these takes on a busy machine; a hang is a failure, not a wait.
LONGEST = 30.0


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in {0, 1}, self.err
        return json.loads(self.out)


class Person:
    """Types commands in one home."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = dict(env)
        self.config_dir = Path(env["XDG_CONFIG_HOME"], "vaultd")
        self.auth_dir = Path(env["XDG_STATE_HOME"], "vaultd", "auth")
        self.config = self.config_dir / "config.yaml"

    def types(self, *words: str, stdin: str = "") -> Done:
        if "PYTHONPATH" in self.env:  # another Python than the tests' own
            command = [sys.executable, "-m", "vaultd", *words]
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=self.env, check=False)
        else:
            done = warm.run(words, self.env, stdin, LONGEST)
        return Done(done.returncode, done.stdout, done.stderr)

    def configures(self, text: str) -> None:
        """As an editor saves: written beside, renamed over."""
        self.config_dir.mkdir(parents=True, exist_ok=True)
        beside = self.config.with_suffix(".yaml~")
        beside.write_text(text)
        beside.rename(self.config)


class Daemon:
    """`vaultd serve` on a free port. Its stderr is read line by line."""

    def __init__(self, person: Person, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vaultd", "serve", "--port", "0", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=person.env,
        )
        self.log: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.address = self.says("listening address=").partition("address=")[2].split()[0]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip("\n"))

    def says(self, words: str) -> str:
        """Waits for a line that holds `words`."""
        while True:
            try:
                line = self._lines.get(timeout=LONGEST)
            except queue.Empty:
                raise AssertionError(f"the daemon never said {words!r}:\n" + "\n".join(self.log)) from None
            self.log.append(line)
            if words in line:
                return line

    def asked(self, path: str, key: str = "") -> tuple[int, Any]:
        at = urlsplit(self.address)
        with contextlib.closing(http.client.HTTPConnection(str(at.hostname), at.port, timeout=LONGEST)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
            response = connection.getresponse()
            body = response.read()
            return response.status, json.loads(body) if body.startswith(b"{") else body.decode()

    def stops(self) -> tuple[int, str]:
        """SIGTERM; its exit code and all it wrote to stdout."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        code = self.process.wait(LONGEST)
        self._reader.join(LONGEST)
        return code, out

    def ends(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(LONGEST)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
