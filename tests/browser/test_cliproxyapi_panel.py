"""CLIProxyAPI's own `management.html`, served by us, in Chromium, as a person uses it.

The file is another project's and is fetched by nobody here: name one in VAULTD_CLIPROXYAPI_PANEL, else these are
skipped. The stories know the page of November 2025; of any other the first alone is told. What each page sends and
reads is told without the file in `test_cliproxyapi_calls`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
import yaml
from desk import login
from managed import CLIENT_KEY, KEY, Managed
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Response, expect
from ports import own_callbacks
from shell import Daemon, Person

from vaultd.net.clock import SystemClock
from vaultd.pool import explain
from vaultd.sandbox import Sandbox

NAMED = os.environ.get("VAULTD_CLIPROXYAPI_PANEL", "")
WHERE = str(Path(NAMED).resolve())
# No tool of CI's: VAULTD_REQUIRE_TOOLS says nothing about it.
pytestmark = pytest.mark.skipif(not NAMED, reason="VAULTD_CLIPROXYAPI_PANEL names no management.html of CLIProxyAPI's")

OF_NOVEMBER = 'id="login-submit"'
#: Of later versions; they are not here (`docs/management-api.md`).
LATER = re.compile(
    r"/(latest-version|request-error-logs|request-log-by-id|oauth-(excluded|model)|model-definitions|vertex-api-key"
    r"|ampcode|api-call|plugins|quota|[a-z]+-api-key$)"
)
SIGN_INS = ("codex", "anthropic", "gemini-cli", "iflow", "qwen")
ACME = "sk-CANARY-acme-0123456789ab"


def text_of(path: str | os.PathLike[str]) -> str:
    return Path(path).read_text()


class Theirs:
    """Their page in one tab."""

    def __init__(self, managed: Managed, person: Person, page: Page) -> None:
        self.managed, self.person, self.page = managed, person, page
        self.refused: list[str] = []
        self.faults: list[str] = []
        page.on("response", self._answered)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._console)
        page.on("dialog", lambda dialog: dialog.accept())

    def _answered(self, response: Response) -> None:
        path = urlsplit(response.url).path
        if response.status >= 400 and "/v0/management" in path and not LATER.search(path):
            self.refused.append(f"{response.request.method} {path}: {response.status}")

    def _console(self, message: ConsoleMessage) -> None:
        """The policy refuses what is elsewhere, and nothing of the page's own."""
        if "Content Security Policy" in message.text and "https://" not in message.text:
            self.faults.append(message.text)

    def at(self, selector: str) -> Locator:
        return self.page.locator(selector)

    async def presses(self, selector: str) -> None:
        """By script: its switches hide behind what is drawn over them, and its cards behind its menu."""
        await self.at(selector).first.evaluate("element => element.click()")

    async def comes_in(self, key: str = KEY) -> None:
        await self.page.goto(f"{self.managed.url}/management.html")
        await self.at("#login-management-key").fill(key)
        await self.presses("#login-submit")

    async def told(self, kind: str = "success") -> None:
        """Its toast; taken away, so that the next one is another."""
        await expect(self.at("#notification")).to_have_class(re.compile(rf"\b{kind}\b"))
        await self.at("#notification").evaluate("element => { element.className = 'notification' }")

    async def saves(self, **fields: str) -> None:
        for selector, value in fields.items():
            await self.at(f"#{selector.replace('_', '-')}").fill(value)
        await self.presses("#modal-body .modal-actions .btn-primary")
        await self.told()

    @property
    def config(self) -> Any:
        return yaml.safe_load(self.person.config.read_text())


@pytest_asyncio.fixture(loop_scope="session")
async def theirs(
    browser: Browser, home: dict[str, str], planted: Callable[[Path], Path], serves: Callable[..., Daemon]
) -> AsyncIterator[Theirs]:
    person = Person(home | {"MANAGEMENT_STATIC_PATH": WHERE})
    async with Sandbox() as sandbox, aiohttp.ClientSession() as session:
        acme = {"name": "acme", "base-url": sandbox.key_bases()["openai"], "models": [{"name": "big"}]}
        planted(person.config)
        planted(person.config.with_suffix(".yaml~"))
        person.configures(
            "# A person wrote this line.\n"
            f"api-keys:\n  - {CLIENT_KEY}  # the laptop\n"
            f"remote-management: {{secret-key: {KEY}}}\n"
            f"openai-compatibility: {json.dumps([acme | {'api-key-entries': [{'api-key': ACME}]}])}\n"
            f"providers: {json.dumps(own_callbacks(sandbox))}\n"
        )
        managed = Managed(home, sandbox, None, session)
        managed.url = serves(person).address
        async with await browser.new_context(locale="en-GB", accept_downloads=True) as context:
            one = Theirs(managed, person, await context.new_page())
            yield one
            assert (one.faults, one.refused) == ([], [])


