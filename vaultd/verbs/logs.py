"""What the daemon has been saying: the lines of its file, else those of its memory, and what came since."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from vaultd.errors import Misconfigured, TryLater
from vaultd.house import House
from vaultd.net.log_file import Tail
from vaultd.net.logs import Form, journal_unit
from vaultd.net.recent import CAPACITY
from vaultd.verbs.arguments import flag, number, text

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
#: A file's last lines that are looked through: as many as the page of logs shows, and no more than an answer holds.
MOST: Final = 5000
BYTES: Final = 2 * 1024 * 1024
#: Farther than any daemon counts, and safely inside every integer.
_FAR: Final = 2**53


async def logs(house: House, args: Mapping[str, Any]) -> Any:
    """`lines`, `level`, `json`; with `after`, the number that the last answer ended with, only what came since.

    `source`: file or memory. `unit`: where the journal has more, as journalctl is asked for it.
    """
    lines = number(args, "lines", least=1, most=MOST) or MOST
    level = text(args, "level", LEVELS[0])
    if level not in LEVELS:
        raise Misconfigured(f"level is one of {', '.join(LEVELS)}")
    form: Form = "json" if flag(args, "json") else house.config.log_format
    after = number(args, "after", least=0, most=_FAR)
    told, file = house.recent.told, house.log_file
    answer = {"after": told, "unit": journal_unit(house.env) if file is None else "", "missed": 0}
    if file is not None and after is None and not flag(args, "json"):
        try:
            found: Tail = await asyncio.to_thread(file.tail, -1, MOST, BYTES)
        except OSError as error:
            raise TryLater(f"the log file cannot be read: {error.strerror}", own=True) from error
        return answer | {"lines": heard(found.lines, level)[-lines:], "source": "file"}
    if after is not None and after > told:  # of a daemon before this one, whose socket went on listening
        after = 0
    said = house.recent.since(after or 0)
    if after is not None:
        answer["missed"] = max(0, told - after - CAPACITY)
    wanted = [one.line(form) for one in said if LEVELS.index(one.level) >= LEVELS.index(level)]
    return answer | {"lines": wanted[-lines:], "source": "memory"}


def heard(lines: Iterable[str], level: str) -> list[str]:
    """Of lines in either form, those of this level and above it."""
    least = LEVELS.index(level)
    return [line for line in lines if _rank(line) >= least]


def _rank(line: str) -> int:
    """A line that says no level is somebody else's, a traceback's perhaps: never left out."""
    if line.startswith("{"):
        word = line.partition('"level":"')[2].partition('"')[0]
    else:
        word = line.partition(" ")[2].partition(" ")[0]
    return LEVELS.index(word) if word in LEVELS else len(LEVELS)
