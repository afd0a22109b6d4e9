"""Words of strangers in the page and in what is copied from it; and a house that is slow, large or far away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from typing import Any

import pytest
from panel_page import Panel, tab
from playwright.async_api import Browser, Route, expect

#: Leaves every kind of quotes and, where a shell reads it, runs.
HOSTILE = "m\"'$(echo RAN)`echo RAN`'; echo RAN #<img src=x onerror=alert(1)>"

BLOCKS = """async ([address, key, model]) => {
  const { RECIPES } = await import("/panel/pages/clients_recipes.js");
  const { SAMPLES } = await import("/panel/pages/models_samples.js");
  const all = RECIPES.flatMap((one) => one.blocks({ address, key, model }));
  const recipes = all.filter((block) => block.language === "sh");
  return [...recipes.map((block) => block.text), ...SAMPLES.map((one) => one.curl(address, model))];
}"""

DRAWN = """async ([module, name, props]) => {
  const [{ h, render }, drawn, { loadTexts }] = await Promise.all([
    import("/panel/vendor/preact.js"), import(module), import("/panel/i18n.js"),
  ]);
  await loadTexts("credentials");
  const box = document.body.appendChild(Object.assign(document.createElement("div"), { id: "drawn" }));
  if (props.count) props.rows = Array.from({ length: props.count }, (_, id) => ({ id }));
  render(h(drawn[name], props), box);
}"""


def run(code: str) -> list[list[str]]:
    """What a shell hands to the programs that the code calls; each prints its words."""
    programs = "".join(f"{name}() {{ printf '%s\\1' \"$@\"; printf '\\2'; }}\n" for name in ("curl", "gemini"))
    shown = "claude() { printf '%s\\1' \"$ANTHROPIC_MODEL\"; printf '\\2'; }\ncodex() { :; }\n"
    done = subprocess.run(["/bin/sh", "-c", programs + shown + code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [call.split("\1")[:-1] for call in done.stdout.split("\2")[:-1]]


async def test_a_models_name_never_leaves_its_quotes_in_a_command_to_copy(panel: Panel) -> None:
    await panel.opens("clients")
    commands = await panel.evaluates(BLOCKS, [f"http://h{HOSTILE}", f"k{HOSTILE}", HOSTILE])
    calls = [call for command in commands for call in run(command)]
    assert len(calls) == 7
    bodies = [json.loads(call[call.index("-d") + 1]) for call in calls if "-d" in call]
    assert [body["model"] for body in bodies if "model" in body] == [HOSTILE] * 3
    assert [HOSTILE] in calls and ["-m", HOSTILE] in calls


@pytest.mark.parametrize("step", ["Device", "OpenPage"])
async def test_a_page_to_sign_in_on_that_is_no_web_address_is_no_link(panel: Panel, step: str) -> None:
    await panel.opens("credentials")
    sign = {"url": "javascript:document.title='ran'", "user_code": HOSTILE, "qr": None}
    await panel.evaluates(DRAWN, ["/panel/pages/sign_in_steps.js", step, {"sign": sign, "name": HOSTILE}])
    drawn = panel.page.locator("#drawn")
    await expect(drawn).to_contain_text("no web address")
    await expect(drawn.locator("a, img")).to_have_count(0)


async def test_of_thousands_of_rows_a_few_hundred_are_drawn_until_more_are_asked_for(panel: Panel) -> None:
    await panel.opens("credentials")
    columns = [{"key": "id", "label": "Id"}]
    await panel.evaluates(DRAWN, ["/panel/table.js", "Table", {"columns": columns, "count": 450, "caption": "many"}])
    rows = panel.page.locator("#drawn tbody tr")
    await expect(rows).to_have_count(200)
    await panel.button("Show more (250 are left)").click()
    await panel.button("Show more (50 are left)").click()
    await expect(rows).to_have_count(450)
    await expect(panel.page.locator("#drawn button")).to_have_count(0)


async def test_a_slow_answer_is_shown_though_it_was_asked_for_again(panel: Panel) -> None:
    asked: list[Route] = []
    twice = asyncio.Event()

    async def slow(route: Route) -> None:
        asked.append(route)
        if len(asked) == 2:
            twice.set()

    await panel.page.route("**/v0/management/models", slow)
    async with panel.page.expect_request("**/v0/management/models"):
        await panel.opens("models")
    await panel.evaluates("async () => (await import('/panel/api.js')).returned.set(1)")
    await twice.wait()
    await asked[0].continue_()
    await expect(panel.row("big").first).to_be_visible()
    await asked[1].continue_()
    await panel.page.unroute_all()


async def test_a_currency_of_the_operators_own_is_shown_as_he_writes_it(panel: Panel) -> None:
    file = panel.world.config.with_name("prices.yaml")
    file.write_text('currency: credits\nmodels: {"*": {input: 1000, output: 1000}}\n')
    edit: dict[str, Any] = {"path": "usage.prices-file", "value": str(file)}
    assert (await panel.world.asks("PATCH", "/config", {"edits": [edit]})).status == 200
    await panel.opens("overview")
    await expect(panel.page.locator(".figures")).to_contain_text("credits")
    await panel.page.get_by_role("tab", name="Cost").click()
    removed = await panel.world.asks("PATCH", "/config", {"edits": [{"path": edit["path"], "remove": True}]})
    assert removed.status == 200


async def test_a_day_is_called_as_where_the_daemon_is(panel: Panel, browser: Browser) -> None:
    async with await browser.new_context(locale="en-GB", timezone_id="America/Los_Angeles") as context:
        far = await tab(panel.world, context)
        async with far.page.expect_response(lambda answer: "every=day" in answer.url) as series:
            await far.opens("overview")
            await far.page.get_by_role("tab", name="7 days").click()
        days = [time.strftime("%b %-d", time.localtime(at)) for at in (await (await series.value).json())["at"]]
        await far.page.locator(".plot-table summary").click()
        await expect(far.page.locator(".plot-table tbody th")).to_have_text(days)
        assert far.faults == []


async def test_a_double_press_renews_once(panel: Panel) -> None:
    id_ = await panel.world.has("claude", "twice@example.com")
    asked: list[str] = []
    panel.page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/refresh") else None)
    await panel.opens("credentials", filter=id_)
    await panel.button(f"Renew {id_} now").dblclick()
    await panel.told("renewed")
    assert len(asked) == 1
    assert (await panel.world.asks("DELETE", f"/credentials/{id_}")).status == 200