@pytest.fixture
def november() -> None:
    if OF_NOVEMBER not in text_of(NAMED):
        pytest.skip("the file is not of the page that these stories know")


async def test_any_of_its_pages_is_let_in_and_is_refused_nothing_it_needs(theirs: Theirs) -> None:
    page = theirs.page
    answer = await page.goto(f"{theirs.managed.url}/management.html")
    assert answer is not None
    assert await answer.text() == text_of(NAMED)
    await page.locator("input[type=password]").first.fill(KEY)
    async with page.expect_response(re.compile("/v0/management/config$")) as read:
        await page.locator("button#login-submit, button[type=submit], form button, button").last.evaluate(
            "last => (document.getElementById('login-submit') || document.querySelector('button[type=submit]')"
            " || last).click()"
        )
    assert (await read.value).status == 200
    links = page.locator("nav a[href^='#'], a.nav-item, .nav-menu a, aside a")
    await expect(links.first).to_be_attached()
    for index in range(await links.count()):
        if "log" not in (await links.nth(index).get_attribute("href") or ""):  # there are none before a file is kept
            await links.nth(index).evaluate("element => element.click()")
            await page.wait_for_load_state("networkidle")


@pytest.mark.usefixtures("november")
async def test_the_key_is_asked_for_and_switches_are_thrown(theirs: Theirs) -> None:
    await theirs.comes_in("CANARY-not-the-key")
    await expect(theirs.at("#login-error-message")).to_contain_text("invalid management key")
    assert theirs.refused == ["GET /v0/management/debug: 401"]
    theirs.refused.clear()
    await theirs.comes_in()
    await expect(theirs.at("#main-page")).to_be_visible()
    for name in ("debug", "request-log", "ws-auth", "switch-project", "usage-statistics-enabled", "logging-to-file"):
        box = theirs.at(f"#{name}-toggle")
        before = await box.is_checked()
        await theirs.presses(f"#{name}-toggle")
        await theirs.told()
        kept = theirs.config
        kept = kept["quota-exceeded"] if name.startswith("switch-") else kept
        assert kept[name] is not before
    await theirs.at("#request-retry").evaluate("element => { element.value = '4' }")
    await theirs.presses("#update-retry")
    await theirs.told()
    assert theirs.config["request-retry"] == 4
    text = theirs.person.config.read_text()
    assert "# A person wrote this line." in text
    assert "# the laptop" in text


@pytest.mark.usefixtures("november")
async def test_keys_are_added_edited_and_removed_and_no_masked_one_is_lost(theirs: Theirs) -> None:
    await theirs.comes_in()
    await expect(theirs.at("#api-keys-list .key-item")).to_have_count(1)
    assert "CANARY" not in await theirs.page.content()
    await theirs.presses("#add-api-key")
    await theirs.saves(new_api_key="sk-CANARY-second-0123456789")
    await expect(theirs.at("#api-keys-list .key-item")).to_have_count(2)
    await theirs.presses("#api-keys-list .btn-secondary")
    await theirs.saves()  # nothing typed over the mask
    assert theirs.config["api-keys"] == [CLIENT_KEY, "sk-CANARY-second-0123456789"]
    await theirs.presses("#api-keys-list .key-item:nth-child(2) .btn-danger")
    await theirs.told()
    assert theirs.config["api-keys"] == [CLIENT_KEY]

    for vendor in ("gemini", "codex", "claude"):
        for number, key in enumerate((f"CANARY-{vendor}-0123456789abcd", f"CANARY-{vendor}-9876543210dcba"), 1):
            await theirs.presses(f"#add-{vendor}-key")
            if vendor == "gemini":
                await theirs.at("#new-gemini-keys-wrapper .api-key-value-input").fill(key)
                await theirs.saves()
            else:
                await theirs.at(f"#new-{vendor}-key").fill(key)
                await theirs.at(f"#new-{vendor}-url").fill("https://vendor.example/v1")
                await theirs.saves()
            await expect(theirs.at(f"#{vendor}-keys-list .btn-secondary")).to_have_count(number)
        await theirs.presses(f"#{vendor}-keys-list .btn-secondary")
        await theirs.at("#modal-body .header-key-input").fill("X-Team")
        await theirs.at("#modal-body .header-value-input").fill("one")
        await theirs.saves()
        first, second = theirs.config[f"{vendor}-api-key"]
        assert (first["api-key"], first["headers"]) == (f"CANARY-{vendor}-0123456789abcd", {"X-Team": "one"})
        assert second["api-key"] == f"CANARY-{vendor}-9876543210dcba"
        await expect(theirs.at(f"#{vendor}-keys-list")).to_contain_text("X-Team")
        await theirs.presses(f"#{vendor}-keys-list .btn-danger")
        await theirs.told()
        assert [entry["api-key"] for entry in theirs.config[f"{vendor}-api-key"]] == [second["api-key"]]


