"""A home with many logins, and the pretend vendors that know them, for the figures about a thousand credentials."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / part) for part in ("crash", "work", "parts")]

import home  # noqa: E402  - the harness stands with the tests
from desk import login  # noqa: E402

from vaultd.house import build  # noqa: E402
from vaultd.sandbox import Sandbox  # noqa: E402

#: Each renews at a pace of its own: five of them are five times as busy as one.
VENDORS = ("codex", "claude", "qwen", "xai", "kimi")


async def plant(folder: Path, sandbox: Sandbox, count: int, *, expire_in: float) -> dict[str, str]:
    """`count` logins sealed in a fresh home, whose tokens of an hour have about so many seconds left when the last is.

    Its environment."""
    (folder / "config" / "vaultd").mkdir(parents=True, mode=0o700)
    (folder / "run").mkdir(mode=0o700)
    env = home.environment(folder)
    house = await build(env, None, for_daemon=False)
    started = time.time()
    for number in range(count):
        provider = VENDORS[number % len(VENDORS)]
        made = login(sandbox, provider, f"person-{number}@example.com", time.time())
        assert made.tokens is not None
        pace = (time.time() - started) / number if number else 0.0
        until = time.time() + pace * (count - number) + expire_in
        tokens = replace(made.tokens, issued_at=until - 3600, expires_at=until)
        async with house.owner.leased(f"{provider}-person-{number}@example.com") as lease:
            await lease.put(replace(made, tokens=tokens))
    await house.close()
    return env


@contextmanager
def serving(sandbox: Sandbox, env: dict[str, str]) -> Iterator[None]:
    """The vendors in a process of their own, with what they know by now, and the home configured for them."""
    heard, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        asyncio.run(_serve(sandbox, said))
    overlay = json.loads(os.read(heard, 65536))
    config = Path(env["HOME"], "config", "vaultd", "config.yaml")
    config.write_text(json.dumps({"providers": overlay}))
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


async def _serve(sandbox: Sandbox, said: int) -> None:
    async with sandbox:
        os.write(said, json.dumps(sandbox.overlay()).encode())
        await asyncio.Event().wait()


def machine() -> str:
    load = ", ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return f"{platform.platform()}, {os.cpu_count()} cores, load {load}, Python {platform.python_version()}"
