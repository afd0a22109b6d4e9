"""A daemon whose logins run out of allowance: everybody hears the same, a restart forgets nothing, a person decides."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ports import own_callbacks

from vaultd.sandbox import Sandbox
from vaultd.sandbox.records import mask

KEY = "pool-daemon-CANARY-0123456789abcdef0123456789abcdef"
ANN, BEN = "ann@example.com", "ben@example.com"
WEEKS = 18 * 86400


@dataclass
class Town:
    """A person, a daemon, a client and two logins at one vendor."""

    home: dict[str, str]
    sandbox: Sandbox
    http: aiohttp.ClientSession
    url: str = ""
    daemons: list[Process] = field(default_factory=list)

    async def run(self, *words: str) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "vaultd", *words, env=self.home, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )

    async def types(self, *words: str) -> str:
        process = await self.run(*words)
        out, err = await process.communicate(b"")
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def shows(self, credential: str) -> Any:
        return json.loads(await self.types("credentials", "show", credential, "--json"))

    async def sign_in(self, email: str) -> str:
        self.sandbox.set("codex", account=email)
        process = await self.run("login", "--codex", "--no-browser")
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with self.http.get(url) as landing:
            assert landing.status == 200
        said = (await process.stdout.readline()).decode()
        await process.communicate(b"")
        return said.rpartition(" -> ")[2].strip()

    async def serve(self) -> None:
        process = await self.run("serve", "--port", "0")
        self.daemons.append(process)
        assert process.stderr is not None
        said = ""
        while "address=http" not in said:
            line = (await process.stderr.readline()).decode()
            assert line, said
            said += line
        self.url = said.rpartition("address=")[2].split()[0]

    async def stop(self) -> None:
        process = self.daemons.pop()
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()

    async def ask(self) -> tuple[int, str]:
        body = {"model": "gpt-5", "input": "say hello", "stream": True}
        headers = {"Authorization": f"Bearer {KEY}"}
        async with self.http.post(f"{self.url}/v1/responses", json=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def ready(self) -> tuple[int, str]:
        async with self.http.get(f"{self.url}/readyz") as answer:
            return answer.status, await answer.text()

    def asked(self) -> Counter[str]:
        known = self.sandbox["codex"]
        names = {mask(token): access.family.account.email for token, access in known.access.items()}
        return Counter({names[name]: times for name, times in known.uses.items()})


@pytest.fixture
async def town(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        config = planted(Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml")
        config.parent.mkdir(parents=True, mode=0o700)
        config.write_text(json.dumps({"api-keys": [KEY], "providers": own_callbacks(sandbox)}))
        config.chmod(0o600)
        town = Town(home, sandbox, http)
        yield town
        while town.daemons:
            await town.stop()


async def test_a_restart_forgets_nothing_everybody_hears_the_same_and_a_person_decides(town: Town) -> None:
    ids = {email: await town.sign_in(email) for email in (ANN, BEN)}
    await town.serve()
    town.sandbox.exhaust("codex", seconds=WEEKS, account=ANN)
    assert [(await town.ask())[0] for _ in range(4)] == [200] * 4
    assert town.asked() == {ANN: 1, BEN: 4}
    until = (await town.shows(ids[ANN]))["cooling"][0]["until"]

    await town.stop()
    await town.serve()
    assert [(await town.ask())[0] for _ in range(4)] == [200] * 4
    assert town.asked() == {ANN: 1, BEN: 8}, "who rested before rests now"
    assert (await town.shows(ids[ANN]))["cooling"][0]["until"][:17] == until[:17]

    await town.types("credentials", "disable", ids[BEN])
    # The vendor's own word, from a request that finds out whether its hint was right; then ours.
    assert [(await town.ask())[0] for _ in range(2)] == [429, 429]
    assert town.asked()[ANN] == 2
    _, told = await town.ask()
    until = (await town.shows(ids[ANN]))["cooling"][0]["until"]
    ready, why = await town.ready()
    shown = await town.types("credentials", "show", ids[ANN])
    for words in (json.loads(told)["error"]["message"], why, await town.types("status"), shown):
        assert ids[ANN] in words and until in words, words
    assert ready == 200, "other models are served"

    await town.types("credentials", "enable", ids[BEN])
    assert (await town.ask())[0] == 200
