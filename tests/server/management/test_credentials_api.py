"""Credentials seen, changed, renewed and explained through the API; what is lifted serves at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from desk import login
from managed import Managed, managed

CONFIG_KEY = "sk-CANARY-config"


def _keys(sandbox: Any) -> Any:
    where = {"base-url": sandbox.key_bases()["openai"], "models": [{"name": "big"}]}
    return {"openai-compatibility": [{"name": "acme", **where, "api-key-entries": [{"api-key": CONFIG_KEY}]}]}


@pytest.fixture
async def page(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    async with managed(home, planted, config=_keys) as one:
        yield one


async def signs_in(page: Managed, vendor: str = "codex", email: str = "ann@example.com") -> str:
    """A login that is here already."""
    settled = await page.house.owner.settle(login(page.sandbox, vendor, email, page.house.clock.now()))
    return settled.id


async def row(page: Managed, id_: str) -> Any:
    return (await page.asks("GET", f"/credentials/{id_}")).json


async def test_every_credential_has_a_row_with_what_a_page_shows(page: Managed) -> None:
    id_ = await signs_in(page)
    rows = {one["id"]: one for one in (await page.asks("GET", "/credentials")).json["data"]}
    config = next(one for one in rows.values() if one["source"] == "config")
    assert (rows[id_]["state"], rows[id_]["running"], rows[id_]["quota"]) == ("available", 0, [])
    assert (rows[id_]["file"], config["file"]) == (f"{id_}.json", "")
    assert rows[id_]["expires_in"] > 0 and config["expires_in"] is None
    whole = await row(page, id_)
    assert rows[id_].keys() <= whole.keys() and whole["generation"] == 1
    assert (await page.asks("GET", "/credentials/nobody")).json == {"error": "item not found"}


async def test_what_is_not_used_is_told_with_the_next_action(page: Managed, planted: Callable[[Path], Path]) -> None:
    planted(page.house.owner.folder / "plain.json").write_text('{"type": "codex", "access_token": "CANARY"}')
    (page.house.owner.folder / "plain.json").chmod(0o600)
    await page.house.owner.rescan()
    (refused,) = (await page.asks("GET", "/credentials")).json["refused"]
    assert refused["file"] == "plain.json" and refused["reason"] and refused["action"] and refused["code"]


async def test_a_credential_is_changed_and_what_is_not_named_stays(page: Managed) -> None:
    id_ = await signs_in(page)
    change = {"priority": 5, "weight": 2, "parallel": 3, "excluded_models": ["gpt-5-mini"], "label": "work"}
    told = await page.asks("PATCH", f"/credentials/{id_}", change)
    assert told.json["status"] == "ok"
    await page.asks("PATCH", f"/credentials/{id_}", {"weight": 4, "proxy": "socks5://127.0.0.1:9"})
    seen = await row(page, id_)
    assert (seen["priority"], seen["weight"], seen["max_parallel"], seen["label"]) == (5, 4, 3, "work")
    assert (seen["excluded_models"], seen["own_proxy"]) == (["gpt-5-mini"], True)

    off = await page.asks("PATCH", f"/credentials/{id_}", {"disabled": True})
    assert off.json["credential"]["state"] == "disabled"
    assert (await page.asks("PATCH", f"/credentials/{id_}", {"disabled": False})).json["credential"][
        "state"
    ] == "available"

    for wrong in ({"weight": 0}, {"projects": ["p"]}, {"proxy": "file:///x"}, {"label": "a\nb"}, {}):
        assert (await page.asks("PATCH", f"/credentials/{id_}", wrong)).status == 400
    assert (await page.asks("PATCH", "/credentials/nobody", {"weight": 1})).status == 404


async def test_a_key_of_the_configuration_is_changed_there(page: Managed) -> None:
    (id_,) = page.house.pool.roster(page.house)
    for method, body in (("PATCH", {"disabled": True}), ("DELETE", None)):
        told = await page.asks(method, f"/credentials/{id_}", body)
        assert told.status == 409 and "configuration" in told.json["error"]
    assert (await page.asks("POST", f"/credentials/{id_}/refresh")).status == 400


async def test_a_key_is_sealed_and_serves(page: Managed) -> None:
    added = {"provider": "claude-api-key", "key": "sk-CANARY-new", "label": "work"}
    told = await page.asks("POST", "/credentials", added)
    assert told.status == 200
    assert (await row(page, told.json["id"]))["kind"] == "key"
    assert all(b"CANARY" not in data for data in page.files().values())
    relabel = await page.asks("PATCH", f"/credentials/{told.json['id']}", {"label": "home"})
    assert relabel.status == 400 and "all that tells" in relabel.json["error"]
    assert (await page.asks("POST", "/credentials", {"provider": "codex", "key": "x"})).status == 400
    assert (await page.asks("POST", "/credentials", {"provider": "claude-api-key", "key": ""})).status == 400


async def test_a_login_is_renewed_now_or_says_why_not(page: Managed) -> None:
    id_ = await signs_in(page)
    told = await page.asks("POST", f"/credentials/{id_}/refresh")
    assert (told.status, told.json["generation"]) == (200, 2)
    page.sandbox["codex"].sign_out()
    assert (await page.asks("POST", f"/credentials/{id_}/refresh")).status == 409
    assert (await row(page, id_))["state"] == "sign-in required"
    assert (await page.asks("POST", "/credentials/nobody/refresh")).status == 404


async def test_a_credential_is_removed_and_ended_at_the_vendor_where_asked(page: Managed) -> None:
    one, two = await signs_in(page), await signs_in(page, email="ben@example.com")
    assert (await page.asks("DELETE", f"/credentials/{one}")).json == {"id": one, "removed": True, "revoked": False}
    gone = await page.asks("DELETE", f"/credentials/{two}?everywhere=1")
    assert gone.json == {"id": two, "removed": True, "revoked": True}
    assert page.sandbox["codex"].counts["revocations"] == 1
    assert (await page.asks("DELETE", f"/credentials/{one}")).status == 404


async def test_a_file_that_was_rolled_back_is_accepted_on_a_persons_word(page: Managed) -> None:
    id_ = await signs_in(page)
    path = page.house.owner.folder / f"{id_}.json"
    old = path.read_bytes()
    assert (await page.asks("POST", f"/credentials/{id_}/accept")).status == 409
    await page.asks("POST", f"/credentials/{id_}/refresh")
    await page.stop()
    path.write_bytes(old)
    await page.start()
    assert (await page.asks("GET", f"/credentials/{id_}")).status == 404
    assert (await page.asks("POST", f"/credentials/{id_}/accept")).status == 200
    assert (await row(page, id_))["state"] == "available"
    assert (await page.asks("POST", "/credentials/nobody/accept")).status == 404


async def test_a_lifted_cooldown_lets_the_next_request_through(page: Managed) -> None:
    id_ = await signs_in(page)
    page.sandbox.exhaust("codex", seconds=3600)
    for _ in range(2):  # the second is the probe that a wrong hint would need
        assert (await page.chats("gpt-5")).status == 429
    page.sandbox["codex"].lift()
    (rest,) = (await page.asks("GET", "/cooldowns")).json["data"]
    assert (rest["credential"], rest["model"]) == (id_, "gpt-5") and rest["until"] and "429" in rest["reason"]
    assert (await page.chats("gpt-5")).status == 429

    assert (await page.asks("DELETE", "/cooldowns?credential=nobody")).status == 404
    assert (await page.asks("DELETE", f"/cooldowns?credential={id_}&model=other")).json["lifted"] == 0
    assert (await page.asks("DELETE", f"/cooldowns?credential={id_}&model=gpt-5")).json == {"status": "ok", "lifted": 1}

    assert (await page.asks("GET", "/cooldowns")).json == {"data": []}
    assert (await page.chats("gpt-5")).status == 200


async def test_all_cooldowns_are_lifted_in_whichever_project(page: Managed) -> None:
    await signs_in(page)
    page.sandbox.exhaust("codex", seconds=3600)
    page.sandbox["invented"].set(bad_keys=[CONFIG_KEY])
    assert {(await page.chats("gpt-5")).status, (await page.chats("big")).status} <= {401, 429, 503}
    resting = len((await page.asks("GET", "/cooldowns")).json["data"])
    assert resting == 2
    assert (await page.asks("DELETE", "/cooldowns")).json == {"status": "ok", "lifted": resting}


async def test_who_would_serve_is_explained_with_why_not(page: Managed) -> None:
    one, two = await signs_in(page), await signs_in(page, email="ben@example.com")
    three = await signs_in(page, email="cai@example.com")
    await page.asks("PATCH", f"/credentials/{three}", {"disabled": True})
    await page.asks("PATCH", f"/credentials/{one}", {"priority": 1})

    told = (await page.asks("GET", "/explain?model=gpt-5")).json
    tiers = {candidate["credential"]: candidate["tier"] for candidate in told["candidates"]}
    assert tiers == {one: 1, two: 2, three: None}
    assert told["answer"] == f"{one} would serve gpt-5"

    page.sandbox.exhaust("codex", seconds=3600, account="ann@example.com")
    assert (await page.chats("gpt-5")).status == 200
    told = (await page.asks("GET", "/explain?model=gpt-5&format=openai-responses")).json
    states = {candidate["credential"]: candidate["state"] for candidate in told["candidates"]}
    assert states == {one: "cooling", two: "available", three: "disabled"}
    assert told["answer"] == f"{two} would serve gpt-5"

    page.sandbox.exhaust("codex", seconds=3600)
    await page.chats("gpt-5")
    assert "cooling until" in (await page.asks("GET", "/explain?model=gpt-5")).json["answer"]
    nobody = (await page.asks("GET", "/explain?model=gpt-77")).json
    assert nobody["candidates"] == [] and "no such model" in nobody["answer"]
    assert (await page.asks("GET", "/explain")).status == 400
    assert (await page.asks("GET", "/explain?model=gpt-5&format=telex")).status == 400


async def test_requests_under_way_are_counted(page: Managed) -> None:
    id_ = await signs_in(page)
    page.sandbox.fault("codex", at="llm", do="hang")
    asking = page.house._tasks.start("a client", page.chats("gpt-5"))
    await page.sandbox["codex"].until(lambda: any(page.sandbox["codex"].running.values()))
    assert (await row(page, id_))["running"] == 1
    page.sandbox["codex"].release()
    await asking
    assert (await row(page, id_))["running"] == 0
