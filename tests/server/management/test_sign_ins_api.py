"""A person signs in from a page: by callback port, main port, paste or device code; and what may go wrong meanwhile."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from managed import Managed, managed

from vaultd.work.pending_sign_ins import SignIn
from vaultd.work.sign_in import MAX_PENDING

THEIRS = {"claude": "anthropic", "codex": "codex", "gemini": "gemini-cli", "iflow": "iflow"}
CALLBACKS = {"claude": "anthropic", "codex": "codex", "gemini": "google", "iflow": "iflow"}
UNKNOWN = {"status": "error", "error": "unknown or expired state"}


@pytest.fixture
async def slow(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    """Time is the test's."""
    async with managed(home, planted, by_hand=True) as one:
        yield one


async def starts(page: Managed, provider: str, **more: Any) -> Any:
    told = await page.asks("POST", "/sign-ins", {"provider": provider, **more})
    assert told.status == 200, told.text
    return told.json


async def ended(page: Managed, state: str) -> Any:
    """The sign-in, once it has an end."""
    sign_in = page.house.sign_ins.get(state)
    assert sign_in is not None
    async with asyncio.timeout(20):
        while sign_in.waits and sign_in.status != "asking":  # noqa: ASYNC110 - a page polls too
            await asyncio.sleep(0.01)
    return (await page.asks("GET", f"/sign-ins/{state}")).json


async def passes(page: Managed, state: str, until: str, step: float = 1.0) -> SignIn:
    """Time, step by step, until the sign-in stands so; what is asked of the vendor meanwhile takes real time."""
    held = page.house.sign_ins.get(state)
    assert held is not None and page.clock is not None
    async with asyncio.timeout(20):
        while held.status != until:
            page.clock.advance(step)
            await asyncio.sleep(0.01)
    return held


async def stands(page: Managed, state: str) -> Any:
    return (await page.asks("GET", f"/get-auth-status?state={state}")).json


def on_main_port(page: Managed, vendor: str, redirect: str) -> str:
    return f"{page.url}/{CALLBACKS[vendor]}/callback?{urlsplit(redirect).query}"


# --- the ways in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("webui", ["", "?is_webui=true"])
@pytest.mark.parametrize("vendor", CALLBACKS)
async def test_cliproxyapis_way_signs_in_by_the_callback_port(page: Managed, vendor: str, webui: str) -> None:
    told = await page.asks("GET", f"/{THEIRS[vendor]}-auth-url{webui}")
    assert (told.status, told.json["status"]) == (200, "ok")
    state = told.json["state"]
    assert dict(parse_qsl(urlsplit(told.json["url"]).query))["state"] == state
    assert await stands(page, state) == {"status": "wait"}

    seen = await page.browses(told.json["url"])

    assert "can be closed" in seen.text
    sign_in = await ended(page, state)
    assert (sign_in["status"], sign_in["credential"]) == ("ok", f"{vendor}-{vendor}@example.com")
    assert await stands(page, state) == {"status": "ok"}
    assert (sign_in["url"], sign_in["listening"], sign_in["expires_in"]) == ("", None, 0)


@pytest.mark.parametrize("vendor", CALLBACKS)
async def test_the_main_port_takes_the_callback_too(page: Managed, vendor: str) -> None:
    told = (await page.asks("GET", f"/{THEIRS[vendor]}-auth-url")).json
    redirect = await page.redirect_of(told["url"])

    seen = await page.browses(on_main_port(page, vendor, redirect))

    assert (seen.status, "can be closed" in seen.text) == (200, True)
    assert (await ended(page, told["state"]))["status"] == "ok"


async def test_a_manifests_own_id_has_its_address_and_its_callback(page: Managed) -> None:
    told = (await page.asks("GET", "/claude-auth-url")).json
    redirect = await page.redirect_of(told["url"])
    await page.browses(f"{page.url}/claude/callback?{urlsplit(redirect).query}")
    assert (await ended(page, told["state"]))["status"] == "ok"
    assert (await page.asks("GET", "/nobody-auth-url")).status == 404
    assert (await page.asks("GET", "/claude-api-key-auth-url")).status == 404