@pytest.mark.usefixtures("november")
async def test_a_compatible_vendor_is_added_edited_and_removed(theirs: Theirs) -> None:
    await theirs.comes_in()
    await theirs.presses("#add-openai-provider")
    await theirs.at("#new-openai-keys-wrapper .api-key-value-input").fill("sk-CANARY-other-0123456789")
    await theirs.at("#new-provider-models-wrapper .model-name-input").fill("m")
    await theirs.saves(new_provider_name="other", new_provider_url="https://other.example/v1")
    await expect(theirs.at("#openai-providers-list .btn-secondary")).to_have_count(2)
    await theirs.presses("#openai-providers-list .btn-secondary")
    await theirs.at("#edit-provider-models-wrapper .model-alias-input").fill("large")
    await theirs.saves()
    acme, other = theirs.config["openai-compatibility"]
    assert acme["api-key-entries"][0]["api-key"] == ACME
    assert acme["models"] == [{"name": "big", "alias": "large"}]
    assert other["api-key-entries"][0]["api-key"] == "sk-CANARY-other-0123456789"
    await theirs.presses("#openai-providers-list .provider-item:nth-child(2) .btn-danger")
    await theirs.told()
    assert [entry["name"] for entry in theirs.config["openai-compatibility"]] == ["acme"]


@pytest.mark.usefixtures("november")
async def test_a_file_is_uploaded_downloaded_and_deleted(theirs: Theirs) -> None:
    known = login(theirs.managed.sandbox, "claude", "claude@example.com", SystemClock().now()).tokens
    assert known is not None
    assert known.refresh is not None
    file = {
        "type": "claude",
        "email": "claude@example.com",
        "access_token": known.access.reveal(),
        "refresh_token": known.refresh.reveal(),
        "expired": explain.at(known.expires_at),
    }
    await theirs.comes_in()
    content = {"name": "ann.json", "mimeType": "application/json", "buffer": json.dumps(file).encode()}
    await theirs.at("#auth-file-input").set_input_files([content])  # type: ignore[list-item]
    await theirs.told()
    row = theirs.at('#auth-files-list [data-filename="ann.json"]')
    await expect(row).to_be_attached()
    async with theirs.page.expect_download() as saved:
        await theirs.presses('#auth-files-list button[data-action="download"]')
    got = await saved.value
    assert got.suggested_filename == "ann.json"
    assert "CANARY" not in text_of(await got.path())
    await theirs.told()
    await theirs.presses('#auth-files-list button[data-action="delete"]')
    await theirs.told()
    await expect(row).to_have_count(0)


@pytest.mark.usefixtures("november")
async def test_a_login_of_each_vendor(theirs: Theirs) -> None:
    await theirs.comes_in()
    theirs.managed.sandbox.set("qwen", device="auto")
    for number, vendor in enumerate(SIGN_INS, 1):
        await theirs.presses(f"#{vendor}-oauth-btn")
        url = theirs.at(f"#{vendor}-oauth-url")
        await expect(url).to_have_value(re.compile("^http"))
        if vendor != "qwen":
            await theirs.managed.browses(await url.input_value())
        await theirs.told()
        await expect(theirs.at("#auth-files-list .file-item")).to_have_count(number)
        await expect(url).to_have_value("")


@pytest.mark.usefixtures("november")
async def test_usage_logs_and_the_file(theirs: Theirs) -> None:
    assert (await theirs.managed.chats("big")).status == 200
    await theirs.comes_in()
    if await theirs.page.evaluate("typeof Chart !== 'undefined'"):  # of a file that brings its plots with it
        await expect(theirs.at("#total-requests")).to_have_text("1")
        await expect(theirs.at("#success-requests")).to_have_text("1")
        await expect(theirs.at("#api-stats-table")).to_contain_text("POST /v1/chat/completions")

    await theirs.presses("#logging-to-file-toggle")
    await theirs.told()
    assert (await theirs.managed.chats("big")).status == 200
    await theirs.presses('[data-section="logs"]')
    await expect(theirs.at("#logs-content .logs-text")).to_contain_text("relayed")
    await theirs.presses("#clear-logs")
    await theirs.told()

    await theirs.presses('[data-section="config-management"]')
    editor = theirs.at("#config-editor")
    await expect(editor).to_have_value(re.compile("# A person wrote this line."))
    text = await editor.input_value()
    assert "CANARY" not in text
    await editor.evaluate(
        "(element, text) => { element.value = text; element.dispatchEvent(new Event('input')) }",
        text + "request-retry: 7\n",
    )
    await theirs.presses("#config-save-btn")
    await theirs.told()
    assert theirs.config["request-retry"] == 7
    assert theirs.config["api-keys"] == [CLIENT_KEY]
    await editor.evaluate("element => { element.value = 'a: [' ; element.dispatchEvent(new Event('input')) }")
    await theirs.presses("#config-save-btn")
    await theirs.told("error")
    assert theirs.refused == ["PUT /v0/management/config.yaml: 400"]
    theirs.refused.clear()
