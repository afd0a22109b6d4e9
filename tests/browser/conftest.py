"""The browser in which the panel is tried: the machine's own Chromium, started once, driven by Playwright.

Everything beneath this folder runs on one event loop, that of the session, because the browser lives as long as the
session does. An async fixture of these tests therefore has to say so: `@pytest_asyncio.fixture(loop_scope="session")`,
else its server would stand on a loop that nothing runs.

Chromium opens its own sockets, so pytest-socket cannot hold it. Its resolver is told that no name exists but
localhost; a page that asks a stranger for a font or a script sees the request fail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from elsewhere import Elsewhere, elsewhere
from panel_page import Panel, tab
from panel_world import World, world
from playwright.async_api import Browser, async_playwright, expect

HERE = Path(__file__).parent

FLAGS = [
    "--no-sandbox",  # as root, in a container, Chromium has no sandbox to offer
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing that calls home on its own.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1, EXCLUDE [::1]",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


#: A daemon, a browser and a test share two cores with another lane of the suite.
expect.set_options(timeout=20_000)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """One Chromium for all. A test takes a context of its own (`browser.new_context()`): no cookie, no storage."""
    program = tool("chromium")
    home = tmp_path_factory.mktemp("browser")  # a profile in the tree that is searched for secrets
    env = {"HOME": str(home), "TMPDIR": str(home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=program, args=FLAGS, env=env)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def friend() -> AsyncIterator[Elsewhere]:
    """A page of another origin, which the house lets in."""
    async with elsewhere("127.0.0.1") as page:
        yield page


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def house(
    tmp_path_factory: pytest.TempPathFactory, planted: Callable[[Path], Path], friend: Elsewhere
) -> AsyncIterator[World]:
    """One daemon for all tests of the panel: each leaves what the others use as it was."""
    folder, run = tmp_path_factory.mktemp("panel"), tmp_path_factory.mktemp("r", numbered=True)
    async with world(folder, run, planted, [friend.origin]) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def panel(browser: Browser, house: World) -> AsyncIterator[Panel]:
    """A tab of a browser on the daemon's own machine, its key given."""
    async with await browser.new_context(locale="en-GB", reduced_motion="reduce") as context:
        page = await tab(house, context)
        yield page
        assert page.faults == []


@pytest_asyncio.fixture(loop_scope="session")
async def far(browser: Browser, house: World) -> AsyncIterator[Panel]:
    """A tab of a browser on another machine: a proxy that the house trusts says so. It has no key yet."""
    headers = {"X-Forwarded-For": "203.0.113.7"}
    async with await browser.new_context(
        locale="en-GB", reduced_motion="reduce", extra_http_headers=headers
    ) as context:
        page = await tab(house, context, key=None)
        yield page
        assert page.faults == []
