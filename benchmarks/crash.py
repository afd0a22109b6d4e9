"""The long form of `tests/crash`: kills by the thousand, every system call struck, power cuts. Prints tables.

`KILLS` of each kind (2000); `CRASH_DIR` (.crash) keeps what was done, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS / part) for part in ("crash", "work", "parts")]

from campaign import Campaign, table  # noqa: E402  - the harness stands with the tests


def main() -> None:
    folder = Path(os.environ.get("CRASH_DIR", ".crash")).absolute()
    kills = int(os.environ.get("KILLS", "2000"))
    campaign = Campaign(folder, lambda line: print(line, flush=True))
    try:
        for mode in ("daemon", "everything"):
            asyncio.run(campaign.run(mode, kills))
    except KeyboardInterrupt:
        print(f"\nbroken off; the same command goes on from {folder}")
    print(table(campaign.state))
    if any(tally.failures for tally in campaign.state.modes.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
