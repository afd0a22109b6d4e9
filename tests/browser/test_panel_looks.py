"""Every page in light, dark and at phone width, for axe-core and for a person's eyes; what it weighs; and many rows."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from panel_looks import axe, measured, picture, stands, violations, whole_picture
from panel_page import HEADINGS, tab
from panel_world import PAST, World
from playwright.async_api import Browser, expect

#: Bytes on the wire until the overview stands there with its plot drawn.
LIGHT = 100_000

DESK = {"viewport": {"width": 1280, "height": 900}}
MODES: dict[str, dict[str, Any]] = {
    "light": DESK | {"color_scheme": "light"},
    "dark": DESK | {"color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
        "color_scheme": "light",
    },
}


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go: `VAULTD_SHOTS`, else this run's own folder."""
    folder = Path(os.environ.get("VAULTD_SHOTS") or tmp_path_factory.mktemp("shots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


VENDORS = ("claude", "codex", "gemini", "qwen", "iflow")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lived_in(house: World) -> AsyncIterator[World]:
    """A house as it looks after some weeks: of five accounts one rests, one is switched off and one is dead."""
    house.sandbox.set("claude", answer_headers=_claude_says())
    house.sandbox.set("codex", answer_headers=_codex_says())
    ids = {vendor: await house.has(vendor, "ana@example.com") for vendor in VENDORS}
    for model in ("claude://claude-sonnet-4-5", "codex://gpt-5-codex", "big"):
        await house.says("count to 30", model)
    house.sandbox.exhaust("gemini", seconds=2400)
    await house.says("say hello", "gemini://gemini-2.5-pro")
    house.sandbox["iflow"].sign_out("ana@example.com")
    await house.asks("POST", f"/credentials/{ids['iflow']}/refresh")
    await house.asks("PATCH", f"/credentials/{ids['qwen']}", {"disabled": True})
    yield house
    house.sandbox["gemini"].exhausted.clear()


def _claude_says() -> dict[str, str]:
    now = int(time.time())
    return {
        "anthropic-ratelimit-unified-status": "allowed",
        "anthropic-ratelimit-unified-5h-utilization": "0.64",
        "anthropic-ratelimit-unified-5h-reset": f"{now + 9000}",
        "anthropic-ratelimit-unified-7d-utilization": "0.91",
        "anthropic-ratelimit-unified-7d-reset": f"{now + 190_000}",
    }


def _codex_says() -> dict[str, str]:
    return {
        "x-codex-primary-used-percent": "23",
        "x-codex-primary-window-minutes": "300",
        "x-codex-primary-reset-after-seconds": "9000",
        "x-codex-secondary-used-percent": "41",
        "x-codex-secondary-window-minutes": "10080",
        "x-codex-secondary-reset-after-seconds": "190000",
    }


@pytest.mark.parametrize("mode", MODES)
async def test_every_page_is_looked_at_and_shuts_nobody_out(
    browser: Browser, lived_in: World, shots: Path, mode: str
) -> None:
    script, grave = axe(), {}
    async with await browser.new_context(locale="en-GB", reduced_motion="reduce", **MODES[mode]) as context:
        panel = await tab(lived_in, context)
        for name in HEADINGS:
            await panel.opens(name)
            await stands(panel)
            await picture(panel, shots, f"{name}-{mode}")
            await whole_picture(panel, shots, f"{name}-{mode}-whole")
            grave[name] = await violations(panel, script)
            wide = await panel.evaluates("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{name} is {wide} px wider than its window"
        dialogs = {"credentials": ({"sign_in": "qwen"}, "Cancel the sign-in"), "models": ({"model": "big"}, "Close")}
        for name, (query, away) in dialogs.items():
            await panel.opens(name, **query)
            await stands(panel)
            await expect(panel.dialog.get_by_role("button", name=away)).to_be_visible()
            await picture(panel, shots, f"{name}-dialog-{mode}")
            grave[f"{name} dialog"] = await violations(panel, script)
            await panel.dialog.get_by_role("button", name=away).click()
            await expect(panel.dialog).to_have_count(0)
        assert panel.faults == []
    assert {name: found for name, found in grave.items() if found} == {}


async def test_the_door_and_chinese_pages_are_looked_at(browser: Browser, lived_in: World, shots: Path) -> None:
    script = axe()
    async with await browser.new_context(locale="zh-CN", reduced_motion="reduce", **MODES["light"]) as context:
        panel = await tab(lived_in, context, key=None)
        await panel.page.goto(f"{lived_in.url}/management.html")
        await expect(panel.page.locator("html")).to_have_attribute("lang", "zh-CN")
        await expect(panel.page.locator("input[type=password]")).to_be_visible()
        await picture(panel, shots, "door-chinese")
        assert await violations(panel, script) == []
    async with await browser.new_context(locale="zh-CN", reduced_motion="reduce", **MODES["light"]) as context:
        panel = await tab(lived_in, context)
        for name in ("overview", "credentials", "settings"):
            await panel.page.goto(f"{lived_in.url}/management.html#/{name}")
            await expect(panel.page.locator("h1")).to_be_visible()
            await stands(panel)
            await whole_picture(panel, shots, f"{name}-chinese")
        assert panel.faults == []


async def test_the_overview_stands_there_for_less_than_100_kb(browser: Browser, lived_in: World, shots: Path) -> None:
    async with await browser.new_context(locale="en-GB") as context:
        panel = await tab(lived_in, context)
        wire = await context.new_cdp_session(panel.page)
        sizes: list[float] = []
        wire.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
        await wire.send("Network.enable")
        await panel.opens("overview")
        await stands(panel)
        painted = await panel.evaluates("performance.getEntriesByName('first-contentful-paint').length")
        measured(shots, f"overview: {sum(sizes):.0f} bytes in {len(sizes)} answers")
        assert painted == 1 and 0 < sum(sizes) < LIGHT


async def test_a_hundred_thousand_requests_are_a_few_hundred_numbers_to_the_page(
    browser: Browser, lived_in: World, shots: Path
) -> None:
    """What is drawn depends on the span and not on how many requests there were, so nothing stands still."""
    async with await browser.new_context(locale="en-GB", **MODES["light"]) as context:
        panel = await tab(lived_in, context)
        await context.add_init_script(
            "globalThis.tasks = []; new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) =>"
            " one.duration))).observe({type: 'longtask', buffered: true});"
        )
        await panel.opens("overview")
        await stands(panel)
        sums = await lived_in.asks("GET", "/usage/sums", params={"by": "total"})
        assert sums.json["rows"][0]["requests"] >= PAST
        numbers = []
        for by in ("model", "credential", "client", "provider"):
            async with panel.page.expect_response(lambda answer, by=by: f"by={by}" in answer.url) as asked:
                await panel.page.get_by_role("combobox", name="Split by").select_option(by)
            series = await (await asked.value).json()
            numbers.append(sum(len(row["requests"]) for row in series["rows"]))
        async with panel.page.expect_response(
            lambda answer: "/usage/series" in answer.url and "every=day" in answer.url
        ):
            await panel.page.get_by_role("tab", name="90 days").click()
        # It hears a person while it draws.
        await panel.page.keyboard.press("?")
        await expect(panel.dialog).to_be_visible()
        await panel.page.keyboard.press("Escape")
        await stands(panel)
        inked = """() => {
          const canvas = document.querySelector('.plot-canvas canvas');
          const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          let n = 0;
          for (let at = 3; at < data.length; at += 4) n += data[at] > 0;
          return n / (canvas.width * canvas.height);
        }"""
        assert await panel.evaluates(inked) > 0.02, "something is drawn"
        # Twelve rows and the rest, of 24 hours.
        assert max(numbers) <= 13 * 25
        await expect(panel.page.get_by_role("group", name="Recent requests").locator("tbody tr")).to_have_count(12)
        tasks = await panel.evaluates("tasks")
        longest = max(tasks, default=0)
        measured(shots, f"plots: {len(tasks)} long tasks, {sum(tasks):.0f} ms together, the longest {longest:.0f} ms")
        assert panel.faults == []
