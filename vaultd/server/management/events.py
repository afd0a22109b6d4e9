"""What happens, as it happens: one stream for a page that watches (server-sent events, HTML standard §9.2).

Nothing is sent here by whoever does something: while somebody watches, each watcher looks for himself twice a second at
what the owners know. So nobody who works waits for a watcher, no queue grows for one, and what a slow one missed is
gone. A page reads it by fetch, for `EventSource` can send no key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from vaultd.house import House
from vaultd.pool.explain import at
from vaultd.server.management.route import Call, Query, Refused, Route
from vaultd.vault.credential import Credential
from vaultd.work.live import Numbered

#: People see no more in a second, and each look costs what the table of requests costs.
_EVERY: Final = 0.5
#: Proxies close a connection on which nothing comes for a minute (nginx's proxy_read_timeout).
_BEAT: Final = 15.0
#: Lines told at once; of more in half a second nobody reads each, and all are in the log.
_LINES: Final = 200
_COMMENT: Final = b": here\n\n"
#: nginx keeps back what it passes on until so much is there, unless an answer says otherwise.
HEADERS: Final = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}

_encode: Final = msgspec.json.Encoder().encode

#: What is new since it was asked last.
Look = Callable[[], Iterator[Any]]


class Running(msgspec.Struct):
    """A request under way. `at`: RFC 3339; `seconds`: since it began. Ids, never a key."""

    n: int
    at: str
    endpoint: str
    format: str
    client: str
    provider: str
    credential: str
    model: str
    asked: str
    stream: bool
    seconds: float


class Ended(Running):
    """One that has ended, and how. Tokens are null where the vendor stated none."""

    status: int
    refused: str
    input: int | None
    output: int | None


class Requests(msgspec.Struct):
    running: list[Running]
    ended: list[Ended]


class Changed(msgspec.Struct):
    """Ids of what is another than before."""

    changed: list[str]


async def watch(call: Call) -> web.StreamResponse:
    house = call.house
    topics = [topic for topic in (call.query.get("topics") or ",".join(_LOOKS)).split(",") if topic]
    if unknown := [topic for topic in topics if topic not in _LOOKS]:
        raise Refused(
            400, "invalid query", message=f"no such topic: {unknown[0][:40]!r}; there are {', '.join(_LOOKS)}"
        )
    with house.live.watched():
        looks = {topic: _LOOKS[topic](house) for topic in topics}
        response = web.StreamResponse(headers=HEADERS)
        await response.prepare(call.request)
        try:
            await _tell(house, looks, response)
        except TimeoutError:
            if call.request.transport is not None:
                call.request.transport.abort()
        return response


async def _tell(house: House, looks: Mapping[str, Look], response: web.StreamResponse) -> None:
    """Until the daemon stops. Raises TimeoutError where the watcher does not read; ends with his connection."""
    now = asyncio.get_running_loop().time
    told, out = now(), _COMMENT
    while not house.draining.is_set():
        out += b"".join(_event(topic, data) for topic, look in looks.items() for data in look())
        if out:
            async with asyncio.timeout(house.live.patience):
                await response.write(out)
            told = now()
        await asyncio.sleep(_EVERY)
        out = _COMMENT if now() - told >= _BEAT else b""


def _event(topic: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (topic.encode(), _encode(data))


# --- one look for each topic: begun when somebody begins to watch -----------------------------------------------------


def _requests(house: House) -> Look:
    live = house.live
    seen, before = 0, None

    def look() -> Iterator[Requests]:
        nonlocal seen, before
        running = live.running()
        now = [(told.n, told.story.credential, told.story.model, told.story.status) for told in running]
        if now != before or live.over != seen:
            ended = live.ended(seen)
            seen, before = live.over, now
            yield Requests(
                [Running(**_facts(told, time.monotonic())) for told in running], [_ended(told) for told in ended]
            )

    return look


def _ended(told: Numbered) -> Ended:
    story = told.story
    usage = story.usage
    spent = {"input": usage.input, "output": usage.output} if usage is not None else {"input": None, "output": None}
    return Ended(**_facts(told, story.ended), status=story.status, refused=story.refused, **spent)


def _facts(told: Numbered, now: float) -> dict[str, Any]:
    story = told.story
    return {
        "n": told.n,
        "at": at(story.at),
        "endpoint": story.endpoint,
        "format": story.format,
        "client": story.client,
        "provider": story.provider,
        "credential": story.credential,
        "model": story.model,
        "asked": story.asked,
        "stream": story.stream,
        "seconds": round(now - story.began, 3),
    }


def _log(house: House) -> Look:
    recent = house.recent
    seen = recent.told

    def look() -> Iterator[Any]:
        nonlocal seen
        before, seen = seen, recent.told
        yield from recent.since(before, _LINES)

    return look


def _credentials(house: House) -> Look:
    """Those that were replaced, and those that rest or do so no more."""
    state, roster = house.pool.state, house.pool.roster
    seen, before = state.moved, roster(house)

    def look() -> Iterator[Changed]:
        nonlocal seen, before
        state.advance(house.clock.boot())
        moves, seen = state.moves(seen), state.moved
        now = roster(house)
        changed = set(now) if moves is None else {credential for credential, _ in moves}
        if now is not before:
            changed |= _replaced(before, now)
            before = now
        if changed:
            yield Changed(sorted(changed))

    return look


def _replaced(old: Mapping[str, Credential], new: Mapping[str, Credential]) -> set[str]:
    return {id_ for id_ in {*old, *new} if old.get(id_) is not new.get(id_)}


def _usage(house: House) -> Look:
    live = house.live
    seen = live.over

    def look() -> Iterator[dict[str, Any]]:
        nonlocal seen
        if live.over != seen:
            seen = live.over
            yield {}

    return look


def _sign_ins(house: House) -> Look:
    def facts() -> dict[str, Any]:
        return {
            one.state: (one.status, one.url, one.user_code, one.listening, len(one.notes), one.error, one.question)
            for one in house.sign_ins.all()
        }

    before = facts()

    def look() -> Iterator[Changed]:
        nonlocal before
        old, before = before, facts()
        if changed := sorted(state for state in {*old, *before} if old.get(state) != before.get(state)):
            yield Changed(changed)

    return look


_LOOKS: Final[Mapping[str, Callable[[House], Look]]] = {
    "requests": _requests,
    "log": _log,
    "credentials": _credentials,
    "usage": _usage,
    "sign-ins": _sign_ins,
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET",
        "/events",
        watch,
        "What happens, as it happens: server-sent events, two of a topic a second. Who does not read is dropped.",
        "events",
        query=(Query("topics", f"Some of {', '.join(_LOOKS)}, with commas; all where nothing is said."),),
        answers=bytes,
        gives="text/event-stream",
        also={503: "as many watch as may"},
    ),
)
