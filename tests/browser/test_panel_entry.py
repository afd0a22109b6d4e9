"""The door and the frame: the key prompt and its refusals, keyboard, languages, themes, and a daemon that is away."""

from __future__ import annotations

import re

from managed import KEY
from panel_page import HEADINGS, KEPT, Panel, tab
from playwright.async_api import Browser, expect

from vaultd.server.management.bans import WRONG


async def at_the_door(panel: Panel) -> None:
    await panel.page.goto(f"{panel.world.url}/management.html")
    await expect(panel.page.get_by_role("heading", level=1)).to_have_text("Management key")
    await expect(panel.page.get_by_label("Key")).to_be_focused()


async def tries(panel: Panel, key: str) -> None:
    await panel.page.get_by_label("Key").fill(key)
    await panel.button("Open").click()


async def test_the_key_opens_the_page_for_this_tab_alone_until_it_is_forgotten(panel: Panel, browser: Browser) -> None:
    async with await browser.new_context(locale="en-GB") as context:
        own = await tab(panel.world, context, key=None)
        await at_the_door(own)
        await tries(own, KEY)
        await expect(own.page.get_by_role("heading", level=1)).to_have_text("Overview")
        kept = await own.evaluates("[Object.keys(localStorage), document.cookie, Object.keys(sessionStorage)]")
        assert kept == [[], "", [KEPT]]
        assert KEY not in own.page.url
        other = await tab(panel.world, context, key=None)
        await at_the_door(other)
        await own.page.reload()
        await expect(own.page.get_by_role("heading", level=1)).to_have_text("Overview")
        await own.button("Forget the key and leave").click()
        await expect(own.page.get_by_role("heading", level=1)).to_have_text("Management key")
        assert await own.evaluates("sessionStorage.length") == 0
        assert own.faults + other.faults == []


async def test_a_wrong_key_is_told_and_five_of_them_from_elsewhere_shut_the_door(far: Panel) -> None:
    far.meets |= {401, 403}
    await at_the_door(far)
    for _ in range(WRONG):
        await tries(far, "CANARY-wrong")
        await expect(far.page.get_by_role("alert")).to_contain_text("That is not the key")
        await expect(far.button("Open")).to_be_enabled()
    await tries(far, KEY)
    await expect(far.page.get_by_role("alert")).to_contain_text("Too many wrong keys")
    await expect(far.page.get_by_role("alert")).to_contain_text(re.compile(r"Try again in (30|29) min"))


async def test_a_key_that_is_taken_away_meanwhile_leads_back_to_the_door(panel: Panel) -> None:
    panel.meets.add(401)
    await panel.opens("overview")
    script = "async () => { (await import('/panel/api.js')).keepKey('CANARY-old'); location.hash = '#/logs'; }"
    await panel.evaluates(script)
    await expect(panel.page.get_by_role("heading", level=1)).to_have_text("Management key")
    await expect(panel.page.get_by_role("alert")).to_contain_text("invalid management key")


async def test_every_page_is_reached_by_keys_and_a_dialog_keeps_the_focus(panel: Panel) -> None:
    await panel.opens("overview")
    press = panel.page.keyboard.press
    for key, name in (("c", "Credentials"), ("m", "Models"), ("k", "Clients"), ("l", "Logs"), ("s", "Settings")):
        await press("g")
        await press(key)
        heading = panel.page.get_by_role("heading", level=1)
        await expect(heading).to_have_text(name)
        await expect(heading).to_be_focused()
    # Its heading is there before its settings are.
    await expect(panel.page.get_by_label("Find a setting")).to_be_visible()
    await press("/")
    await expect(panel.page.get_by_label("Find a setting")).to_be_focused()
    await panel.page.keyboard.type("g c")
    await expect(panel.page.get_by_role("heading", level=1)).to_have_text("Settings")
    await press("Escape")
    await expect(panel.page.get_by_label("Find a setting")).to_have_value("")
    await press("Escape")
    await press("?")
    await expect(panel.dialog).to_contain_text("Keyboard")
    for _ in range(4):
        await press("Tab")
        # After its last control the focus goes by the browser's own frame, which is nobody's element.
        assert await panel.evaluates("document.activeElement.matches('dialog *, body')")
    await press("g")
    await press("o")
    await expect(panel.dialog).to_be_visible()
    await press("Escape")
    await expect(panel.dialog).to_have_count(0)
    await press("g")
    await press("o")
    await expect(panel.page.get_by_role("heading", level=1)).to_have_text("Overview")


