"""What a page sees that watches, and what nobody pays for who does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from desk import login
from managed import BASE, KEY, Managed, managed
from watching import watching

from vaultd.work.live import WATCHERS, Live
from vaultd.work.story import Story


def keys(sandbox: Any) -> dict[str, Any]:
    where = {"name": "acme", "base-url": sandbox.key_bases()["openai"], "models": [{"name": "big"}]}
    return {"openai-compatibility": [where | {"api-key-entries": [{"api-key": "sk-CANARY-one"}]}]}


@pytest.fixture
async def here(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    async with managed(home, planted, config=keys) as one:
        yield one


async def test_a_request_is_seen_under_way_and_how_it_ended(here: Managed) -> None:
    here.sandbox.fault("invented", at="llm", do="hang")
    async with watching(here, "requests") as page:
        assert await page.hears("requests") == {"running": [], "ended": []}
        asking = asyncio.ensure_future(here.chats("big"))  # noqa: TID251 - the test's own
        seen: dict[str, Any] = {"running": []}
        while not seen["running"] or not seen["running"][0]["credential"]:
            seen = await page.hears("requests")
        (row,) = seen["running"]
        (credential,) = here.house.pool.roster(here.house)
        assert row | {"at": 0, "seconds": 0} == {
            "n": 1,
            "at": 0,
            "endpoint": "POST /v1/chat/completions",
            "format": "openai-chat",
            "client": here.house.clients.list()[0].id,
            "provider": "acme",
            "credential": credential,
            "model": "big",
            "asked": "big",
            "stream": False,
            "seconds": 0,
        }
        here.sandbox["invented"].released.set()
        ended = await page.hears("requests")
        await asking
        while not ended["ended"]:
            ended = await page.hears("requests")
        assert (ended["running"], [one["n"] for one in ended["ended"]]) == ([], [1])
        assert ended["ended"][0]["status"] == 200 and ended["ended"][0]["output"] > 0
    async with watching(here, "requests") as late:
        assert [one["n"] for one in (await late.hears("requests"))["ended"]] == [1], "who comes later sees it too"


async def test_log_lines_credentials_and_usage_come_as_they_change(here: Managed) -> None:
    logger = logging.getLogger("vaultd")
    level = logger.level
    logger.addHandler(here.house.recent)
    logger.setLevel(logging.INFO)
    try:
        here.sandbox.exhaust("invented", seconds=600)
        (credential,) = here.house.pool.roster(here.house)
        async with watching(here) as page:
            await here.chats("big")
            heard = {}
            while heard.keys() < {"log", "credentials", "usage", "requests"}:
                name, data = await page.next()
                heard[name] = data
        assert heard["credentials"] == {"changed": [credential]}, "it rests"
        assert heard["usage"] == {}
        assert heard["log"]["level"] == "info" and heard["log"]["text"] == "relayed"
        assert heard["log"]["fields"]["status"] == 429
    finally:
        logger.removeHandler(here.house.recent)
        logger.setLevel(level)


async def test_a_sign_in_is_told_by_its_state_when_it_begins_and_when_it_ends(here: Managed) -> None:
    async with watching(here, "sign-ins,credentials") as page:
        sign = (await here.asks("POST", "/sign-ins", {"provider": "claude", "way": "paste-page"})).json
        assert await page.hears("sign-ins") == {"changed": [sign["state"]]}
        await here.asks("DELETE", f"/sign-ins/{sign['state']}")
        assert await page.hears("sign-ins") == {"changed": [sign["state"]]}


async def test_a_login_is_told_by_its_id_when_it_comes_when_it_changes_and_when_it_goes(here: Managed) -> None:
    async with watching(here, "credentials") as page:
        owner = here.house.owner
        ann = await owner.settle(login(here.sandbox, "claude", "ann@example.com", here.house.clock.now()))
        assert await page.hears("credentials") == {"changed": [ann.id]}
        async with owner.leased(ann.id) as lease:
            assert lease.current is not None
            settings = replace(lease.current.settings, disabled=True)
            await lease.put(replace(lease.current, settings=settings))
        assert await page.hears("credentials") == {"changed": [ann.id]}
        async with owner.leased(ann.id) as lease:
            await lease.remove()
        assert await page.hears("credentials") == {"changed": [ann.id]}


async def test_there_is_no_stream_without_the_key_and_none_of_an_unknown_topic(here: Managed) -> None:
    async with here.session.get(f"{here.url}{BASE}/events") as answer:
        assert answer.status == 401
    told = await here.asks("GET", "/events?topics=requests,secrets")
    assert (told.status, told.json["error"]) == (400, "invalid query")
    assert "requests, log, credentials, usage, sign-ins" in told.json["message"]


async def test_one_watcher_too_many_is_told_to_come_back(here: Managed) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        here.session, usual = session, here.session
        pages = [watching(here) for _ in range(WATCHERS)]
        for page in pages:
            await page.__aenter__()
        told = await here.asks("GET", "/events")
        assert (told.status, told.headers["Retry-After"]) == (503, "15")
        for page in pages:
            await page.__aexit__(None, None, None)
        here.session = usual
    while (await here.asks("GET", "/events?topics=none")).status != 400:
        pass
    async with watching(here, "usage"):
        pass


async def test_who_watches_is_let_go_when_the_daemon_stops(here: Managed) -> None:
    async with watching(here) as page:
        here.house.draining.set()
        await page.answer.content.read()
        assert page.answer.content.at_eof()


async def test_a_watcher_who_does_not_read_is_dropped_and_nothing_is_kept_for_him(here: Managed) -> None:
    here.house.live.patience = 0.2
    fields = {"reason": "x" * 8000}
    reader, writer = await asyncio.open_connection(*here.url.removeprefix("http://").split(":"), limit=1024)
    request = f"GET {BASE}/events?topics=log HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    writer.write(request.encode())
    await reader.readuntil(b"\r\n\r\n")
    while here.house.live.watchers:
        for _ in range(100):
            here.house.recent.handle(logging.makeLogRecord({"msg": "much", "levelno": 20, **fields}))
        await asyncio.sleep(0)
    writer.transport.abort()


def test_of_many_requests_the_last_fifty_that_ended_are_known() -> None:
    live = Live()
    stories = [Story(asked=str(number)) for number in range(120)]
    for story in stories:
        live.begin(story)
    assert [told.n for told in live.running()] == list(range(1, 121))
    for story in stories:
        live.end(story)
        live.end(story)
    assert (live.over, live.running()) == (120, ())
    assert [told.n for told in live.ended()] == list(range(71, 121))
    assert [told.n for told in live.ended(118)] == [119, 120]
    assert live.ended(120) == []
