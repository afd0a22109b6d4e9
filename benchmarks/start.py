"""How long `vaultd serve` takes from its exec to the first answer of /readyz, with 1,000 logins. Prints a table.

`CREDENTIALS=1000`, `ROUNDS=5`. Nothing is asserted here.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from many import machine, plant

from vaultd.sandbox import Sandbox

CREDENTIALS = int(os.environ.get("CREDENTIALS", "1000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
#: Seconds, with 1,000.
LIMIT = 2.0


def main() -> None:
    print(machine())
    print("| credentials | start to /readyz, s | best | CPU of the best, s | at most |\n|---|---|---|---|---|")
    for count in sorted({1, CREDENTIALS}):
        with tempfile.TemporaryDirectory(prefix="vaultd-start-") as name:
            env = asyncio.run(plant(Path(name) / "home", Sandbox(), count, expire_in=3000))
            runs = [once(env) for _ in range(ROUNDS)]
        shown = " ".join(f"{took:.2f}" for took, _ in runs)
        took, cpu = min(runs)
        print(f"| {count} | {shown} | {took:.2f} | {cpu:.2f} | {LIMIT} |", flush=True)


def once(env: dict[str, str]) -> tuple[float, float]:
    """Seconds on the wall, and of CPU."""
    before = _cpu()
    started = time.perf_counter()
    command = [sys.executable, "-m", "vaultd", "serve", "--port", "0"]
    daemon = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    assert daemon.stderr is not None
    line = next(line for line in daemon.stderr if "listening address=" in line)
    at = urlsplit(line.partition("address=")[2].split()[0])
    connection = http.client.HTTPConnection(str(at.hostname), at.port)
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    took = time.perf_counter() - started
    connection.close()
    daemon.kill()
    daemon.communicate()
    return took, _cpu() - before


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