@pytest.mark.parametrize("how", ["address", "main port's address", "code and state"])
async def test_what_the_browser_ended_on_is_pasted(page: Managed, how: str) -> None:
    sign_in = await starts(page, "codex")
    assert sign_in["listening"] == page.ports["codex"]
    redirect = await page.redirect_of(sign_in["url"])
    query = dict(parse_qsl(urlsplit(redirect).query))
    pasted = {
        "address": {"redirect_url": redirect},
        "main port's address": {"redirect_url": on_main_port(page, "codex", redirect), "provider": "codex"},
        "code and state": {"code": query["code"], "state": query["state"], "provider": "codex"},
    }[how]

    told = await page.asks("POST", "/oauth-callback", pasted)

    assert (told.status, told.json) == (200, {"status": "ok"})
    assert (await ended(page, sign_in["state"]))["status"] == "ok"


async def test_claudes_own_page_shows_what_to_paste(page: Managed) -> None:
    sign_in = await starts(page, "claude", way="paste-page")
    assert sign_in["listening"] is None and sign_in["qr"]["size"] == len(sign_in["qr"]["rows"])
    shown = (await page.browses(sign_in["url"])).text.partition("id=code>")[2].partition("<")[0]
    assert (await page.asks("POST", "/oauth-callback", {"redirect_url": shown})).status == 200
    assert (await ended(page, sign_in["state"]))["credential"] == "claude-claude@example.com"


@pytest.mark.parametrize("vendor", ["qwen", "codex"])
async def test_a_device_code_is_entered_elsewhere(page: Managed, vendor: str) -> None:
    page.sandbox.set(vendor, device_interval=1)
    sign_in = await starts(page, vendor, way="device", label="phone")
    assert sign_in["user_code"]
    assert 0 < sign_in["expires_in"] <= 900
    assert set("".join(sign_in["qr"]["rows"])) == {"0", "1"}
    assert page.sandbox[vendor].decide_device(sign_in["user_code"], "approved")
    assert (await ended(page, sign_in["state"]))["status"] == "ok"


async def test_qwens_auth_url_comes_with_its_code(page: Managed) -> None:
    page.sandbox.set("qwen", device="auto")
    told = (await page.asks("GET", "/qwen-auth-url")).json
    assert told["user_code"] and told["expires_in"] > 0
    assert (await ended(page, told["state"]))["credential"] == "qwen-1"


@pytest.mark.parametrize("vendor", ["kimi", "qwen", "xai"])
async def test_every_manifest_that_signs_in_has_its_address(page: Managed, vendor: str) -> None:
    page.sandbox.set(vendor, device="deny")
    told = (await page.asks("GET", f"/{vendor}-auth-url")).json
    assert told["status"] == "ok" and told["url"].startswith(page.sandbox.url)
    assert (await ended(page, told["state"]))["status"] == "error"


# --- what is asked ----------------------------------------------------------------------------------------------------


async def test_the_page_chooses_among_googles_projects(page: Managed) -> None:
    page.sandbox.set("gemini", projects=["one", "two"])
    sign_in = await starts(page, "gemini")
    await page.browses(sign_in["url"])
    asking = await ended(page, sign_in["state"])
    assert asking["status"] == "asking"
    assert asking["question"] == {
        "text": "Which Google Cloud project?",
        "options": ["one", "two", "ALL"],
        "default": "one",
    }
    assert await stands(page, sign_in["state"]) == {"status": "wait"}
    answer = f"/sign-ins/{sign_in['state']}/answer"
    assert (await page.asks("POST", answer, {"choice": "three"})).status == 400
    assert (await page.asks("POST", answer, {"choice": []})).status == 400

    assert (await page.asks("POST", answer, {"choice": ["two"]})).status == 200

    done = await ended(page, sign_in["state"])
    assert done["status"] == "ok"
    row = (await page.asks("GET", f"/credentials/{done['credential']}")).json
    assert row["projects"] == ["two"]
    assert (await page.asks("POST", answer, {"choice": ["two"]})).status == 409


