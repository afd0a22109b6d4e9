"""The log as it is in its file and in memory."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from vaultd.net.recent import CAPACITY, Said
from vaultd.server.management.route import Call, Query, Refused, Route

#: What one answer holds of the file: more than anybody reads at once, and a page shows it without a pause.
_LINES: Final = 5000
_BYTES: Final = 2 * 1024 * 1024

_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
#: Lines of memory in one answer, where the caller says nothing: a screenful or ten.
_USUAL: Final = 500


class Tail(msgspec.Struct, rename="kebab"):
    """As CLIProxyAPI answers."""

    lines: list[str]
    line_count: int
    latest_timestamp: int


class Cleared(msgspec.Struct):
    success: bool
    message: str
    removed: Annotated[int, Meta(ge=0)]


class Lines(msgspec.Struct):
    """Oldest first. `capacity`: how many are kept at most."""

    lines: list[Said]
    capacity: int


async def tail(call: Call) -> Tail:
    file = call.house.log_file
    if file is None:
        raise Refused(400, "logging to file disabled")
    after = int(call.query.get("after") or 0)
    try:
        found = await asyncio.to_thread(file.tail, after, _LINES, _BYTES)
    except OSError as error:
        raise Refused(500, f"failed to read logs: {error.strerror}") from None
    return Tail(found.lines, len(found.lines), found.latest)


async def clear(call: Call) -> Cleared:
    file = call.house.log_file
    if file is None:
        raise Refused(400, "logging to file disabled")
    try:
        removed = await asyncio.to_thread(file.clear)
    except OSError as error:
        raise Refused(500, f"failed to clear logs: {error.strerror}") from None
    return Cleared(True, "Logs cleared successfully", removed)


async def lines(call: Call) -> Lines:
    most = min(max(int(call.query.get("limit") or _USUAL), 0), CAPACITY)
    level, words = call.query.get("level") or _LEVELS[0], (call.query.get("grep") or "").lower()
    heard = frozenset(_LEVELS[_LEVELS.index(level) :])
    # Not in a thread: what is known to be secret changes on the loop.
    found = [said for said in call.house.recent.since(0) if said.level in heard and (not words or _holds(said, words))]
    return Lines(found[-most:] if most else [], CAPACITY)


def _holds(said: Said, words: str) -> bool:
    return words in said.text.lower() or any(words in str(value).lower() for value in said.fields.values())


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/logs",
        tail,
        f"The log file's last lines, at most {_LINES} and {_BYTES // 2**20} MiB, oldest first.",
        "logs",
        query=(Query("after", "Only lines of later seconds than this one, in unix time.", "integer"),),
        answers=Tail,
        also={400: "`logging-to-file` is off", 500: "the file cannot be read"},
        theirs=True,
    ),
    Route(
        "DELETE",
        "/logs",
        clear,
        "Empties the log file and removes the older ones.",
        "logs",
        answers=Cleared,
        also={400: "`logging-to-file` is off", 500: "the file cannot be emptied"},
        theirs=True,
    ),
    Route(
        "GET",
        "/log-lines",
        lines,
        f"The log's last lines in their parts, wherever the log goes; {CAPACITY} are kept in memory.",
        "logs",
        query=(
            Query("limit", f"How many, {_USUAL} where nothing is said.", "integer"),
            Query("level", "This level and those above it.", choices=_LEVELS),
            Query("grep", "Words that stand in the line, in any case."),
        ),
        answers=Lines,
    ),
)
