"""The panel as a person uses it: pages, dialogs, rows. And what a page must never do, whatever the test is about."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from managed import KEY
from panel_world import World
from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

#: Where the page keeps the management key for as long as its tab lives.
KEPT = "vaultd.key"

HEADINGS = {name: name.capitalize() for name in ("overview", "credentials", "models", "clients", "logs", "settings")}
_STATUS = re.compile(r"status of (\d{3})")


class Panel:
    """One tab. `faults` is what it did that no page of ours may."""

    def __init__(self, world: World, page: Page) -> None:
        self.world, self.page = world, page
        #: Statuses that the test means to meet: a browser logs each as an error.
        self.meets: set[int] = set()
        self.faults: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"uncaught: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        status = _STATUS.search(message.text)
        if not (status and int(status[1]) in self.meets):
            self.faults.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _request(self, request: Request) -> None:
        """A page of ours speaks with the daemon it came from, and with nobody else."""
        at = urlsplit(request.url)
        if at.scheme not in {"data", "blob"} and f"{at.scheme}://{at.netloc}" != self.world.url:
            self.faults.append(f"asked {request.url}")

    @property
    def context(self) -> BrowserContext:
        return self.page.context

    async def opens(self, name: str = "overview", **query: str) -> None:
        """As by its address, in a fresh tab."""
        await self.page.goto(f"{self.world.url}/management.html#/{name}{_query(query)}")
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(HEADINGS[name])

    async def goes(self, name: str) -> None:
        """By the navigation."""
        await self.page.locator(f'nav a[href="#/{name}"]').click()
        await expect(self.page.locator(f'nav a[href="#/{name}"]')).to_have_attribute("aria-current", "page")

    async def told(self, words: str | re.Pattern[str]) -> None:
        """A toast says so; put away, so that it covers nothing."""
        toast = self.page.locator(".toast").filter(has_text=words).first
        await expect(toast).to_be_visible()
        await toast.get_by_role("button", name="Close").click()

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def row(self, words: str, table: str = "") -> Locator:
        """A row of a table (of that caption) that holds the words."""
        within = self.page.get_by_role("group", name=table, exact=True) if table else self.page.locator("main")
        return within.locator("tbody tr").filter(has_text=words)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def evaluates(self, script: str, arg: Any = None) -> Any:
        return await self.page.evaluate(script, arg)


async def tab(world: World, context: BrowserContext, key: str | None = KEY) -> Panel:
    """A tab in which the key was given already, or not."""
    if key is not None:
        await context.add_init_script(
            f"if (location.origin === {world.url!r}) sessionStorage.setItem({KEPT!r}, {key!r});"
        )
    return Panel(world, await context.new_page())


def _query(query: dict[str, str]) -> str:
    return f"?{urlencode({name.replace('_', '-'): value for name, value in query.items()})}" if query else ""
