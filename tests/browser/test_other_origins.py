"""A page of another origin, in a real browser, against a daemon with the management key at hand: it gets in nowhere
(THR-20, THR-22), unless the configuration names exactly its origin."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from elsewhere import elsewhere
from playwright.async_api import Browser

from vaultd.house import House, build
from vaultd.server.run import listening

KEY = "CANARY-management-key"
BASE = "/v0/management"

#: What a hostile page tries; each answers what it got to read, or the error's name.
_TRIES = """async ([base, key]) => {
  const said = {};
  const attempt = async (name, path, init) => {
    try { const r = await fetch(base + path, init); said[name] = r.type === "opaque" ? "opaque" : r.status; }
    catch (e) { said[name] = e.name; }
  };
  const keyed = {"Authorization": "Bearer " + key};
  await attempt("read", "/about", {headers: keyed});
  await attempt("change", "/debug", {method: "PUT", headers: {...keyed, "Content-Type": "application/json"},
    body: '{"value": true}'});
  await attempt("blind", "/client-keys", {method: "POST", mode: "no-cors", body: '{"alias": "mine"}'});
  return said;
}"""
_FORM = """([base]) => {
  document.body.innerHTML = `<form method=post enctype=text/plain target=hidden action="${base}/client-keys">
    <input name='{"alias":"mine","x":"' value='"}'></form><iframe name=hidden></iframe>`;
  return new Promise(done => { document.querySelector("iframe").onload = () => done(1);
    document.querySelector("form").submit(); });
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def stranger() -> AsyncIterator[str]:
    """The origin of somebody else's page."""
    async with elsewhere("127.0.0.1") as page:
        yield page.origin


async def _tried(
    browser: Browser, stranger: str, home: dict[str, str], planted: Callable[[Path], Path], allowed: list[str]
) -> tuple[dict[str, Any], House]:
    path = Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"
    path.parent.mkdir(parents=True)
    rules = {"secret-key": KEY, "allowed-origins": allowed}
    planted(path).write_text(json.dumps({"remote-management": rules}))
    async with AsyncExitStack() as stack:
        house = await build(home, None, for_daemon=False)
        stack.push_async_callback(house.close)
        address = await stack.enter_async_context(listening(house, "127.0.0.1", 0))
        context = await stack.enter_async_context(await browser.new_context())
        page = await context.new_page()
        await page.goto(stranger)
        said = await page.evaluate(_TRIES, [address + BASE, KEY])
        await page.evaluate(_FORM, [address + BASE])
        return said, house


async def test_thr_20_a_page_of_elsewhere_reads_nothing_and_changes_nothing(
    browser: Browser, stranger: str, home: dict[str, str], planted: Callable[[Path], Path]
) -> None:
    said, house = await _tried(browser, stranger, home, planted, [])
    assert said == {"read": "TypeError", "change": "TypeError", "blind": "opaque"}
    assert house.config.debug is False
    assert house.clients.list() == []


async def test_thr_22_a_page_whose_origin_is_named_may_do_all_that_the_key_may(
    browser: Browser, stranger: str, home: dict[str, str], planted: Callable[[Path], Path]
) -> None:
    said, house = await _tried(browser, stranger, home, planted, [stranger])
    assert said == {"read": 200, "change": 200, "blind": "opaque"}
    assert house.config.debug is True
    assert house.clients.list() == [], "a form has no key"


@pytest.mark.parametrize("near", ["http://127.0.0.1", "http://localhost:{port}", "https://127.0.0.1:{port}", "*"])
async def test_thr_22_an_origin_that_is_only_nearly_named_is_not(
    browser: Browser, stranger: str, home: dict[str, str], planted: Callable[[Path], Path], near: str
) -> None:
    named = near.format(port=stranger.rpartition(":")[2])
    said, _ = await _tried(browser, stranger, home, planted, [named])
    assert said["read"] == "TypeError"