@pytest.mark.parametrize(
    ("wanted", "projects"), [("", ["one"]), ("?project_id=two", ["two"]), ("?project_id=ALL", ["one", "two"])]
)
async def test_a_program_that_can_answer_nothing_is_asked_nothing(
    page: Managed, wanted: str, projects: list[str]
) -> None:
    page.sandbox.set("gemini", projects=["one", "two"])
    told = (await page.asks("GET", f"/gemini-cli-auth-url{wanted}")).json
    await page.browses(told["url"])
    credential = (await ended(page, told["state"]))["credential"]
    assert (await page.asks("GET", f"/credentials/{credential}")).json["projects"] == projects


async def test_an_account_without_a_name_is_given_one(page: Managed) -> None:
    page.sandbox.set("qwen", device="auto")
    sign_in = await starts(page, "qwen")
    asking = await ended(page, sign_in["state"])
    assert (asking["status"], asking["question"]["options"]) == ("asking", [])
    await page.asks("POST", f"/sign-ins/{sign_in['state']}/answer", {"choice": "kitchen"})
    assert (await ended(page, sign_in["state"]))["credential"] == "qwen-kitchen"


async def test_a_login_whose_name_nobody_gives_is_kept_when_the_daemon_stops(page: Managed) -> None:
    page.sandbox.set("qwen", device="auto")
    sign_in = await starts(page, "qwen")
    assert (await ended(page, sign_in["state"]))["status"] == "asking"
    await page.restart()
    assert list(page.house.owner.snapshot()) == ["qwen-1"]
    assert await stands(page, sign_in["state"]) == UNKNOWN


async def test_a_login_whose_name_nobody_gives_gets_a_number_in_time(slow: Managed) -> None:
    assert slow.clock is not None
    slow.sandbox.set("qwen", device="auto")
    sign_in = await starts(slow, "qwen")
    await passes(slow, sign_in["state"], "asking")
    held = await passes(slow, sign_in["state"], "ok", step=30)
    assert held.credential == "qwen-1"


# --- who may answer ---------------------------------------------------------------------------------------------------


async def test_an_answer_counts_once_and_for_its_own_vendor(page: Managed) -> None:
    codex, claude = await starts(page, "codex"), await starts(page, "claude")
    redirect = await page.redirect_of(codex["url"])

    crossed = await page.browses(on_main_port(page, "claude", redirect))
    assert crossed.status == 400
    assert (await page.asks("POST", "/oauth-callback", {"redirect_url": redirect, "provider": "claude"})).status == 400
    assert [one["status"] for one in (await page.asks("GET", "/sign-ins")).json["data"]] == ["wait", "wait"]

    first = await page.browses(on_main_port(page, "codex", redirect), allow_redirects=False)
    again = await page.browses(on_main_port(page, "codex", redirect), allow_redirects=False)

    assert (first.status, first.headers["Location"], again.status) == (303, "/codex/callback/done", 400)
    assert (await ended(page, codex["state"]))["status"] == "ok"
    assert (await page.browses(on_main_port(page, "codex", redirect))).status == 400
    replayed = await page.asks("POST", "/oauth-callback", {"redirect_url": redirect})
    assert (replayed.status, replayed.json) == (409, {"error": "this sign-in waits for no answer (any more)"})
    assert page.sandbox["codex"].counts["code_replays"] == 0
    assert (await stands(page, claude["state"])) == {"status": "wait"}


async def test_sec_04_an_unknown_state_is_an_error_everywhere_and_changes_nothing(page: Managed) -> None:
    sign_in = await starts(page, "codex")
    forged = {"code": "CANARY-forged", "state": "CANARY-state"}
    assert (await page.browses(f"{page.url}/codex/callback?{urlencode(forged)}")).status == 400
    assert (await page.browses(f"{page.url}/codex/callback")).status == 400
    twice = [("state", sign_in["state"]), ("state", sign_in["state"]), ("code", "CANARY-x")]
    assert (await page.browses(f"{page.url}/codex/callback?{urlencode(twice)}")).status == 400
    told = await page.asks("POST", "/oauth-callback", forged)
    assert (told.status, told.json) == (404, {"error": "unknown or expired state"})
    assert (await page.asks("POST", "/oauth-callback", {"provider": "codex"})).status == 400
    assert await stands(page, "CANARY-state") == UNKNOWN
    assert (await page.asks("GET", "/get-auth-status")).json == UNKNOWN
    assert (await page.asks("GET", "/sign-ins/CANARY-state")).status == 404
    assert await stands(page, sign_in["state"]) == {"status": "wait"}


