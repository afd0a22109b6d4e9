"""Several daemons, and commands beside them, share one folder and one login whose refresh token is single use."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from ports import free_port, own_callbacks

from vaultd.sandbox import Sandbox

KEY = "three-daemons-CANARY-0123456789abcdef0123456789abcdef"


async def test_sec_42_thirty_requests_over_one_expiry_one_renewal_thirty_answers(
    home: dict[str, str], planted: Callable[[Path], Path]
) -> None:
    async with AsyncExitStack() as stack:
        sandbox, person = await signed_in(home, planted(config_of(home)), stack)
        daemons = [await serve(home, person, stack) for _ in range(3)]
        vendor = sandbox["codex"]

        sandbox["codex"].expire()
        asked = (ask(person, daemons[n % 3]) for n in range(30))
        answers = await asyncio.gather(*asked)

        assert {status for status, _ in answers} == {200}
        assert all("one-life" in text for _, text in answers)
        assert vendor.counts["renewals"] == 1
        assert vendor.counts["reuse_events"] == 0


async def test_sec_42_serve_login_and_a_refresh_by_hand_at_once_present_no_spent_token_and_all_are_answered(
    home: dict[str, str], planted: Callable[[Path], Path]
) -> None:
    async with AsyncExitStack() as stack:
        sandbox, person = await signed_in(home, planted(config_of(home)), stack)
        daemons = [await serve(home, person, stack) for _ in range(2)]
        vendor = sandbox["codex"]
        # A command of an environment in which no daemon's socket is to be found works on the folder itself.
        alone = home | {"XDG_RUNTIME_DIR": home["TMPDIR"]}

        vendor.expire()
        by_hand = await run(
            alone, "credentials", "refresh", "codex-codex@example.com", "--config", str(config_of(home))
        )
        asked = (ask(person, daemons[n % 2]) for n in range(20))
        *answers, _, refreshed = await asyncio.gather(*asked, sign_in(home, person), by_hand.communicate())

        assert {status for status, _ in answers} == {200}
        assert by_hand.returncode == 0, refreshed
        assert vendor.counts["requests:token"] == vendor.counts["sign_ins"] + vendor.counts["renewals"]  # none refused
        assert vendor.counts["reuse_events"] == 0
        assert vendor.families[-1].alive

        renewals = vendor.counts["renewals"]
        vendor.expire()
        again = await asyncio.gather(*(ask(person, daemons[n % 2]) for n in range(20)))

        assert {status for status, _ in again} == {200}, again[0]
        assert vendor.counts["renewals"] == renewals + 1
        assert vendor.counts["reuse_events"] == 0


def config_of(home: dict[str, str]) -> Path:
    return Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"


def configure(config: Path, sandbox: Sandbox) -> None:
    config.parent.mkdir(parents=True, mode=0o700)
    config.write_text(json.dumps({"api-keys": [KEY], "providers": own_callbacks(sandbox)}))
    config.chmod(0o600)


async def signed_in(home: dict[str, str], config: Path, stack: AsyncExitStack) -> tuple[Sandbox, aiohttp.ClientSession]:
    """A home with a login at a pretend vendor, and a person who asks there."""
    sandbox = await stack.enter_async_context(Sandbox())
    person = await stack.enter_async_context(aiohttp.ClientSession())
    configure(config, sandbox)
    await sign_in(home, person)
    return sandbox, person


async def sign_in(env: dict[str, str], person: aiohttp.ClientSession) -> None:
    process = await run(env, "login", "--codex", "--no-browser")
    url = (await process.stdout.readline()).decode().strip()  # type: ignore[union-attr]
    async with person.get(url) as landing:
        assert landing.status == 200
    assert b"signed in: codex" in await process.stdout.readline()  # type: ignore[union-attr]
    await process.communicate(b"")


async def serve(env: dict[str, str], person: aiohttp.ClientSession, stack: AsyncExitStack) -> str:
    port = free_port()
    process = await run(env, "serve", "--port", str(port))
    stack.push_async_callback(process.wait)
    stack.callback(process.terminate)
    assert process.stderr is not None
    said = b""
    while b"address=http" not in said:
        line = await process.stderr.readline()
        assert line, said.decode()
        said += line
    return f"http://127.0.0.1:{port}"


async def run(env: dict[str, str], *argv: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vaultd", *argv, env=env, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )


async def ask(person: aiohttp.ClientSession, daemon: str) -> tuple[int, str]:
    body = {"model": "gpt-5", "input": "say one-life", "stream": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with person.post(f"{daemon}/v1/responses", json=body, headers=headers) as answer:
        return answer.status, await answer.text()
