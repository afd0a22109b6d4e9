"""The browser of these tests: it renders what is served here, Chinese included, and reaches nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from elsewhere import elsewhere
from playwright.async_api import Browser, Error


@pytest_asyncio.fixture(loop_scope="session")
async def address() -> AsyncIterator[str]:
    text = "<title>t</title><p id=p></p><script>p.textContent = '登录'</script>"
    async with elsewhere("127.0.0.1", text) as page:
        yield f"{page.origin}/"


async def test_a_page_served_here_is_rendered(browser: Browser, address: str) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(address)
        assert await page.inner_text("#p") == "登录"


@pytest.mark.parametrize("stranger", ["http://vendor.example/", "http://192.0.2.1/"])
async def test_no_stranger_is_reached(browser: Browser, stranger: str) -> None:
    async with await browser.new_context() as context:
        page = await context.new_page()
        with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
            await page.goto(stranger)