async def test_who_waits_hears_at_once_that_the_daemon_stops_and_the_next_daemon_says_why_it_knows_nothing(
    page: Managed,
) -> None:
    """Behind a socket that stays open another question would go to the next daemon."""
    sign_in = await starts(page, "codex")
    path = f"/sign-ins/{sign_in['state']}"
    async with asyncio.TaskGroup() as group:
        waits = group.create_task(page.asks("GET", f"{path}?since={sign_in['revision']}"))
        for _ in range(2):  # asked after it and answered, so that it waits by now
            await page.asks("GET", "/sign-ins")
        page.house.draining.set()
    stopping = waits.result()
    assert (stopping.status, stopping.json["error"]) == (503, "vaultd is stopping, and the sign-in with it")
    page.house.draining.clear()
    unknown = await page.asks("GET", "/sign-ins/CANARY-state?since=1")
    assert (unknown.status, "vaultd has been started anew since" in unknown.json["message"]) == (404, True)


async def test_thr_21_a_page_on_another_name_may_not_bring_an_answer(page: Managed) -> None:
    sign_in = await starts(page, "codex")
    redirect = await page.redirect_of(sign_in["url"])
    callback = on_main_port(page, "codex", redirect)
    assert (await page.browses(callback, headers={"Host": "rebound.example"})).status == 403
    assert (await page.browses(callback, headers={"Sec-Purpose": "prefetch"})).status == 503
    for method in ("HEAD", "POST"):
        async with page.session.request(method, callback) as answer:
            assert answer.status == 405
    assert await stands(page, sign_in["state"]) == {"status": "wait"}
    assert (await page.browses(callback)).status == 200


async def test_the_callbacks_page_repeats_nothing_and_tells_nobody(page: Managed) -> None:
    page.sandbox.set("codex", consent="deny")
    sign_in = await starts(page, "codex")
    redirect = await page.redirect_of(sign_in["url"])
    marked = on_main_port(page, "codex", redirect) + "&x=%3Cscript%3Ereflected"

    seen = await page.browses(marked)

    assert "access_denied" in seen.text and "reflected" not in seen.text and sign_in["state"] not in seen.text
    assert seen.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert (seen.headers["Referrer-Policy"], seen.headers["Cache-Control"]) == ("no-referrer", "no-store")
    done = await ended(page, sign_in["state"])
    assert done["status"] == "error" and "access_denied" in done["error"]

    odd = await starts(page, "codex")
    query = urlencode({"error": "reflected<b>", "state": odd["state"]})
    assert "reflected" not in (await page.browses(f"{page.url}/codex/callback?{query}")).text


async def test_a_pasted_refusal_ends_the_sign_in_with_its_reason(page: Managed) -> None:
    sign_in = await starts(page, "codex")
    refusal = {"error": "access_denied", "state": sign_in["state"], "provider": "codex"}
    assert (await page.asks("POST", "/oauth-callback", refusal)).json == {"status": "ok"}
    assert "access_denied" in (await ended(page, sign_in["state"]))["error"]


