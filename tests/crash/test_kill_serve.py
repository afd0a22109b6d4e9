"""The same kills on the command as it is installed: `vaultd serve`, its own keeper, its admin socket, its relay.

Few, for each costs a cold start. The renewal is asked for as `vaultd credentials refresh` does, and the token that is
left is used as a client does.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import aiohttp
import home
from processes import LONGEST

from vaultd.net import local
from vaultd.sandbox import Sandbox
from vaultd.sandbox.state import Vendor

KILLS = 5
KEY = "killed-CANARY-0123456789abcdef0123456789abcdef"


async def test_sec_45_vaultd_serve_is_killed_in_mid_renewal_alone_or_with_its_keeper_and_its_login_stays(
    tmp_path: Path, planted: Any
) -> None:
    alone = Machine(tmp_path / "alone", grace=0, everything=False)
    everything = Machine(tmp_path / "everything", grace=30, everything=True)
    for machine in (alone, everything):
        planted(machine.config)

    await asyncio.gather(*(_killed(machine, KILLS) for machine in (alone, everything)))


class Machine:
    def __init__(self, folder: Path, *, grace: float, everything: bool) -> None:
        self.folder = folder
        self.env = home.environment(folder)
        self.config = folder / "config" / "vaultd" / "config.yaml"
        self.grace = grace
        self.everything = everything


async def _killed(machine: Machine, kills: int) -> None:
    rng = random.Random(f"{machine.folder.name}")
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox())
        person = await stack.enter_async_context(aiohttp.ClientSession())
        id_ = await home.signed_in(machine.folder, sandbox)
        machine.config.write_text(json.dumps({"api-keys": [KEY], "providers": sandbox.overlay()}))
        sandbox.set("codex", grace_seconds=machine.grace)
        sandbox.fault("codex", at="token", do="delay", times=0, seconds=0.006)
        vendor = sandbox["codex"]
        struck = 0
        while struck < kills:
            daemon, address = await _serve(machine)
            await asyncio.to_thread(_refresh, machine, id_)  # what was cut off is settled when this comes back
            assert await _ask(person, address) == ""
            struck += await _struck(machine, daemon, vendor, id_, rng.uniform(0, 0.007))

        daemon, address = await _serve(machine)
        await asyncio.to_thread(_refresh, machine, id_)
        assert await _ask(person, address) == ""
        daemon.send_signal(signal.SIGTERM)
        await daemon.communicate()

        assert vendor.counts["reuse_events"] == 0
        assert [family.alive for family in vendor.families] == [True]


async def _struck(machine: Machine, daemon: Process, vendor: Vendor, id_: str, moment: float) -> bool:
    """Whether the renewal, killed so long after the vendor was asked, was still under way."""
    asked = vendor.counts["requests:token"]
    order = asyncio.get_running_loop().run_in_executor(None, _refresh, machine, id_)
    async with asyncio.timeout(LONGEST):
        await vendor.until(lambda: vendor.counts["requests:token"] > asked)
    await asyncio.sleep(moment)
    under_way = not order.done()
    for pid in [daemon.pid, *(_children(daemon.pid) if machine.everything else [])]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await daemon.communicate()
    with suppress(Exception):
        await order
    return under_way


def _refresh(machine: Machine, id_: str) -> None:
    """`vaultd credentials refresh`, without the cold start of the command."""
    socket = next(local.sockets([Path(machine.env["XDG_RUNTIME_DIR"], "vaultd", "admin.sock")]))
    local.call(socket, "credentials.refresh", {"id": id_})


def _children(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


async def _serve(machine: Machine) -> tuple[Process, str]:
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "vaultd", "serve", "--port", "0", env=machine.env, stderr=PIPE
    )
    assert daemon.stderr is not None
    said = ""
    while "listening address=" not in said:
        said = (await asyncio.wait_for(daemon.stderr.readline(), LONGEST)).decode()
        assert said
    return daemon, said.partition("address=")[2].split()[0]


async def _ask(person: aiohttp.ClientSession, address: str) -> str:
    """Empty where the vendor took the token."""
    body = {"model": "gpt-5", "input": "say still-here", "stream": True}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with person.post(f"{address}/v1/responses", json=body, headers=headers) as answer:
        said = await answer.text()
        return "" if answer.status == 200 and "still-here" in said else f"{answer.status} {said}"
