"""The request log: nothing unless it was asked for, then all that was said but the secrets, sealed, for a day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from managed import CLIENT_KEY, Managed, managed
from watching import watching

from vaultd.config.load import BODIES_KEPT, parse
from vaultd.work.request_note import KEPT, TRIES

#: In a question of somebody's, not in a key.
PROMPT = "a very private question"


def keys(sandbox: Any, *names: str) -> dict[str, Any]:
    bases = sandbox.key_bases()
    chat = {"name": "acme", "base-url": bases["openai"], "models": [{"name": "big"}]}
    entries = [{"api-key": f"sk-CANARY-{name}"} for name in names or ("one", "two")]
    claude = {"api-key": "sk-CANARY-three", "base-url": bases["claude-api-key"], "models": [{"name": "opus"}]}
    return {"openai-compatibility": [chat | {"api-key-entries": entries}], "claude-api-key": [claude]}


Start = Callable[..., Awaitable[Managed]]


@pytest.fixture
async def start(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Start]:
    async with AsyncExitStack() as stack:

        async def made(*, on: bool = True, by_hand: bool = False, names: tuple[str, ...] = ()) -> Managed:
            def config(sandbox: Any) -> dict[str, Any]:
                return keys(sandbox, *names) | {"request-log": on}

            return await stack.enter_async_context(managed(home, planted, by_hand=by_hand, config=config))

        yield made


async def says(here: Managed, path: str, body: Any, **headers: str) -> tuple[int, bytes]:
    named = {"Authorization": f"Bearer {CLIENT_KEY}", "Content-Type": "application/json"} | headers
    async with here.session.post(here.url + path, data=json.dumps(body), headers=named) as answer:
        return answer.status, await answer.read()


def chat(model: str, prompt: str = f"{PROMPT}: say hello-there please", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}]} | more


async def listed(here: Managed) -> list[dict[str, Any]]:
    await here.house.request_log.settled()
    rows: list[dict[str, Any]] = (await here.asks("GET", "/request-logs")).json["data"]
    return rows


async def newest(here: Managed) -> str:
    (row, *_) = await listed(here)
    told = await here.asks("GET", f"/request-logs/{row['name']}")
    assert told.headers["Content-Type"] == "text/plain; charset=utf-8"
    return told.text


def folder(here: Managed) -> Path:
    return here.house.places.state_dir / "requests"


def everything(here: Managed) -> bytes:
    return b"".join(file.read_bytes() for file in folder(here).iterdir())


async def test_thr_30_off_as_it_is_by_default_nothing_is_written(start: Start) -> None:
    here = await start(on=False)
    await says(here, "/v1/chat/completions", chat("big"))
    assert await listed(here) == [] and not folder(here).exists()
    assert (await here.asks("GET", "/request-logs")).json["on"] is False
    assert not any("request-log" in line for line in here.house.warnings)
    state = b"".join(file.read_bytes() for file in here.house.places.state_dir.rglob("*") if file.is_file())
    assert PROMPT.encode() not in state


async def test_thr_30_a_request_can_be_read_by_its_operator_and_by_nobody_on_the_disk(start: Start) -> None:
    here = await start()
    status, answer = await says(here, "/v1/chat/completions?key=CANARY", chat("big"), **{"X-Api-Key": CLIENT_KEY})
    assert status == 200
    (row,) = await listed(here)
    (file,) = folder(here).iterdir()
    assert row["bytes"] == file.stat().st_size and file.stat().st_mode & 0o777 == 0o600
    assert (row["endpoint"], row["model"], row["status"]) == ("POST /v1/chat/completions", "big", 200)
    assert row["credential"] in here.house.pool.roster(here.house)
    for word in (PROMPT.encode(), b"hello-there", b"CANARY"):
        assert word not in everything(here)
    text = await newest(here)
    assert text.count(PROMPT) == 2, "what the client asked, and what the vendor was asked"
    assert text.count("hello-there") == 4 and answer.decode() in text
    assert f"client key: {here.house.clients.list()[0].id}" in text
    assert "\nAuthorization: ***\n" in text and "\nX-Api-Key: ***\n" in text and "CANARY" not in text
    assert f"POST {here.sandbox.key_bases()['openai']}/chat/completions" in text


async def test_a_stream_and_a_translation_are_kept_as_each_side_heard_them(start: Start) -> None:
    here = await start()
    _, streamed = await says(here, "/v1/chat/completions", chat("big", stream=True))
    text = await newest(here)
    assert "=== the client was told 200\ncontent-type: text/event-stream" in text
    assert all(f"  {line}" in text for line in streamed.decode().splitlines() if line)
    _, translated = await says(here, "/v1/chat/completions", chat("opus", stream=True))
    text = await newest(here)
    assert "event: content_block_delta" in text and "chat.completion.chunk" in text
    assert text.index("event: content_block_delta") < text.index("=== the client was told 200")
    assert "CANARY" not in text and PROMPT.encode() not in everything(here) and translated


async def test_so_is_what_was_said_over_a_websocket(start: Start) -> None:
    here = await start()
    asked = {"type": "response.create", "model": "opus", "input": [{"role": "user", "content": PROMPT}]}
    headers = {"Authorization": f"Bearer {CLIENT_KEY}"}
    async with here.session.ws_connect(f"{here.url}/v1/responses", headers=headers) as socket:
        await socket.send_json(asked)
        while (await socket.receive_json())["type"] != "response.completed":
            pass
    text = await newest(here)
    assert "endpoint: GET /v1/responses" in text and "event: response.completed" in text
    assert text.count(PROMPT) >= 2 and "CANARY" not in text


async def test_each_try_is_told_with_what_became_of_it(start: Start) -> None:
    here = await start()
    here.sandbox.fault("invented", at="llm", do="status", status=503, body='{"error":{"message":"overloaded"}}')
    here.sandbox.fault("invented", at="llm", do="cut", times=0)
    await says(here, "/v1/chat/completions", chat("big"))
    text = await newest(here)
    assert text.count("=== try ") == 4, "two, each with its answer"
    assert "=== try 1 was answered with 503" in text and "overloaded" in text
    assert "in vain: " in text and "CANARY" not in text


async def test_what_is_refused_and_who_hung_up_is_told_too(start: Start) -> None:
    here = await start()
    await says(here, "/v1/chat/completions", chat("no-such-model"))
    text = await newest(here)
    assert "status: 404" in text and "told: " in text and PROMPT in text
    here.sandbox.fault("invented", at="llm", do="hang")
    asking = asyncio.ensure_future(says(here, "/v1/chat/completions", chat("big")))  # noqa: TID251 - the test's own
    async with watching(here, "requests") as page:
        while not any(row["credential"] for row in (await page.hears("requests"))["running"]):
            pass
        asking.cancel()
        while (await page.hears("requests"))["running"]:
            pass
    assert "told: the client hung up" in await newest(here)
    here.sandbox["invented"].released.set()


async def test_thr_30_a_secret_in_a_question_is_left_out_also_where_it_is_cut(start: Start) -> None:
    here = await start()
    secret = "sk-CANARY-one"
    filler = "x" * (KEPT - len('{"model": "big", "messages": [{"role": "user", "content": "') - 6)
    await says(here, "/v1/chat/completions", chat("big", f"{filler}{secret} and {secret}"))
    text = await newest(here)
    assert "CANARY" not in text and "sk-CAN" not in text
    assert text.count(f"[cut: {KEPT} of ") >= 2
    assert max(map(len, text.splitlines())) == KEPT + len("  ")
    await says(
        here, "/v1/chat/completions", chat("big", json.dumps({"password": "CANARY", "key": secret, "CANARY": 1}))
    )
    text = await newest(here)
    assert text.count("CANARY") == text.count('\\"CANARY\\": 1') > 0, "only what is no secret"


async def test_thr_29_what_is_said_cannot_look_like_the_log_or_steer_a_terminal(start: Start) -> None:
    here = await start()
    said = "sorry\n=== try 9\n\x1b[2J\u202e\u2028=== try 9\r=== try 9"
    here.sandbox.fault("invented", at="llm", do="answer", status=400, content_type="text/plain", body=said)
    await says(here, "/v1/chat/completions", chat("big"))
    text = await newest(here)
    assert "\n  === try 9\n  \\x1b[2J\\u202e\\u2028=== try 9\\r=== try 9\n" in text
    assert "\x1b" not in text and "\n=== try 9" not in text and len(text.splitlines()) == text.count("\n") + 1


async def test_they_are_deleted_one_by_one_or_all_at_once(start: Start) -> None:
    here = await start()
    for _ in range(3):
        await says(here, "/v1/chat/completions", chat("big"))
    first, *rest = [row["name"] for row in await listed(here)]
    assert (await here.asks("DELETE", f"/request-logs/{first}")).json == {"status": "ok"}
    for method in ("DELETE", "GET"):
        gone = await here.asks(method, f"/request-logs/{first}")
        assert (gone.status, gone.json["error"]) == (404, "file not found")
    assert [row["name"] for row in await listed(here)] == rest
    assert (await here.asks("DELETE", "/request-logs")).json == {"removed": 2}
    assert list(folder(here).iterdir()) == []


@pytest.mark.parametrize("name", ["..%2f..%2fauth", "%2e%2e", "1790000000000-00000g", "x.json", ""])
async def test_no_other_file_is_reached_by_their_names(start: Start, name: str) -> None:
    here = await start()
    assert (await here.asks("GET", f"/request-logs/{name}")).status in {404, 405, 200 if not name else 404}


async def test_thr_30_it_is_turned_on_and_off_as_it_runs_and_whoever_looks_is_told(start: Start) -> None:
    warnings: list[str] = []
    parse("request-log: true", "a file", warnings)
    assert warnings == [BODIES_KEPT], "as `vaultd config check` says"
    here = await start(on=False, by_hand=True)
    path = here.house.places.config_file
    assert path is not None
    for on in (True, False):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"request-log": on}))
        await here.house.reload("a test")
        await says(here, "/v1/chat/completions", chat("big"))
        assert (await here.asks("GET", "/request-logs")).json["on"] is on
        assert len(await listed(here)) == 1, "what was kept stays when no more is"
        told = [line for line in here.house.warnings if line.startswith("request-log is on")]
        assert [("since 2026-09-2" in line and str(folder(here)) in line) for line in told] == [True] * on


async def test_thr_30_after_a_day_they_are_gone_whether_it_is_still_on_or_not(start: Start) -> None:
    here = await start(by_hand=True)
    assert here.clock is not None
    await says(here, "/v1/chat/completions", chat("big"))
    assert len(await listed(here)) == 1
    here.house.request_log.turn(False)
    sweeping = asyncio.ensure_future(here.house.request_log.forever())  # noqa: TID251 - the test's own
    await here.clock.to_next()
    assert len(await listed(here)) == 1
    here.clock.advance(86_400)
    while list(folder(here).iterdir()):
        await here.clock.to_next()
    sweeping.cancel()


async def test_of_a_request_tried_very_often_the_first_tries_are_kept(start: Start) -> None:
    here = await start(names=tuple(f"key-{number}" for number in range(TRIES + 3)))
    here.sandbox.fault("invented", at="llm", do="status", status=500, body="{}", times=0)
    await says(here, "/v1/chat/completions", chat("big"))
    text = await newest(here)
    assert f"=== try {TRIES}: " in text and f"=== try {TRIES + 1}: " not in text
    assert "=== 3 more tries, not kept" in text


async def test_a_folder_that_takes_nothing_costs_no_request_anything_and_is_told_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    here = await start()
    folder(here).write_text("in the way")
    for _ in range(3):
        assert (await says(here, "/v1/chat/completions", chat("big")))[0] == 200
    await here.house.request_log.settled()
    assert [record.message for record in caplog.records].count("a request was not kept") == 1
    assert PROMPT not in caplog.text
    for on in (False, True):
        assert (await here.asks("PUT", "/request-log", {"value": on})).status == 200
    assert (await here.asks("GET", "/request-logs")).json == {"data": [], "on": True}
