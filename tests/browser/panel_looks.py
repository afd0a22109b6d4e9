"""How a page looks and whether everybody can use it: pictures for a person to look at, and axe-core's judgement."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from panel_page import Panel
from playwright.async_api import expect

TOOLS = Path(os.environ.get("VAULTD_TOOLS", Path(__file__).parents[2] / ".tools"))
_AXE = TOOLS / "node_modules" / "axe-core" / "axe.min.js"

#: Twice as many pixels on a phone, and Chromium draws no more than 16,384 in a row.
_HIGHEST = 8000

#: What keeps somebody out.
_GRAVE = {"serious", "critical"}
_RUN = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.map(
  ({id, impact, help, nodes}) => ({id, impact, help, at: nodes.map((node) => node.target.join(' ')).slice(0, 4)}))"""


def axe() -> str:
    """The script, or the test is skipped with the reason."""
    if not _AXE.is_file():
        why = f"axe-core is not at {_AXE}: npm install --prefix {TOOLS} axe-core"
        if os.environ.get("VAULTD_REQUIRE_TOOLS") == "1":
            pytest.fail(f"{why}, and VAULTD_REQUIRE_TOOLS=1 forbids skipping")
        pytest.skip(why)
    return _AXE.read_text()


async def violations(panel: Panel, script: str) -> list[dict[str, Any]]:
    """Through the debugger, which no policy of the page's stands against."""
    if not await panel.evaluates("'axe' in window"):
        await panel.evaluates(script)
    found: list[dict[str, Any]] = await panel.evaluates(_RUN)
    return [one for one in found if one["impact"] in _GRAVE]


async def stands(panel: Panel) -> None:
    """Everything that was asked for is there, plots drawn."""
    await expect(panel.page.locator(".skeleton")).to_have_count(0)
    if "overview" in panel.page.url:
        await expect(panel.page.locator(".plot-canvas canvas")).to_be_visible()
    await panel.evaluates("() => document.fonts.ready.then(() => new Promise(requestAnimationFrame))")


async def picture(panel: Panel, folder: Path, name: str) -> None:
    """As it stands in the window."""
    await panel.page.screenshot(path=folder / f"{name}.png", animations="disabled")


async def whole_picture(panel: Panel, folder: Path, name: str) -> None:
    """In a window as high as the page, so that what stays in place while one scrolls stands where it belongs."""
    size = panel.page.viewport_size
    assert size is not None
    high = min(_HIGHEST, await panel.evaluates("document.documentElement.scrollHeight"))
    await panel.page.set_viewport_size({"width": size["width"], "height": max(size["height"], high)})
    await picture(panel, folder, name)
    await panel.page.set_viewport_size(size)


def measured(folder: Path, words: str) -> None:
    """Beside the pictures, for whoever wants to know how far the limit is."""
    with (folder / "measured.txt").open("a") as file:
        file.write(f"{words}\n")
