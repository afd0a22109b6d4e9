"""The long form of `tests/crash`: kills by the thousand, every system call struck, power cuts. Prints tables.

`KILLS` of each kind (2000) and `CUTS` (300); `CRASH_DIR` (.crash) keeps which kills were made and what came of them, so
that an interrupted run goes on where it was. What needs strace or a mount says so where it is not to be had.
"""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / part) for part in ("crash", "work", "parts")]

import simulated  # noqa: E402  - the harness stands with the tests
import strikes  # noqa: E402
from campaign import Campaign, table  # noqa: E402
from cuts import Disk, Refused, may_mount  # noqa: E402
from processes import Processes  # noqa: E402


def main() -> None:
    folder = Path(os.environ.get("CRASH_DIR", ".crash")).absolute()
    kills, cuts = int(os.environ.get("KILLS", "2000")), int(os.environ.get("CUTS", "300"))
    print(f"{platform.platform()}, {os.cpu_count()} cores\n")
    campaign = Campaign(folder, lambda line: print(line, flush=True))
    try:
        for mode in ("daemon", "everything", "keeper"):
            asyncio.run(campaign.run(mode, kills))
        print(table(campaign.state), end="\n\n")
        good = not any(tally.failures for tally in campaign.state.modes.values())
        good &= asyncio.run(struck())
        good &= asyncio.run(unplugged(cuts, forgetful=False)) == 0
        print("\nand the same where nothing but the credential's own file is synced, which must lose:")
        good &= asyncio.run(unplugged(60, forgetful=True)) != 0
    except KeyboardInterrupt:
        print(f"\n{table(campaign.state)}\nbroken off; the same command goes on from {folder}")
        sys.exit(130)
    sys.exit(0 if good else 1)


async def struck() -> bool:
    """Every call × every fault, once and from there on for ever. Whether all was well."""
    if shutil.which("strace") is None:
        print("no system call is struck: strace is not installed")
        return True
    with tempfile.TemporaryDirectory(prefix="vaultd-strikes-") as name:
        async with Processes() as processes:
            range_ = strikes.Range(Path(name), processes)
            await range_.open()
            outcomes = await range_.strike_all(strikes.every(await range_.calls(), ever=True))
            disks, lost = await simulated.cuts(range_)
    print(strikes.table(outcomes))
    print(f"\n{disks} different disks that POSIX lets a power cut in a renewal leave: {len(lost)} wrong")
    for why in lost:
        print(f"WRONG {why}")
    wrong = [outcome for outcome in outcomes if outcome.wrong]
    for outcome in wrong:
        print(f"WRONG {outcome.strike.told}: {outcome.found}: {outcome.wrong}")
    return not wrong and not lost


async def unplugged(cuts: int, *, forgetful: bool) -> int:
    """How many of so many power cuts lost something: where none can be made, as many as should have."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    started, wrong, newer = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="vaultd-cuts-", dir=memory) as name:
        try:
            await may_mount(Path(name))
        except Refused as refused:
            print(f"no plug is pulled: {refused}")
            return int(forgetful)
        async with Processes() as processes:
            disk = Disk(Path(name), "disk", processes, forgetful=forgetful)
            await disk.open()
            try:
                for index in range(cuts):
                    cut = await disk.cut(index, "unplugged")
                    newer += cut.found > cut.acknowledged
                    wrong += bool(cut.wrong)
                    if cut.wrong and not forgetful:
                        print(f"WRONG {cut}", flush=True)
            finally:
                await disk.close()
    print(
        f"{cuts} power cuts (ext4 on a loop device) in {time.monotonic() - started:.0f} s: {wrong} lost something"
        f" acknowledged or were unreadable, {newer} were a renewal further than acknowledged"
    )
    return wrong


if __name__ == "__main__":
    main()
