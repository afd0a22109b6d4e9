"""A person signs in to each vendor from the page: by the link, by pasting, by a code; and sees it become usable."""

from __future__ import annotations

import re

from panel_page import Panel
from playwright.async_api import Locator, Page, expect

from vaultd.sandbox import Sandbox

CLAUDE, CODEX, GEMINI, IFLOW, QWEN = (
    "Claude (Claude Code)",
    "ChatGPT (Codex)",
    "Google (Gemini CLI)",
    "iFlow",
    "Qwen (Qwen Code)",
)


async def begins(panel: Panel, vendor: str) -> Locator:
    """From the page's main button to the sign-in's own dialog."""
    await panel.opens("credentials")
    await panel.button("Sign in").click()
    await panel.dialog.get_by_role("button", name=vendor).click()
    await expect(panel.dialog.get_by_role("heading", level=2)).to_have_text(f"Sign in to {vendor}")
    return panel.dialog


async def follows(panel: Panel) -> Page:
    """The link out, in a tab of its own, to wherever it ends."""
    async with panel.context.expect_page() as opened:
        await panel.dialog.get_by_role("link", name="Open the page").click()
    page = await opened.value
    await page.wait_for_load_state()
    return page


async def is_usable(panel: Panel, vendor: str, account: str) -> None:
    """Told in the dialog, and standing in the table."""
    await expect(panel.dialog).to_contain_text(f"Signed in to {vendor}")
    await expect(panel.dialog).to_contain_text("available")
    await panel.button("Done").click()
    await expect(panel.row(account, "Credentials")).to_contain_text(vendor)
    await expect(panel.row(account, "Credentials")).to_contain_text("available")


def person(sandbox: Sandbox, vendor: str, name: str) -> str:
    sandbox.set(vendor, account=f"{name}@example.com")
    return f"{name}@example.com"


async def test_the_link_is_opened_and_the_answer_comes_back_by_itself(panel: Panel) -> None:
    account = person(panel.world.sandbox, "codex", "cora")
    await begins(panel, CODEX)
    last = await follows(panel)
    assert await last.evaluate("window.opener") is None, "the vendor's page holds no handle on ours"
    await is_usable(panel, CODEX, account)


async def test_the_address_that_the_browser_ended_on_is_pasted(panel: Panel) -> None:
    account = person(panel.world.sandbox, "iflow", "ida")
    dialog = await begins(panel, IFLOW)
    url = await dialog.get_by_role("link", name="Open the page").get_attribute("href")
    pasted = dialog.get_by_label("Address of the last page")
    panel.meets.add(400)
    await pasted.fill("http://localhost:1/oauth2callback?code=not-it")
    await dialog.get_by_role("button", name="Finish").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("the sign-in is still waiting")
    await pasted.fill(await panel.world.redirect_of(str(url)))
    await dialog.get_by_role("button", name="Finish").click()
    await is_usable(panel, IFLOW, account)


async def test_the_code_that_a_page_shows_is_pasted(panel: Panel) -> None:
    account = person(panel.world.sandbox, "claude", "clara")
    dialog = await begins(panel, CLAUDE)
    await dialog.get_by_role("tab", name="code from a page").click()
    await expect(dialog.get_by_role("heading", name="Paste the code it shows")).to_be_visible()
    shown = await (await follows(panel)).locator("#code").inner_text()
    await dialog.get_by_label("Code", exact=True).fill(shown)
    await dialog.get_by_role("button", name="Finish").click()
    await is_usable(panel, CLAUDE, account)


async def test_a_code_is_entered_on_the_vendors_page(panel: Panel) -> None:
    dialog = await begins(panel, QWEN)
    code = await dialog.get_by_label("The code to enter").inner_text()
    await expect(dialog.locator(".countdown")).to_have_text(re.compile(r"[45]:\d\d left"))
    await dialog.get_by_role("button", name="QR code for a phone").click()
    await expect(dialog.get_by_role("img", name=f"QR code of the sign-in page of {QWEN}")).to_be_visible()
    async with await panel.context.new_page() as phone:
        await phone.goto(f"{panel.world.sandbox.url}/qwen/device")
        await phone.get_by_label("Code").fill(code)
        await phone.get_by_role("button", name="Allow").click()
        await expect(phone.locator("body")).to_contain_text("Signed in")
    name = dialog.get_by_label(f"{QWEN} gives no name. What shall this account be called?")
    await name.fill("quinn")
    await dialog.get_by_role("button", name="Go on").click()
    await is_usable(panel, QWEN, "quinn")


async def test_google_asks_which_project(panel: Panel) -> None:
    account = person(panel.world.sandbox, "gemini", "gus")
    panel.world.sandbox.set("gemini", projects=["garden", "kitchen"])
    dialog = await begins(panel, GEMINI)
    await follows(panel)
    await expect(dialog.get_by_role("group", name="Which Google Cloud project?")).to_be_visible()
    await dialog.get_by_role("radio", name="kitchen").check()
    await dialog.get_by_role("button", name="Go on").click()
    await is_usable(panel, GEMINI, account)
    await panel.row(account, "Credentials").locator(".row-button").click()
    await expect(panel.dialog.get_by_label("Google projects")).to_have_value("kitchen")


async def test_a_sign_in_waits_while_one_looks_elsewhere_and_ends_when_it_is_cancelled(panel: Panel) -> None:
    dialog = await begins(panel, CODEX)
    url = str(await dialog.get_by_role("link", name="Open the page").get_attribute("href"))
    redirect = await panel.world.redirect_of(url)
    await dialog.get_by_role("button", name="Close, it keeps waiting").click()
    waiting = panel.page.locator(".pending li").filter(has_text=f"The sign-in to {CODEX} is not finished")
    await panel.page.reload()
    await waiting.get_by_role("button", name="Go on").click()
    await expect(panel.dialog.get_by_role("link", name="Open the page")).to_have_attribute("href", url)
    await panel.dialog.get_by_role("button", name="Cancel the sign-in").click()
    await expect(panel.dialog).to_have_count(0)
    await expect(waiting).to_have_count(0)
    told = await panel.world.asks("POST", "/oauth-callback", {"provider": "codex", "redirect_url": redirect})
    assert told.status == 409, told.text


async def test_a_vendor_that_says_no_is_told_and_tried_again(panel: Panel) -> None:
    account = person(panel.world.sandbox, "codex", "cyril")
    panel.world.sandbox.set("codex", consent="deny")
    dialog = await begins(panel, CODEX)
    await follows(panel)
    await expect(dialog.get_by_role("alert")).to_contain_text("The sign-in failed")
    panel.world.sandbox.set("codex", consent="open")
    await dialog.get_by_role("button", name="Start again").click()
    await expect(dialog.get_by_role("link", name="Open the page")).to_be_visible()
    await follows(panel)
    await is_usable(panel, CODEX, account)
