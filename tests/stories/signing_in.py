"""`vaultd login` as a person runs it: a process of its own, its two outputs, a browser beside it, or a daemon."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ports import free_port
from shell import Daemon, Person
from vendors import vendors

from vaultd.sandbox import Sandbox

CODE_VENDORS = ("codex", "claude", "gemini", "iflow")
#: Another user who may read our interpreter and its packages, wherever they lie, and write nothing that is not his.
STRANGER = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


async def follow(url: str) -> str:
    async with aiohttp.ClientSession() as browser, browser.get(url) as page:
        return await page.text()


async def redirect_of(url: str) -> str:
    async with aiohttp.ClientSession() as browser, browser.get(url, allow_redirects=False) as page:
        return page.headers["Location"]


async def is_shut(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


class Login:
    """One run."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out: list[str] = []
        self.err = ""

    async def line(self) -> str:
        """The next line of stdout."""
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode().rstrip("\n")
        self.out.append(line)
        return line

    async def err_until(self, word: str) -> str:
        """What stderr says up to and with `word`."""
        assert self.process.stderr is not None
        while word not in self.err:
            chunk = await self.process.stderr.read(4096)
            assert chunk, f"{word!r} was never said: {self.err}"
            self.err += chunk.decode()
        return self.err

    async def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()

    async def end(self) -> int:
        """Waits for the exit code; what was said is in `out` and `err`."""
        out, err = await self.process.communicate()
        self.out += out.decode().splitlines()
        self.err += (err or b"").decode()
        assert self.process.returncode is not None
        return self.process.returncode


@dataclass
class House:
    """A person's machine, with a configuration that points every vendor at the sandbox, on ports nobody else uses."""

    sandbox: Sandbox
    env: dict[str, str]
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in CODE_VENDORS})

    def __post_init__(self) -> None:
        overlay: dict[str, Any] = self.sandbox.overlay()
        for name, port in self.ports.items():
            self.sandbox.set(name, any_port=True)
            overlay[name].setdefault("oauth", {})["redirect"] = {"port": port}
        self.config = Path(self.env["HOME"]) / "config.yaml"
        self.config.write_text(json.dumps({"providers": overlay}))
        #: What every command is told.
        self.words = ("--config", str(self.config))

    @property
    def auth_dir(self) -> Path:
        return Path(self.env["XDG_STATE_HOME"]) / "vaultd" / "auth"

    def sealed(self) -> list[str]:
        return sorted(path.name for path in self.auth_dir.glob("*.json"))

    def audited(self) -> list[tuple[str, str, str]]:
        """The audit log's lines: action, outcome, status."""
        lines = map(json.loads, (self.auth_dir.parent / "audit.log").read_text().splitlines())
        return [(line["action"], line["outcome"], line.get("status", "")) for line in lines]

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "vaultd", "login", *self.words, *args]

    async def login(
        self,
        *args: str,
        stdin: int = asyncio.subprocess.PIPE,
        stderr: int = asyncio.subprocess.PIPE,
        within: Sequence[str] = (),
        **env: str,
    ) -> Login:
        """`within`: a program that runs another, and its words."""
        process = await asyncio.create_subprocess_exec(
            *(*within, *self.command(*args)),
            env=self.env | env,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
        return Login(process)


@contextmanager
def beside_a_daemon(factory: pytest.TempPathFactory) -> Iterator[tuple[House, Daemon]]:
    """A house whose daemon runs: its commands find it by themselves, and read no configuration."""
    root = factory.mktemp("beside")
    env = {
        "HOME": str(root),
        "XDG_CONFIG_HOME": str(root / "config"),
        "XDG_STATE_HOME": str(root / "state"),
        "XDG_RUNTIME_DIR": str(factory.mktemp("r")),
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    with vendors() as sandbox:
        house = House(sandbox, env)
        daemon = Daemon(Person(env), *house.words)
        house.words = ()
        try:
            yield house, daemon
        finally:
            daemon.ends()


def unreached(folder: Path, *, listens: bool, mode: int) -> tuple[str, ...]:
    """The words that run a command where the packaged service's socket stands and no daemon of ours answers at it."""
    script = folder / "run.py"
    script.write_text(
        "import os, signal, socket, sys\n"
        "os.makedirs('/run/vaultd', exist_ok=True)\n"
        "one = socket.socket(socket.AF_UNIX)\n"
        "one.bind('/run/vaultd/admin.sock')\n"
        f"os.chmod('/run/vaultd/admin.sock', {mode})\n"
        f"if {listens}:\n"
        "    one.listen()\n"
        "    if os.fork() == 0:\n"
        "        os.closerange(0, 3)\n"
        "        signal.alarm(20)\n"
        "        while True:\n"
        "            one.accept()[0].close()\n"
        "one.close()\n"
        "os.execvp(sys.argv[1], sys.argv[1:])\n"
    )
    return (
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o mode=755 none /run && exec "$@"',
        "sh",
        sys.executable,
        str(script),
    )