async def test_sec_23_neither_code_nor_state_is_logged(page: Managed, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sign_in = await starts(page, "codex")
    redirect = await page.redirect_of(sign_in["url"])
    await page.browses(on_main_port(page, "codex", redirect))
    await ended(page, sign_in["state"])
    await page.asks("DELETE", f"/sign-ins/{sign_in['state']}")
    said = "\n".join(str(record.__dict__) for record in caplog.records if record.name.startswith("vaultd"))
    assert "signed in" in said
    assert "CANARY" not in said and sign_in["state"] not in said


# --- what goes wrong --------------------------------------------------------------------------------------------------


async def test_a_vendor_that_cannot_be_reached_is_an_error_and_no_crash(page: Managed) -> None:
    page.sandbox.fault("qwen", at="device", do="status", status=500, times=0)
    told = await page.asks("GET", "/qwen-auth-url")
    assert (told.status, told.json["status"]) == (502, "error")
    sign_in = await starts(page, "qwen")
    assert (sign_in["status"], sign_in["url"]) == ("error", "") and sign_in["error"]
    assert await stands(page, sign_in["state"]) == {"status": "error", "error": sign_in["error"]}
    assert await stands(page, sign_in["state"]) == {"status": "error", "error": sign_in["error"]}

    page.sandbox.fault("codex", at="token", do="status", status=503, times=0)
    codex = await starts(page, "codex")
    await page.browses(codex["url"])
    assert (await ended(page, codex["state"]))["status"] == "error"
    assert (await page.asks("GET", "/sign-ins")).status == 200


async def test_a_taken_callback_port_leaves_paste_and_main_port(page: Managed) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", page.ports["codex"]))
        other.listen()
        sign_in = await starts(page, "codex")
        assert sign_in["listening"] is None
        assert any("is taken" in note for note in sign_in["notes"])
        assert any("/codex/callback" in note for note in sign_in["notes"])
        redirect = await page.redirect_of(sign_in["url"])
        assert (await page.browses(on_main_port(page, "codex", redirect))).status == 200
        assert (await ended(page, sign_in["state"]))["status"] == "ok"


async def test_who_starts_anew_has_given_the_last_one_up(page: Managed) -> None:
    first = await starts(page, "codex")
    second = await starts(page, "codex")
    assert second["listening"] == page.ports["codex"]
    gone = (await page.asks("GET", f"/sign-ins/{first['state']}")).json
    assert gone["status"] == "error" and "newer" in gone["error"]
    await page.browses(second["url"])
    assert (await ended(page, second["state"]))["status"] == "ok"


async def test_a_cancelled_sign_in_frees_its_port_and_takes_no_answer(page: Managed) -> None:
    sign_in = await starts(page, "codex")
    redirect = await page.redirect_of(sign_in["url"])
    assert (await page.asks("DELETE", f"/sign-ins/{sign_in['state']}")).json == {"status": "ok"}
    assert await stands(page, sign_in["state"]) == {"status": "error", "error": "cancelled"}
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", page.ports["codex"]))
    assert (await page.browses(on_main_port(page, "codex", redirect))).status == 400
    assert not page.house.owner.snapshot()


async def test_a_sign_in_that_is_cancelled_while_its_login_is_saved_is_not_told_as_cancelled(page: Managed) -> None:
    """Or a login nobody knows of would be in use."""
    page.sandbox.set("qwen", consent="open")
    sign_in = await starts(page, "qwen")
    await page.browses(sign_in["url"])
    assert (await ended(page, sign_in["state"]))["status"] == "asking"
    held = page.house.sign_ins.get(sign_in["state"])
    assert held is not None
    async with asyncio.TaskGroup() as group, page.house.owner.leased("qwen-work"), asyncio.timeout(20):
        await page.asks("POST", f"/sign-ins/{held.state}/answer", {"choice": "work"})
        while held.naming:  # noqa: ASYNC110 - from here on it is being saved
            await asyncio.sleep(0)
        cancelled = group.create_task(page.asks("DELETE", f"/sign-ins/{held.state}"))
        await page.asks("GET", "/sign-ins")
    assert cancelled.result().status == 200
    assert (held.status, list(page.house.owner.snapshot())) == ("ok", ["qwen-work"])


async def test_a_sign_in_that_is_overtaken_before_its_first_step_ends_too(page: Managed) -> None:
    told = await asyncio.gather(*(page.asks("POST", "/sign-ins", {"provider": "codex"}) for _ in range(6)))
    assert [one.status for one in told] == [200] * 6
    signs = (await page.asks("GET", "/sign-ins")).json["data"]
    assert sorted(one["status"] for one in signs) == ["error"] * 5 + ["wait"]
    assert [one["listening"] for one in signs if one["status"] == "wait"] == [page.ports["codex"]]


async def test_sec_09_one_more_than_may_wait_is_refused_or_takes_its_own_vendors_oldest(page: Managed) -> None:
    waiting = [await starts(page, "qwen") for _ in range(MAX_PENDING)]
    assert (await page.asks("POST", "/sign-ins", {"provider": "codex"})).status == 429
    assert (await page.asks("GET", "/codex-auth-url")).status == 429
    await starts(page, "qwen")
    statuses = [(await stands(page, one["state"]))["status"] for one in waiting]
    assert statuses == ["error", *["wait"] * (MAX_PENDING - 1)]


async def test_nobody_comes_and_what_became_of_it_is_told_for_a_while(slow: Managed) -> None:
    assert slow.clock is not None
    sign_in = await starts(slow, "codex")
    slow.clock.advance(600)
    assert (await slow.asks("GET", f"/sign-ins/{sign_in['state']}")).json["expires_in"] == 300
    await passes(slow, sign_in["state"], "error", step=30)
    assert "nobody finished" in (await stands(slow, sign_in["state"]))["error"]
    slow.clock.advance(860)
    assert (await stands(slow, sign_in["state"]))["status"] == "error"
    slow.clock.advance(60)
    assert await stands(slow, sign_in["state"]) == UNKNOWN


async def test_the_page_may_close_and_the_daemons_end_ends_all(page: Managed) -> None:
    told = (await page.asks("GET", "/codex-auth-url")).json
    await page.session.close()  # every connection of the page is gone
    held = page.house.sign_ins.get(told["state"])
    assert held is not None and held.status == "wait"
    await page.stop()
    assert (held.status, held.error) == ("error", "vaultd stopped")
    with socket.socket() as mine:
        mine.bind(("127.0.0.1", page.ports["codex"]))


# --- who waits at a terminal ------------------------------------------------------------------------------------------


async def test_who_waits_hears_of_the_next_change_and_of_no_other_moment(page: Managed) -> None:
    begun = (await page.asks("POST", "/sign-ins?wait=0", {"provider": "codex", "timeout": 60})).json
    path = f"/sign-ins/{begun['state']}"
    shown = begun
    while not shown["url"]:
        shown = (await page.asks("GET", f"{path}?since={shown['revision']}")).json
    assert shown["expires_in"] <= 60
    at_once = (await page.asks("GET", f"{path}?since={shown['revision']}&wait=0")).json
    assert (at_once["revision"], at_once["status"]) == (shown["revision"], "wait")
    while at_once["status"] == "wait":
        async with asyncio.TaskGroup() as group:
            next_ = group.create_task(page.asks("GET", f"{path}?since={at_once['revision']}"))
            if not at_once["answered"]:
                await page.browses(shown["url"])
        assert next_.result().json["revision"] > at_once["revision"]
        at_once = next_.result().json
    assert (at_once["status"], at_once["account"], at_once["failure"]) == ("ok", "codex@example.com", "")


async def test_nobody_can_paste_and_the_callback_port_goes_on_waiting(page: Managed) -> None:
    sign_in = await starts(page, "codex")
    assert (await page.asks("DELETE", f"/sign-ins/{sign_in['state']}/paste")).status == 200
    await page.browses(sign_in["url"])
    assert (await ended(page, sign_in["state"]))["status"] == "ok"

    code = await starts(page, "claude", way="paste-page")
    assert (await page.asks("DELETE", f"/sign-ins/{code['state']}/paste")).status == 200
    over = await ended(page, code["state"])
    assert (over["status"], over["failure"]) == ("error", "TimedOut")


async def test_an_answer_that_is_in_is_not_cancelled_by_who_only_left(page: Managed) -> None:
    page.sandbox.set("qwen", consent="open", device="auto")
    sign_in = await starts(page, "qwen")
    assert (await ended(page, sign_in["state"]))["status"] == "asking"
    assert (await page.asks("DELETE", f"/sign-ins/{sign_in['state']}?unanswered=1")).status == 409
    assert (await page.asks("DELETE", f"/sign-ins/{sign_in['state']}")).status == 200
    over = (await page.asks("GET", f"/sign-ins/{sign_in['state']}")).json
    assert (over["error"], over["failure"]) == ("cancelled", "SignInRequired")
