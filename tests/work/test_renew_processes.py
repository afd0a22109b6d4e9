"""Several processes on one folder, one login whose refresh token is single use.

`make race EXPIRIES=1000` is the long form.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from desk import login, open_vault

from vaultd.sandbox import Sandbox

PROCESSES = 16
EXPIRIES = int(os.environ.get("EXPIRIES", "30"))


async def test_sec_42_sixteen_processes_meet_each_expiry_and_the_login_is_renewed_once_for_each(
    tmp_path: Path,
) -> None:
    async with Sandbox(access_seconds=3600) as sandbox:
        owner = await open_vault(tmp_path / "auth")
        credential = await owner.settle(login(sandbox, "codex", "", time.time()))
        vendor = sandbox["codex"]
        processes = [await start(tmp_path / "auth", sandbox.url, credential.id) for _ in range(PROCESSES)]
        assert {await line(process) for process in processes} == {"ready"}

        for expiry in range(1, EXPIRIES + 1):
            vendor.expire()
            for process in processes:
                process.stdin.write(b"refused\n")  # type: ignore[union-attr]
            tokens = {await line(process) for process in processes}

            assert len(tokens) == 1
            assert vendor.counts["renewals"] == expiry

        for process in processes:
            _, complaints = await process.communicate(b"")
            assert (process.returncode, complaints) == (0, b"")
        assert vendor.counts["requests:token"] == vendor.counts["renewals"] == EXPIRIES  # none was refused
        assert vendor.counts["reuse_events"] == 0
        assert vendor.families[0].alive
        await owner.rescan()
        assert owner.get(credential.id).generation == 1 + EXPIRIES  # type: ignore[union-attr]


async def start(folder: Path, url: str, id: str) -> Process:  # noqa: A002
    script = Path(__file__).with_name("renewing.py")
    argv = [str(script), str(folder), url, id]
    return await asyncio.create_subprocess_exec(sys.executable, *argv, stdin=PIPE, stdout=PIPE, stderr=PIPE)


async def line(process: Process) -> str:
    return (await process.stdout.readline()).decode().strip()  # type: ignore[union-attr]
