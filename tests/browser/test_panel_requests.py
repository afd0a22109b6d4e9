"""What clients ask is seen while it runs, afterwards and in the log; and a model is tried from the page."""

from __future__ import annotations

import asyncio
import re

from panel_page import Panel
from playwright.async_api import expect


async def test_a_request_is_seen_while_it_runs_and_when_it_is_over(panel: Panel) -> None:
    await panel.opens("overview")
    vendor = panel.world.sandbox["invented"]
    panel.world.sandbox.fault("invented", at="llm", do="hang", model="small")
    async with asyncio.TaskGroup() as tasks:
        request = tasks.create_task(panel.world.says("say hello", "small"))
        live = panel.row("small", "Under way")
        await expect(live).to_contain_text("POST /v1/chat/completions")
        await expect(panel.page.get_by_text("1 running")).to_be_visible()
        vendor.release()
    assert request.result().status == 200
    used = request.result().json["usage"]
    await expect(panel.page.get_by_text("No request is being served right now.")).to_be_visible()
    over = panel.row("small", "Recent requests").first
    await expect(over).to_contain_text("200")
    await expect(over).to_contain_text(f"{used['prompt_tokens']} → {used['completion_tokens']}")


async def test_a_request_that_failed_is_found_among_all_others(panel: Panel) -> None:
    await panel.opens("overview")
    assert (await panel.world.says("say hello", "nobody-has-this")).status == 404
    await panel.page.get_by_role("switch", name="Failed only").check()
    await expect(panel.row("nobody-has-this", "Recent requests").first).to_contain_text("404")


async def test_a_model_is_tried_and_answers_piece_by_piece(panel: Panel) -> None:
    await panel.opens("models")
    await panel.page.get_by_label("Model, provider or credential").fill("big")
    await panel.button("Try big").click()
    answer = panel.dialog.locator(".answer-text")
    panel.world.sandbox.fault("invented", at="llm", do="stall", after_events=5, model="big")
    await panel.dialog.get_by_label("Ask").fill("count to 40")
    await panel.dialog.get_by_role("button", name="Send").click()
    await expect(answer).to_have_text("1 2 3 4")
    panel.world.sandbox["invented"].release()
    await expect(answer).to_have_text(" ".join(map(str, range(1, 41))))
    await expect(panel.dialog.locator(".answer-head")).to_contain_text("served by")
    await expect(panel.dialog.locator(".answer-foot")).to_contain_text(re.compile(r"\d+ tokens in, \d+ out"))


async def test_a_model_that_cannot_answer_says_why(panel: Panel) -> None:
    await panel.opens("models", model="big")
    panel.world.sandbox.deny("invented", why="policy", model="big")
    await panel.dialog.get_by_role("button", name="Send").click()
    await expect(panel.dialog.get_by_role("alert")).to_be_visible()
    panel.world.sandbox["invented"].denials.clear()
    await panel.dialog.get_by_role("tab", name="Code").click()
    await expect(panel.dialog.get_by_role("region", name="curl")).to_contain_text(panel.world.url)
    await panel.dialog.get_by_role("tab", name="Who serves it").click()
    await expect(panel.dialog.locator(".who li")).to_contain_text("acme")


async def test_the_log_is_seen_as_it_is_written_and_filtered(panel: Panel) -> None:
    await panel.opens("logs")
    log = panel.page.get_by_role("log")
    lines = log.locator(".log-line")
    await expect(log).to_contain_text("listening")
    # Other tests are in it too: from here on it is empty.
    await panel.button("Clear view").click()
    await expect(lines).to_have_count(0)
    await panel.page.get_by_label("Text, or name=value").fill("client key refused")
    assert (await panel.world.says("say hello", key="sk-CANARY-nobodys")).status == 401
    await expect(lines).to_have_count(1)
    await expect(lines.last).to_contain_text("peer=127.0.0.1")
    await panel.button("Pause").click()
    await panel.world.says("say hello", key="sk-CANARY-nobodys")
    await expect(panel.page.get_by_role("button", name=re.compile(r"Go on \(\d+ waiting\)"))).to_be_visible()
    await expect(lines).to_have_count(1)
    await panel.page.get_by_role("button", name=re.compile("Go on")).click()
    await expect(lines).to_have_count(2)
    await panel.page.get_by_label("From level").select_option("ERROR")
    await expect(panel.page.get_by_text("No line from level Error on with that text")).to_be_visible()
    await panel.page.get_by_role("button", name=re.compile(r"Show all \d+ lines")).click()
    await expect(lines.filter(has_text="client key refused")).to_have_count(2)
