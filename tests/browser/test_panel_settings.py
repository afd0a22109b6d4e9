"""A setting is changed from the page: checked, shown, written where it stood; comments and others' edits stay."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest_asyncio
from panel_page import Panel
from playwright.async_api import Locator, expect


def setting(panel: Panel, path: str) -> Locator:
    return panel.page.locator(".setting").filter(has=panel.page.locator(f'.setting-name code:text-is("{path}")'))


def control(panel: Panel, path: str) -> Locator:
    return panel.page.get_by_label(path, exact=True)


@pytest_asyncio.fixture(loop_scope="session")
async def settings(panel: Panel) -> AsyncIterator[Panel]:
    """The page; the file is put back as it was."""
    before = panel.world.config.read_text()
    await panel.opens("settings")
    yield panel
    panel.world.config.write_text(before)


async def reviews(panel: Panel) -> Locator:
    await panel.button("Review and save").click()
    await expect(panel.dialog.get_by_role("heading", level=2)).to_have_text("These lines will change")
    return panel.dialog


async def test_a_change_is_shown_saved_and_in_force_and_every_comment_stays(settings: Panel) -> None:
    before = settings.world.config.read_text()
    await control(settings, "routing.strategy").select_option("fill-first")
    await control(settings, "request-retry").fill("3")
    dialog = await reviews(settings)
    diff = dialog.get_by_role("region", name="What changes in the file")
    await expect(diff.locator(".gone")).to_have_text([re.compile("round-robin"), re.compile("request-retry: 1")])
    await expect(diff.locator(".added")).to_have_text([re.compile("fill-first"), re.compile("request-retry: 3")])
    assert settings.world.config.read_text() == before, "shown is not written"
    await dialog.get_by_role("button", name="Save").click()
    await settings.told("Saved and in force.")
    wanted = before.replace("strategy: round-robin", "strategy: fill-first").replace("retry: 1 ", "retry: 3 ")
    assert settings.world.config.read_text() == wanted
    assert (await settings.world.asks("GET", "/request-retry")).json == {"request-retry": 3}
    await expect(setting(settings, "request-retry")).to_contain_text("in the file")
    await expect(settings.page.get_by_role("region", name=re.compile("not saved"))).to_have_count(0)


async def test_a_value_that_is_none_is_told_beside_its_field_and_not_written(settings: Panel) -> None:
    before = settings.world.config.read_bytes()
    await control(settings, "request-retry").fill("-4")
    await expect(setting(settings, "request-retry").get_by_role("alert")).to_be_visible()
    await control(settings, "max-retry-credentials").fill("many")
    await expect(setting(settings, "max-retry-credentials").get_by_role("alert")).to_have_text("A number is expected.")
    await expect(settings.button("Review and save")).to_be_disabled()
    await control(settings, "max-retry-credentials").fill("2")
    await settings.button("Review and save").click()
    await expect(control(settings, "request-retry")).to_be_focused()
    await expect(settings.dialog).to_have_count(0)
    assert settings.world.config.read_bytes() == before
    await settings.button("Discard").click()
    await expect(control(settings, "request-retry")).to_have_value("1")


async def test_who_edits_the_file_meanwhile_loses_nothing(settings: Panel) -> None:
    await control(settings, "request-retry").fill("2")
    dialog = await reviews(settings)
    settings.world.config.write_text(settings.world.config.read_text() + "max-retry-credentials: 5  # by hand\n")
    settings.meets.add(412)
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("The file was changed meanwhile")
    assert "request-retry: 1" in settings.world.config.read_text()
    await dialog.get_by_role("button", name="Load it, keep my changes").click()
    await (await reviews(settings)).get_by_role("button", name="Save").click()
    await settings.told("Saved and in force.")
    text = settings.world.config.read_text()
    assert "request-retry: 2  # one more round" in text and "max-retry-credentials: 5  # by hand" in text


async def test_the_file_as_text_keeps_its_secrets_masked_and_itself_whole(settings: Panel) -> None:
    before = settings.world.config.read_text()
    await settings.page.get_by_role("tab", name="File").click()
    text = settings.page.get_by_role("textbox", name="The file")
    await expect(text).to_have_attribute("spellcheck", "false")  # no browser sends it to be spelled
    shown = await text.input_value()
    assert "CANARY" not in shown and "# Turns are taken until March." in shown
    await text.fill(shown.replace("request-retry: 1", "request-retry: [1"))
    await settings.button("Review and save").click()
    await expect(settings.page.locator("#raw-errors p")).not_to_have_count(0)
    await text.fill(shown.replace("request-retry: 1", "request-retry: 2"))
    dialog = await reviews(settings)
    await expect(dialog.locator(".added")).to_have_count(1)
    await dialog.get_by_role("button", name="Save").click()
    await settings.told("Saved and in force.")
    assert settings.world.config.read_text() == before.replace("request-retry: 1", "request-retry: 2")


async def test_what_no_page_may_change_is_locked(settings: Panel) -> None:
    for path in ("remote-management.allow-remote", "remote-management.secret-key"):
        await expect(setting(settings, path)).to_contain_text("locked")
        await expect(control(settings, path)).to_be_disabled()


async def test_unsaved_changes_outlast_another_page(settings: Panel) -> None:
    await control(settings, "request-retry").fill("7")
    await settings.goes("logs")
    await settings.goes("settings")
    await expect(control(settings, "request-retry")).to_have_value("7")
    await settings.button("Discard").click()
