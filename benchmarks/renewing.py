"""How long the daemon's loop is held while 1,000 logins renew: a timer's delay, sampled all the while. Prints a table.

The daemon is `vaultd serve` with its keeper, its disk and its port; the vendors are processes of their own. All tokens
end within `SECONDS`, so that the renewer goes as fast as it ever does. A delay on a busy machine is also other
processes' work: the CPU that the loop's own thread used between two samples is told beside it.

`CREDENTIALS=1000`, `SECONDS=30`. Nothing is asserted here.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from many import VENDORS, machine, plant, serving

from vaultd.cli.main import run
from vaultd.house import House
from vaultd.net.process import harden
from vaultd.sandbox import Sandbox
from vaultd.server import run as server

CREDENTIALS = int(os.environ.get("CREDENTIALS", "1000"))
SECONDS = float(os.environ.get("SECONDS", "30"))
#: Milliseconds.
LIMIT = 50
#: Between two samples: uvloop's timers know whole milliseconds.
_SAMPLE = 0.002
#: The daemon's own start.
_STARTS = 3.0
#: All are renewed by then, or something is wrong.
_LONGEST = 240.0


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="vaultd-renewing-") as name:
        sandbox = Sandbox(access_seconds=3600)
        env = asyncio.run(plant(Path(name) / "home", sandbox, CREDENTIALS, expire_in=SECONDS + _STARTS))
        with serving(sandbox, env):
            command = [sys.executable, __file__, "daemon"]
            with Path(name, "log").open("w") as log:
                told = subprocess.run(
                    command, env=env, check=True, stdout=subprocess.PIPE, stderr=log, text=True
                ).stdout
    found = json.loads(told.splitlines()[-1])
    print(machine())
    print(f"{found['renewed']} of {CREDENTIALS} renewed in {found['seconds']:.1f} s, at {len(VENDORS)} vendors\n")
    print("| of the loop | p50 | p99 | max | at most |\n|---|---|---|---|---|")
    for what, row in found["rows"].items():
        print(f"| {what}, ms | {row['p50']:.1f} | {row['p99']:.1f} | {row['max']:.1f} | {LIMIT} |")


def daemon() -> None:
    harden()
    sys.exit(run(["serve", "--port", "0"], serve=_serve))


async def _serve(house: House, host: str, port: int) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(house, host, port))
        group.create_task(_sample(house))


async def _sample(house: House) -> None:
    assert house.daemon is not None
    while not house.daemon.address:  # noqa: ASYNC110 - the start is another figure
        await asyncio.sleep(_SAMPLE)
    started, lags, used = time.monotonic(), [], []
    while (renewed := _renewed(house)) < CREDENTIALS and time.monotonic() < started + _LONGEST:
        for _ in range(50):  # counting the renewed is the sampler's own work, and not to be sampled often
            before, cpu = time.monotonic(), time.thread_time()
            await asyncio.sleep(_SAMPLE)
            lags.append(time.monotonic() - before - _SAMPLE)
            used.append(time.thread_time() - cpu)
    rows = {"delay of a timer": _row(lags), "own CPU between two samples": _row(used)}
    print(json.dumps({"renewed": renewed, "seconds": time.monotonic() - started, "rows": rows}), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


def _renewed(house: House) -> int:
    return sum(credential.generation > 1 for credential in house.owner.snapshot().values())


def _row(samples: list[float]) -> dict[str, float]:
    ordered = sorted(samples)
    at = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "max": -1}
    return {name: ordered[index] * 1000 for name, index in at.items()}


if __name__ == "__main__":
    daemon() if sys.argv[1:] == ["daemon"] else main()
