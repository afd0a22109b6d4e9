"""THR-06: a daemon that is killed under load has written down all but its last second, and goes on counting."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from vaultd.sandbox import Sandbox

KEY = "usage-kill-CANARY-0123456789abcdef0123456789abcdef"
KILLS = 2


class Load:
    """Clients that ask one after the other; when each answer was whole."""

    def __init__(self) -> None:
        self.answered: list[float] = []

    async def ask(self, http: aiohttp.ClientSession, url: str) -> None:
        body = {"model": "big", "messages": [{"role": "user", "content": "say hello"}]}
        while True:
            try:
                async with http.post(
                    f"{url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"}
                ) as answer:
                    await answer.read()
                    assert answer.status == 200
            except aiohttp.ClientError:
                return  # killed
            self.answered.append(time.monotonic())


async def test_thr_06_kill_9_under_load_costs_at_most_the_last_second(
    home: dict[str, str], planted: Callable[[Path], Path]
) -> None:
    file = Path(home["XDG_STATE_HOME"], "vaultd", "usage.sqlite")
    async with Sandbox() as sandbox, aiohttp.ClientSession() as http:
        config = planted(Path(home["XDG_CONFIG_HOME"], "vaultd", "config.yaml"))
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(json.dumps(_configured(sandbox)))
        safe = most = 0
        for kill in range(1, KILLS + 1):
            load = Load()
            killed = await _served(home, http, load, enough=150 * kill)
            most += len(load.answered)
            safe += sum(at < killed - 1.0 for at in load.answered)
            counted, rows = _counted(file)
            assert safe <= counted <= most + 8 * kill, "eight may have been on their way at each kill"
            assert rows == counted
        assert safe > 0, "some were older than a second"


def _configured(sandbox: Sandbox) -> dict[str, Any]:
    where = {"name": "acme", "base-url": sandbox.key_bases()["openai"], "models": [{"name": "big"}]}
    return {"api-keys": [KEY], "openai-compatibility": [where | {"api-key-entries": [{"api-key": "sk-CANARY-1"}]}]}


async def _served(home: dict[str, str], http: aiohttp.ClientSession, load: Load, enough: int) -> float:
    """Until the daemon has answered `enough` and for more than a second; when it was killed."""
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vaultd", "serve", "--port", "0", env=home, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    assert daemon.stderr is not None
    said = b""
    while b"address=http" not in said:
        line = await daemon.stderr.readline()
        assert line, said
        said += line
    reading = asyncio.ensure_future(daemon.stderr.read())  # noqa: TID251 - a full pipe would stop it
    url = said.decode().rpartition("address=")[2].split()[0]
    async with asyncio.TaskGroup() as clients:
        for _ in range(8):
            clients.create_task(load.ask(http, url))
        while len(load.answered) < enough or load.answered[-1] - load.answered[0] < 1.3:  # noqa: ASYNC110 - a load
            await asyncio.sleep(0.05)
        daemon.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        await daemon.wait()
    await reading
    return killed


def _counted(file: Path) -> tuple[int, int]:
    """What the next start finds: requests by the hours, and one by one."""
    with closing(sqlite3.connect(file)) as connection:
        (hours,) = connection.execute("SELECT sum(requests) FROM hours").fetchone()
        (rows,) = connection.execute("SELECT count(*) FROM requests").fetchone()
        return hours, rows
