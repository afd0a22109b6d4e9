"""What the keeper weighs: its resident memory at its largest, over that many renewals of as many logins, and how long
it took to come.

Tokens are of the size of Codex's (4 kB). The limit is asserted by tests/keeper for fifty.

    python benchmarks/keeper.py [LOGINS, 1000]
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "work"))

from desk import login

from vaultd.house import House, build
from vaultd.sandbox import Sandbox
from vaultd.work.renewal import Order

#: MB, as issue and architecture promise.
MOST = 64


async def main(logins: int) -> int:
    with tempfile.TemporaryDirectory() as home:
        env = {"HOME": home, "PATH": os.environ["PATH"]}
        async with Sandbox(access_seconds=3600) as sandbox:
            config = Path(home, ".config", "vaultd", "config.yaml")
            configured(config, sandbox)
            sandbox.set("codex", token_answer={"access_token": "CANARY" + "x" * 4000})
            house = await build(env, None, for_daemon=False)
            try:
                return await measured(house, sandbox, logins)
            finally:
                await house.close()


def configured(config: Path, sandbox: Sandbox) -> None:
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"providers": sandbox.overlay()}))


async def measured(house: House, sandbox: Sandbox, logins: int) -> int:
    held = [await house.owner.settle(login(sandbox, "codex", f"{n}@example.com", time.time())) for n in range(logins)]
    orders = [Order(one.id, house.catalog.provider("codex"), one.generation) for one in held]
    began = time.perf_counter()
    await house.keeper(orders[0])
    came = time.perf_counter() - began
    started = resident()
    began = time.perf_counter()
    await asyncio.gather(*(house.keeper(order) for order in orders[1:]))
    took = time.perf_counter() - began
    most = resident()
    assert sandbox["codex"].counts["renewals"] == logins
    print(f"first renewal, process and all: {came:.2f} s; memory after it: {started:.1f} MB")
    print(
        f"{logins - 1} more: {took:.1f} s, {took / max(1, logins - 1) * 1000:.1f} ms each; most memory: {most:.1f} MB"
    )
    return 0 if most <= MOST else 1


def resident() -> float:
    """Of the one process that we started, at its largest, in MB."""
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            if "vaultd.keeper" in Path(f"/proc/{child}/cmdline").read_text():
                lines = Path(f"/proc/{child}/status").read_text().splitlines()
                return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    raise AssertionError("there is no keeper")


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)))