async def test_a_dialog_gives_the_focus_back_to_what_opened_it(panel: Panel) -> None:
    await panel.opens("clients")
    await panel.button("New key").focus()
    await panel.page.keyboard.press("Enter")
    await expect(panel.dialog.get_by_label("Name")).to_be_focused()
    await panel.page.keyboard.press("Escape")
    await expect(panel.button("New key")).to_be_focused()


async def test_the_page_speaks_chinese_when_asked_and_keeps_to_it(panel: Panel) -> None:
    await panel.opens("overview")
    await expect(panel.page.locator("html")).to_have_attribute("lang", "en")
    await panel.page.locator('.tools button[lang="zh-CN"]').click()
    await expect(panel.page.locator("html")).to_have_attribute("lang", "zh-CN")
    seen = await panel.page.get_by_role("heading", level=1).inner_text()
    assert re.search(r"[\u4e00-\u9fff]", seen), seen
    await panel.page.reload()
    await expect(panel.page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(panel.page.get_by_role("heading", level=1)).to_have_text(seen)


async def test_every_text_of_a_page_has_its_chinese(panel: Panel) -> None:
    await panel.opens("overview")
    script = """async (pages) => {
      const lack = [];
      for (const page of pages) {
        const at = (lang) => page === "shell" ? `/panel/texts/${lang}.js` : `/panel/texts/${page}.${lang}.js`;
        const [en, zh] = (await Promise.all(["en", "zh"].map((lang) => import(at(lang))))).map((one) => one.default);
        for (const key of Object.keys(en)) if (!key.endsWith(".one") && !zh[key]) lack.push(`${page}: ${key}`);
        const holes = (text) => (text.match(/\\{\\w+\\}/g) ?? []).sort().join();
        const same = (key) => !zh[key] || holes(en[key]) === holes(zh[key]);
        lack.push(...Object.keys(en).filter((key) => !same(key)).map((key) => `${page}: {} of ${key}`));
      }
      return lack;
    }"""
    assert await panel.evaluates(script, ["shell", "entry", *HEADINGS]) == []


async def test_the_theme_is_the_systems_until_another_is_chosen(panel: Panel) -> None:
    light, dark = "rgb(246, 247, 249)", "rgb(16, 18, 24)"
    body = panel.page.locator("body")
    await panel.page.emulate_media(color_scheme="light")
    await panel.opens("overview")
    await expect(body).to_have_css("background-color", light)
    await panel.page.emulate_media(color_scheme="dark")
    await expect(body).to_have_css("background-color", dark)
    await panel.button("Theme: as the system").click()
    await expect(body).to_have_css("background-color", light)
    await panel.button("Theme: light").click()
    await expect(body).to_have_css("background-color", dark)
    await panel.page.emulate_media(color_scheme="light")
    await panel.page.reload()
    await expect(body).to_have_css("background-color", dark)
    await panel.button("Theme: dark").click()
    await expect(body).to_have_css("background-color", light)


async def test_a_daemon_that_is_away_is_told_and_found_again(panel: Panel) -> None:
    await panel.opens("overview")
    await panel.context.set_offline(True)
    await panel.goes("logs")
    await expect(
        panel.page.get_by_text("This page could not be loaded").or_(panel.page.locator(".note.bad")).first
    ).to_be_visible()
    await panel.context.set_offline(False)
    await panel.page.get_by_role("button", name="Try again").first.click()
    await expect(panel.page.get_by_role("log")).to_contain_text("listening")
    panel.faults[:] = [fault for fault in panel.faults if "ERR_INTERNET_DISCONNECTED" not in fault]


async def test_thr_26_the_page_needs_nobody_but_the_daemon(panel: Panel) -> None:
    """With every other host out of reach (and each request to one a fault), each page comes whole; an altered or inline
    script runs in none, for the policy that the daemon sends allows its own files alone."""
    for name in HEADINGS:
        await panel.opens(name)
    ran = await panel.evaluates(
        """() => {
          const script = Object.assign(document.createElement('script'), {textContent: 'globalThis.ran = true'});
          document.head.append(script);
          return globalThis.ran === true;
        }"""
    )
    assert not ran
    refused = await panel.evaluates(
        """() => new Promise((told) => {
          addEventListener('securitypolicyviolation', (event) => told(event.effectiveDirective));
          document.head.append(Object.assign(document.createElement('script'), {src: 'http://localhost:9/evil.js'}));
        })"""
    )
    assert refused == "script-src-elem"
    *told, asked = panel.faults
    assert len(told) == 2 and all("Content Security Policy" in fault for fault in told)
    assert asked == "asked http://localhost:9/evil.js"  # and was refused before it left
    panel.faults.clear()
