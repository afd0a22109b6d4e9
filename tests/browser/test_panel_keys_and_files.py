"""Client keys are made, used and taken back; credentials are switched, renewed, changed, brought in and taken out."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

from desk import login
from panel_page import Panel
from playwright.async_api import expect

from vaultd.secret import Secret


async def test_a_client_key_is_made_used_switched_off_and_deleted(panel: Panel) -> None:
    await panel.opens("clients")
    await panel.button("New key").click()
    await expect(panel.dialog.get_by_label("Name")).to_be_focused()
    await panel.dialog.get_by_role("button", name="Make the key").click()
    await expect(panel.dialog.get_by_role("alert")).to_have_text("Give it a name.")
    await panel.dialog.get_by_label("Name").fill("night shift")
    await panel.dialog.get_by_role("button", name="Make the key").click()
    key = await panel.dialog.get_by_role("region", name="night shift").inner_text()
    await panel.button("Done").click()
    # Filled in where it goes, until the page is left.
    await expect(panel.page.locator(".recipe")).to_contain_text(key)
    assert (await panel.world.says("say hello", key=key)).status == 200
    row = panel.row("night shift", "Client keys")
    await row.get_by_role("switch", name="night shift is accepted").uncheck(force=True)
    await panel.told("night shift is refused from now on.")
    assert (await panel.world.says("say hello", key=key)).status == 401
    await row.get_by_role("switch").check(force=True)
    await panel.told("night shift is accepted again.")
    assert (await panel.world.says("say hello", key=key)).status == 200
    await panel.page.reload()
    await expect(row.locator("code")).not_to_have_text(key)
    await row.get_by_role("button", name="Delete night shift").click()
    await panel.dialog.get_by_role("button", name="Delete the key").click()
    await panel.told("night shift is deleted.")
    await expect(row).to_have_count(0)
    assert (await panel.world.says("say hello", key=key)).status == 401


async def test_a_set_up_names_the_address_and_a_model_that_is_served(panel: Panel) -> None:
    await panel.opens("clients")
    recipe = panel.page.locator(".recipe")
    await panel.page.get_by_label("Model", exact=True).select_option("big")
    for name in ("Claude Code", "Codex", "Gemini CLI", "opencode"):
        await panel.page.get_by_role("tab", name=re.compile(f"^{name}")).click()
        await expect(recipe).to_contain_text(panel.world.url)
        await expect(recipe).to_contain_text("big")


async def test_a_credential_is_switched_off_and_on_and_renewed(panel: Panel) -> None:
    id_ = await panel.world.has("claude", "dora@example.com")
    await panel.opens("credentials")
    row = panel.row("dora@example.com", "Credentials")
    await row.get_by_role("switch", name=f"Use {id_}").uncheck(force=True)
    await panel.told(f"{id_} is no longer used; it is still renewed.")
    await expect(row).to_contain_text("disabled")
    await row.get_by_role("switch").check(force=True)
    await panel.told(f"{id_} is in use again.")
    await expect(row).to_contain_text("available")
    before = (await panel.world.credential(id_))["generation"]
    await row.get_by_role("button", name=f"Renew {id_} now").click()
    await panel.told(f"{id_} is renewed.")
    assert (await panel.world.credential(id_))["generation"] == before + 1


async def test_a_credential_is_changed_taken_out_sealed_and_removed(panel: Panel, tmp_path: Path) -> None:
    id_ = await panel.world.has("codex", "dan@example.com")
    await panel.opens("credentials")
    row = panel.row("dan@example.com", "Credentials")
    await row.locator(".row-button").click()
    await panel.dialog.get_by_label("Priority").fill("7")
    await panel.dialog.get_by_label("Models it does not serve").fill("gpt-5*\n")
    await panel.dialog.get_by_role("button", name="Save").click()
    await panel.told(f"{id_} is changed.")
    now = await panel.world.credential(id_)
    assert (now["priority"], now["excluded_models"]) == (7, ["gpt-5*"])
    async with panel.page.expect_download() as begun:
        await panel.dialog.get_by_role("button", name="Sealed file").click()
    taken = tmp_path / (await begun.value).suggested_filename
    await (await begun.value).save_as(taken)
    assert "ciphertext" in json.loads(taken.read_bytes()) and b"CANARY" not in taken.read_bytes()
    await panel.dialog.get_by_role("button", name="Remove").click()
    await expect(panel.dialog).to_contain_text(f"Remove {id_}?")
    await panel.dialog.get_by_label("Sign out at the vendor as well").check()
    await panel.dialog.get_by_role("button", name="Remove").click()
    await panel.told(f"{id_} is removed and revoked at the vendor.")
    await expect(row).to_have_count(0)
    assert (await panel.world.asks("GET", f"/credentials/{id_}")).status == 404


async def test_a_file_of_cliproxyapis_is_brought_in_and_sealed(
    panel: Panel, tmp_path: Path, planted: Callable[[Path], Path]
) -> None:
    file = planted(tmp_path / "claude-edna@example.com.json")
    _write_as_cliproxyapi_does(panel, "edna@example.com", file)
    other = tmp_path / "holiday.json"
    other.write_text("[]")
    await panel.opens("credentials")
    await panel.button("Import files").click()
    panel.meets.add(400)
    await panel.dialog.locator("input[type=file]").set_input_files([file, other])
    fates = panel.dialog.locator(".fates li")
    await expect(fates.filter(has_text=file.name)).to_contain_text("Sealed and in use.")
    await expect(fates.filter(has_text="holiday.json")).to_contain_text("Refused:")
    await panel.dialog.locator(".dialog-foot").get_by_role("button", name="Close").click()
    await expect(panel.row("edna@example.com", "Credentials")).to_contain_text("available")
    folder = panel.world.person.auth_dir
    assert all(b"CANARY" not in path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_an_api_key_is_sealed_and_not_shown_again(panel: Panel) -> None:
    await panel.opens("credentials")
    await panel.button("Add an API key").click()
    dialog = panel.dialog
    await dialog.get_by_label("Kind").select_option("claude-api-key")
    await dialog.get_by_role("button", name="Seal the key").click()
    await expect(dialog.get_by_role("alert")).to_have_text("Paste the key.")
    await dialog.get_by_label("API key", exact=True).fill("sk-CANARY-frank")
    await dialog.get_by_label("Name").fill("frank")
    await dialog.get_by_label("Address of the API").fill(panel.world.sandbox.key_bases()["claude-api-key"])
    await dialog.get_by_role("button", name="Seal the key").click()
    await panel.told("is sealed and in use.")
    await expect(panel.row("frank", "Credentials")).to_contain_text("available")
    assert "sk-CANARY-frank" not in await panel.page.content()
    assert "sk-CANARY-frank" not in panel.world.config.read_text()


async def test_what_rests_says_until_when_and_is_lifted(panel: Panel) -> None:
    await panel.opens("credentials")
    panel.world.sandbox.exhaust("invented", seconds=3600, model="small", hint="retry-after")
    await panel.world.says("say hello", "small")
    row = panel.row("acme", "Credentials")
    await expect(row).to_contain_text("small")
    await expect(row).to_contain_text(re.compile(r"for (59:|1 h)"))
    panel.world.sandbox["invented"].exhausted.clear()
    await row.get_by_role("button", name="Lift").click()
    await panel.told("is tried again with the next request.")
    await expect(row.get_by_role("button", name="Lift")).to_have_count(0)
    assert (await panel.world.says("say hello", "small")).status == 200
    await panel.page.get_by_label("Model, as a client names it").fill("small")
    await panel.button("Explain").click()
    await expect(panel.page.locator(".explained")).to_contain_text("acme")


def _write_as_cliproxyapi_does(panel: Panel, email: str, file: Path) -> None:
    tokens = login(panel.world.sandbox, "claude", email, time.time()).tokens
    assert tokens is not None and isinstance(tokens.refresh, Secret)
    ends = dt.datetime.fromtimestamp(tokens.expires_at, dt.UTC).isoformat(timespec="seconds")
    said = {"type": "claude", "email": email, "expired": ends, "id_token": "", "last_refresh": ends}
    said |= {"access_token": tokens.access.reveal(), "refresh_token": tokens.refresh.reveal()}
    file.write_text(json.dumps(said))
