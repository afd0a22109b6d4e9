"""One question to one model, from the page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from managed import BASE, KEY, Managed, Told, managed
from watching import watching


def keys(sandbox: Any) -> dict[str, Any]:
    bases = sandbox.key_bases()
    chat = {"name": "acme", "base-url": bases["openai"], "models": [{"name": "big"}]}
    return {
        "openai-compatibility": [chat | {"api-key-entries": [{"api-key": "sk-CANARY-one"}]}],
        "claude-api-key": [
            {"api-key": "sk-CANARY-two", "base-url": bases["claude-api-key"], "models": [{"name": "opus"}]}
        ],
    }


@pytest.fixture
async def here(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    async with managed(home, planted, config=keys) as one:
        yield one


def heard(told: Told) -> list[tuple[str, Any]]:
    frames = [frame for frame in told.text.split("\n\n") if frame.startswith("event: ")]
    parts = [frame.removeprefix("event: ").partition("\ndata: ") for frame in frames]
    return [(name, json.loads(data)) for name, _, data in parts]


@pytest.mark.parametrize(("model", "provider"), [("big", "acme"), ("opus", "claude-api-key")])
async def test_who_serves_is_told_then_the_answer_then_what_it_cost(here: Managed, model: str, provider: str) -> None:
    """Whether the vendor speaks chat or is translated."""
    (credential,) = [one.id for one in here.house.pool.roster(here.house).values() if one.provider == provider]
    told = await here.asks("POST", "/try", {"model": model, "prompt": "say hello-there please", "max_tokens": 100})
    assert (told.status, told.headers["Content-Type"]) == (200, "text/event-stream")
    (first, *middle, (last, done)) = heard(told)
    assert first == ("served", {"provider": provider, "credential": credential, "model": model})
    assert "hello-there" in "".join(data["text"] for name, data in middle if name == "text")
    assert last == "done" and done["status"] == 200 and done["usage"]["output"] > 0
    assert 0 <= done["first"] <= done["seconds"]
    ((_, story),) = here.house.live.ended()
    assert (story.client, story.endpoint) == ("panel", "POST /v0/management/try")


async def test_a_refusal_is_told_in_words(here: Managed) -> None:
    nobody = heard(await here.asks("POST", "/try", {"model": "no-such", "prompt": "hello"}))
    assert [name for name, _ in nobody] == ["error", "done"]
    assert "no-such" in nobody[0][1]["message"] and nobody[1][1]["status"] == 404
    here.sandbox.exhaust("invented", seconds=600)
    vendors = heard(await here.asks("POST", "/try", {"model": "big", "prompt": "hello"}))
    assert [name for name, _ in vendors] == ["error", "done"]
    assert "Rate limit reached" in vendors[0][1]["message"] and vendors[1][1]["status"] == 429


async def test_an_answer_that_breaks_off_says_so_after_what_came(here: Managed) -> None:
    here.sandbox.fault("invented", at="llm", do="cut-stream", after_events=2)
    told = heard(await here.asks("POST", "/try", {"model": "big", "prompt": "say hello-there please"}))
    names = [name for name, _ in told]
    assert names[0] == "served" and names[-2:] == ["error", "done"] and told[-1][1]["status"] == 502


async def test_a_page_that_leaves_takes_the_question_along(here: Managed) -> None:
    here.sandbox.fault("invented", at="llm", do="stall", after_events=3)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    body = json.dumps({"model": "big", "prompt": "hello"})
    async with watching(here, "requests") as page:
        async with here.session.post(f"{here.url}{BASE}/try", data=body, headers=headers) as answer:
            await answer.content.readany()
            assert [told.story.client for told in here.house.live.running()] == ["panel"]
            answer.close()
        while not (await page.hears("requests"))["ended"]:
            pass
    ((_, story),) = here.house.live.ended()
    assert story.client == "panel"
    here.sandbox["invented"].released.set()


@pytest.mark.parametrize(
    "body",
    [
        {"model": "big", "prompt": "x" * 32_001},
        {"model": "big", "prompt": ""},
        {"model": "m" * 257, "prompt": "x"},
        {"model": "big", "prompt": "x", "max_tokens": 0},
        {"prompt": "x"},
        ["big", "x"],
    ],
)
async def test_what_is_no_question_is_refused(here: Managed, body: Any) -> None:
    told = await here.asks("POST", "/try", body)
    assert (told.status, told.json) == (400, {"error": "invalid body"})
