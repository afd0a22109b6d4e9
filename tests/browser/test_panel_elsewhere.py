"""A page of another origin in the same browser reads nothing and changes nothing, unless its exact origin is let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from elsewhere import ASKS, Elsewhere, elsewhere
from managed import BASE, KEY
from panel_world import World
from playwright.async_api import Browser, Page

REFUSED = {"type": "refused", "status": 0, "body": ""}
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest_asyncio.fixture(loop_scope="session")
async def stranger() -> AsyncIterator[Elsewhere]:
    """By name of another site altogether."""
    async with elsewhere("localhost") as page:
        yield page


async def asks(page: Page, house: World, path: str, **init: Any) -> Any:
    return await page.evaluate(ASKS, [house.url + path, init])


async def retries(house: World) -> Any:
    return (await house.asks("GET", "/request-retry")).json["request-retry"]


async def test_thr_22_a_page_elsewhere_reads_nothing_even_with_the_key(
    browser: Browser, house: World, stranger: Elsewhere
) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(stranger.origin)
        assert await asks(page, house, f"{BASE}/config", headers=BEARER) == REFUSED
        assert await asks(page, house, f"{BASE}/config", headers={"X-Management-Key": KEY}) == REFUSED
        assert await asks(page, house, f"{BASE}/config") == REFUSED
        assert (await asks(page, house, f"{BASE}/config", mode="no-cors"))["type"] in {"opaque", "refused"}
        assert await asks(page, house, "/management.html") == REFUSED


async def test_thr_22_an_origin_that_is_let_in_manages(browser: Browser, house: World, friend: Elsewhere) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(friend.origin)
        told = await asks(page, house, f"{BASE}/request-retry", headers=BEARER)
        assert (told["type"], told["status"], told["body"]) == ("cors", 200, '{"request-retry":1}')
        headers = BEARER | {"Content-Type": "application/json"}
        for value in (4, 1):
            told = await asks(
                page, house, f"{BASE}/request-retry", method="PUT", headers=headers, body=f'{{"value":{value}}}'
            )
            assert told["status"] == 200 and await retries(house) == value
        # Let in is the origin, not who asks from it: without the key it is nobody.
        assert (await asks(page, house, f"{BASE}/request-retry"))["status"] == 401


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
async def test_thr_20_a_page_elsewhere_changes_nothing(
    browser: Browser, house: World, stranger: Elsewhere, kind: str
) -> None:
    """Also where it asks for no answer, which needs nobody's leave."""
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(stranger.origin)
        body = '{"value": 9}'
        for mode in ("cors", "no-cors"):
            for method in ("PUT", "POST"):
                headers = BEARER | {"Content-Type": kind}
                await asks(page, house, f"{BASE}/request-retry", method=method, mode=mode, headers=headers, body=body)
        await asks(page, house, f"{BASE}/usage", method="DELETE", headers=BEARER)
        assert await retries(house) == 1


async def test_thr_20_a_form_elsewhere_changes_nothing(browser: Browser, house: World, stranger: Elsewhere) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(stranger.origin)
        async with page.expect_navigation():
            await page.evaluate(
                """(action) => {
                  const made = (tag, facts) => Object.assign(document.createElement(tag), facts);
                  const form = made('form', {method: 'post', action, enctype: 'text/plain'});
                  form.append(made('input', {name: '{"alias":"evil', value: '"}'}));
                  document.body.append(form);
                  form.submit();
                }""",
                f"{house.url}{BASE}/client-keys",
            )
        assert "origin not allowed" in await page.inner_text("body")
        assert "evil" not in (await house.asks("GET", "/client-keys")).text


async def test_thr_26_the_page_stands_in_nobodys_frame(browser: Browser, house: World, friend: Elsewhere) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(friend.origin)
        async with page.expect_console_message(lambda message: "frame" in message.text.lower()) as told:
            await page.evaluate(
                "(src) => document.body.append(Object.assign(document.createElement('iframe'), {src}))",
                f"{house.url}/management.html",
            )
        assert "frame-ancestors" in (await told.value).text or "X-Frame-Options" in (await told.value).text
        assert not await page.frames[-1].locator("#app").count()
