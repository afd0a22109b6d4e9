"""The log as it is in its file and in memory, and the requests that were kept."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from vaultd.net.recent import CAPACITY, Said
from vaultd.server.management.route import Call, Done, Query, Refused, Reply, Route
from vaultd.vault.request_files import FILES, NAME
from vaultd.work.request_log import Entry

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


class Removed(msgspec.Struct):
    removed: Annotated[int, Meta(ge=0)]


class Requests(msgspec.Struct):
    """Newest first. `on`: whether more are kept."""

    data: list[Entry]
    on: bool


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


async def requests(call: Call) -> Requests:
    log = call.house.request_log
    return Requests(await log.entries(), log.on)


async def request(call: Call) -> Reply:
    try:
        text = await call.house.request_log.text(call.path["name"])
    except OSError as error:
        raise Refused(500, f"failed to read the request: {error.strerror}") from None
    if text is None:
        raise Refused(404, "file not found")
    return Reply(text.encode(), content_type="text/plain; charset=utf-8")


async def remove(call: Call) -> Done:
    if not await call.house.request_log.remove(call.path["name"]):
        raise Refused(404, "file not found")
    return Done()


async def remove_all(call: Call) -> Removed:
    return Removed(await call.house.request_log.remove_all())


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
    Route(
        "GET",
        "/request-logs",
        requests,
        f"The requests that were kept (`request-log`), newest first; {FILES} of the last day at most.",
        "logs",
        answers=Requests,
    ),
    Route("DELETE", "/request-logs", remove_all, "Deletes all requests that were kept.", "logs", answers=Removed),
    Route(
        "GET",
        f"/request-logs/{{name:{NAME.pattern}}}",
        request,
        "One request that was kept, as text, secrets left out.",
        "logs",
        answers=bytes,
        gives="text/plain",
        also={500: "the file cannot be read"},
        hands_out=True,
    ),
    Route(
        "DELETE",
        f"/request-logs/{{name:{NAME.pattern}}}",
        remove,
        "Deletes one request that was kept.",
        "logs",
    ),
)
