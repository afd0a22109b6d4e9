"""How `make test` spreads the suite over two processes: which tests share one, in what order, and which come last.

A file is never split, so that what a module shares is started once; nor are the tests in the browser. Tests in two
lanes meet at nothing that the machine has only once: they have homes and ports of their own (`ports.py`), and those
that need the vendors' own callback ports are in one file. The search for secrets is the last of all: its lane waits
until the other has ended (`everything_is_written`), for it searches what both wrote.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from xdist.scheduler import LoadScopeScheduling

LAST = "test_canary.py"

#: In this order, before all others: a long file begun late would leave one lane idle.
LONGEST = (
    "clients/",
    "package/",
    "health/",
    "stories/",
    "crash/",
    "keeper/",
    "browser/",
    "cli/",
    "conformance/",
    "vault/",
    "work/",
)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")


def place(nodeid: str) -> int:
    """Where in the order of all tests."""
    file = _file(nodeid)
    if file == LAST:
        return len(LONGEST) + 1
    return next((i for i, start in enumerate(LONGEST) if file.startswith(start)), len(LONGEST))


class Lanes(LoadScopeScheduling):
    """xdist's: a worker with little left to do is given the next unit of the queue."""

    def __init__(self, config: Any, log: Any = None) -> None:
        config.option.loadscopereorder = False  # ours is the order
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return "browser" if file.startswith("browser/") else file


def begins(base: str) -> Callable[[], None]:
    """A process of the suite says that it writes below this folder. What it calls when it has ended."""
    lane = os.open(f"{base}.lane", os.O_WRONLY | os.O_CREAT, 0o600)
    fcntl.flock(lane, fcntl.LOCK_EX)
    return lambda: os.close(lane)


def everything_is_written(base: Path) -> Path:
    """Waits for the other processes, however they end. The folder beneath which all of them wrote."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return base
    for lane in base.parent.glob("*.lane"):
        if lane.stem != base.name:
            with lane.open() as other:
                fcntl.flock(other, fcntl.LOCK_SH)
    return base.parent
