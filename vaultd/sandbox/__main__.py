"""`python -m vaultd.sandbox --port N [--lifetime S]`: one JSON line on stdout, then serves until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import msgspec

from vaultd.sandbox import Sandbox


async def serve(port: int, lifetime: float | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Sandbox(port=port, access_seconds=lifetime) as sandbox:
        line = msgspec.json.encode({"url": sandbox.url, "other_url": sandbox.other_url, "overlay": sandbox.overlay()})
        sys.stdout.write(line.decode() + "\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m vaultd.sandbox", description="A pretend vendor on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--lifetime", type=float, help="seconds every vendor's access tokens live")
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.lifetime))


if __name__ == "__main__":
    main()
