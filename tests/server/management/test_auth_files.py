"""Credential files come in by upload, in clear or sealed, and go out sealed; the pool has them at once."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from managed import KEY, Managed, managed
from uploading import NAMES, downloads, listed, only, plaintext, uploads

# --- in ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", NAMES)
async def test_a_file_in_cliproxyapis_format_is_sealed_and_serves_at_once(page: Managed, vendor: str) -> None:
    file = plaintext(page, vendor)

    told = await uploads(page, f"{vendor}-mine.json", file)

    assert (told.status, told.json["status"]) == (200, "ok")
    assert list(await listed(page)) == [f"{vendor}-mine.json"]
    for data in page.files().values():
        assert b"CANARY" not in data and b'"ciphertext"' in data
    models = {"claude": "claude-sonnet-4-5", "codex": "gpt-5", "gemini": "gemini-2.5-pro", "iflow": "glm-4.6"}
    answered = await page.chats(models.get(vendor, "qwen3-coder-plus"))
    assert answered.status == 200, answered.text


async def test_a_form_brings_several_files_or_none(page: Managed) -> None:
    form = aiohttp.FormData()
    for vendor in ("codex", "claude"):
        form.add_field("file", json.dumps(plaintext(page, vendor)).encode(), filename=f"{vendor}.json")
    assert (await page.asks("POST", "/auth-files", data=form)).json["status"] == "ok"
    assert sorted(await listed(page)) == ["claude.json", "codex.json"]

    bad = aiohttp.FormData()
    bad.add_field("file", json.dumps(plaintext(page, "qwen")).encode(), filename="qwen.json")
    bad.add_field("file", b"{}", filename="nothing.json")
    assert (await page.asks("POST", "/auth-files", data=bad)).status == 400
    assert sorted(await listed(page)) == ["claude.json", "codex.json"]


async def test_the_list_has_every_field_that_programs_read(page: Managed) -> None:
    await uploads(page, "work.json", plaintext(page, "gemini", proxy_url=""))
    file = (await listed(page))["work.json"]
    assert {
        "name": "work.json",
        "type": "gemini",
        "provider": "gemini-cli",
        "status": "active",
        "status_message": "",
        "disabled": False,
        "unavailable": False,
        "runtime_only": False,
        "source": "file",
        "email": "ann@example.com",
        "account_type": "oauth",
        "account": "ann@example.com",
        "label": "ann@example.com",
    }.items() <= file.items()
    assert file["size"] == len(page.files()[Path(file["path"]).name])
    assert {"id", "created_at", "modtime", "updated_at", "last_refresh"} <= file.keys()


async def test_the_uploaded_name_outlives_restart_renewal_and_a_new_sign_in(page: Managed) -> None:
    await uploads(page, "home.json", plaintext(page, "codex", "codex@example.com"))
    (id_,) = page.house.owner.snapshot()
    assert (await page.asks("POST", f"/credentials/{id_}/refresh")).status == 200
    await page.restart()
    assert list(await listed(page)) == ["home.json"]

    told = (await page.asks("GET", "/codex-auth-url")).json
    await page.browses(told["url"])
    async with asyncio.timeout(20):
        while (await page.asks("GET", f"/get-auth-status?state={told['state']}")).json["status"] == "wait":  # noqa: ASYNC110 - a page polls too
            await asyncio.sleep(0.01)
    again = [file for file in (await listed(page)).values() if file["id"] == id_]
    assert [file["name"] for file in again] == ["home.json"]


async def test_the_same_account_replaces_and_another_never_does(page: Managed) -> None:
    await uploads(page, "a.json", plaintext(page, "claude"))
    first = only(page)
    await page.asks("PATCH", "/auth-files/fields", {"name": "a.json", "priority": 7})
    await uploads(page, "b.json", plaintext(page, "claude"))
    second = only(page)
    assert (second.id, second.settings.priority) == (first.id, 7)
    assert second.tokens != first.tokens
    assert list(await listed(page)) == ["b.json"]

    told = await uploads(page, "b.json", plaintext(page, "claude", "ben@example.com"))
    assert (told.status, only(page)) == (409, second)
    assert second.id in told.json["error"]
    own = await uploads(page, f"{second.id}.json", plaintext(page, "claude", "ben@example.com"))
    assert own.status == 409
    assert (await uploads(page, "c.json", plaintext(page, "claude", "ben@example.com"))).status == 200
    assert sorted(await listed(page)) == ["b.json", "c.json"]


async def test_a_file_without_a_name_in_it_is_known_by_its_own(page: Managed) -> None:
    for _ in range(2):
        await uploads(page, "qwen-17.json", plaintext(page, "qwen") | {"email": ""})
    await uploads(page, "qwen-18.json", plaintext(page, "qwen") | {"email": ""})
    assert sorted(await listed(page)) == ["qwen-17.json", "qwen-18.json"]
    assert sorted(page.house.owner.snapshot()) == ["qwen-17", "qwen-18"]


async def test_a_file_whose_token_was_spent_here_since_is_refused(page: Managed) -> None:
    """A script that uploads the same file every night must not log the account out."""
    file = plaintext(page, "claude", last_refresh="2026-01-02T03:04:05Z")
    await uploads(page, "x.json", file)
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 200
    renewed = only(page)

    for name in ("x.json", "y.json"):
        told = await uploads(page, name, file)
        assert (told.status, only(page)) == (409, renewed), told.text
        assert "renewed since" in told.json["error"]

    await uploads(page, "x.json", plaintext(page, "claude", last_refresh="2126-01-02T03:04:05Z"))
    assert (only(page).id, only(page).account.person) == (renewed.id, renewed.account.person)
    assert only(page).tokens != renewed.tokens
    assert (await page.asks("POST", f"/credentials/{renewed.id}/refresh")).status == 200
    assert page.sandbox["claude"].counts["reuse_events"] == 0


async def test_a_file_that_comes_while_its_login_is_renewed_does_not_bring_back_the_spent_token(page: Managed) -> None:
    file = plaintext(page, "claude", last_refresh="2026-01-02T03:04:05Z")
    await uploads(page, "x.json", file)
    vendor, owner = page.sandbox["claude"], page.house.owner
    page.sandbox.fault("claude", at="token", do="delay", seconds=0.5)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        renewal = group.create_task(page.asks("POST", f"/credentials/{only(page).id}/refresh"))
        while not vendor.counts["requests:token"]:  # noqa: ASYNC110 - the vendor has no bell
            await asyncio.sleep(0.01)
        upload = await uploads(page, "x.json", file)

    assert renewal.result().status == 200
    assert (upload.status, "renewed since" in upload.text) == (409, True), upload.text
    assert len(owner.snapshot()) == 1
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 200
    assert vendor.counts["presented:spent"] == 0


async def test_of_several_accounts_that_come_by_one_name_at_once_one_has_it(page: Managed) -> None:
    files = [plaintext(page, "claude", f"{name}@example.com") for name in ("ann", "ben", "cat")]
    told = await asyncio.gather(*(uploads(page, "x.json", file) for file in files))
    assert sorted(one.status for one in told) == [200, 409, 409]
    assert list(await listed(page)) == ["x.json"]


async def test_a_dead_login_that_came_as_a_file_is_brought_back_by_signing_in(page: Managed) -> None:
    """The file had an email alone, and the vendor never told its ids: it is the same account all the same."""
    await uploads(page, "x.json", plaintext(page, "claude", "claude@example.com", expired="2026-01-02T03:04:05Z"))
    page.sandbox["claude"].sign_out()
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 409
    assert (await listed(page))["x.json"]["status"] == "error"

    told = (await page.asks("GET", "/anthropic-auth-url")).json
    await page.browses(told["url"])
    held = page.house.sign_ins.get(told["state"])
    assert held is not None
    async with asyncio.timeout(20):
        while held.waits:  # noqa: ASYNC110 - a page polls too
            await asyncio.sleep(0.01)

    assert (only(page).dead, only(page).account.person != "") == (None, True)
    assert (await listed(page))["x.json"]["status"] == "active"


# --- sealed files come back -------------------------------------------------------------------------------------------


async def test_a_downloaded_file_is_the_sealed_one_and_comes_back(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    kept = await downloads(page, "x.json")
    assert kept.status == 200
    assert list(page.files().values()) == [kept.body]
    assert kept.headers["Content-Disposition"] == 'attachment; filename="x.json"'
    before = only(page)
    assert (await uploads(page, "x.json", kept.body)).status == 200  # nothing new in it
    assert only(page) == before

    assert (await page.asks("DELETE", "/auth-files?name=x.json")).json == {"status": "ok", "deleted": 1}
    assert page.files() == {}
    assert (await downloads(page, "x.json")).json == {"error": "file not found"}
    assert (await uploads(page, "y.json", kept.body)).status == 200
    assert only(page).tokens == before.tokens
    assert list(await listed(page)) == ["y.json"]
    assert (await page.chats("gpt-5")).status == 200


async def test_a_sealed_file_that_was_overtaken_is_refused(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    old = await downloads(page, "x.json")
    assert (await page.asks("POST", f"/credentials/{only(page).id}/refresh")).status == 200
    newest = only(page)

    told = await uploads(page, "x.json", old.body)

    assert (told.status, only(page)) == (409, newest)
    assert "rolled back" in told.json["error"]
    assert page.sandbox["codex"].counts["reuse_events"] == 0
    await page.asks("DELETE", "/auth-files?all=1")
    await page.restart()
    assert (await uploads(page, "x.json", old.body)).status == 409
    assert not page.house.owner.snapshot()


async def test_a_sealed_file_of_another_vault_or_damaged_is_refused(page: Managed, home: dict[str, str]) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    kept = (await downloads(page, "x.json")).body
    await page.asks("DELETE", "/auth-files?all=true")
    file = json.loads(kept)
    stranger = {**file, "recipients": [{**file["recipients"][0], "header": {"alg": "A256KW", "kid": "stranger"}}]}
    header = json.loads(base64.urlsafe_b64decode(file["protected"] + "=="))
    header["vaultd"]["name"] = "../x.json"
    renamed = {**file, "protected": base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()}
    for spoilt in (stranger, renamed, {**file, "tag": "AAAA"}, {**file, "protected": "!"}, {**file, "more": 1}):
        told = await uploads(page, "x.json", spoilt)
        assert told.status == 400, told.text
    assert page.files() == {}


# --- changed and deleted ----------------------------------------------------------------------------------------------


async def test_a_file_is_switched_changed_and_deleted_by_its_name(page: Managed) -> None:
    await uploads(page, "x.json", plaintext(page, "codex"))
    off = await page.asks("PATCH", "/auth-files/status", {"name": "x.json", "disabled": True})
    assert off.json == {"status": "ok", "disabled": True}
    assert (await listed(page))["x.json"]["status"] == "disabled"
    assert (await page.chats("gpt-5")).status == 503
    await page.asks("PATCH", "/auth-files/status", {"name": "x.json", "disabled": False})
    assert (await page.chats("gpt-5")).status == 200

    fields = {"name": "x.json", "priority": 3, "proxy_url": "socks5://127.0.0.1:9", "note": "the big one"}
    assert (await page.asks("PATCH", "/auth-files/fields", fields)).json == {"status": "ok"}
    settings = only(page).settings
    assert (settings.priority, settings.label, settings.proxy_url is not None) == (3, "the big one", True)
    assert (await page.asks("PATCH", "/auth-files/fields", {"name": "x.json"})).status == 400

    gone = await page.asks("DELETE", "/auth-files?name=no.json")
    assert (gone.status, gone.json) == (404, {"error": "file not found"})
    await uploads(page, "y.json", plaintext(page, "claude"))
    assert (await page.asks("DELETE", "/auth-files?all=*")).json == {"status": "ok", "deleted": 2}
    assert (await page.asks("GET", "/auth-files")).json == {"files": []}
    assert (await page.chats("gpt-5")).status == 503


async def test_keys_of_the_configuration_are_no_files(home: dict[str, str], planted: Callable[[Path], Path]) -> None:
    def keys(_sandbox: Any) -> Any:
        return {"claude-api-key": [{"api-key": "sk-CANARY-config"}]}

    async with managed(home, planted, config=keys) as page:
        assert (await page.asks("GET", "/auth-files")).json == {"files": []}
        assert (await page.asks("DELETE", "/auth-files?all=true")).json["deleted"] == 0
        assert len((await page.asks("GET", "/credentials")).json["data"]) == 1


async def test_vertex_says_what_to_use_instead(page: Managed) -> None:
    form = aiohttp.FormData()
    form.add_field("file", b'{"private_key": "CANARY"}', filename="vertex.json")
    told = await page.asks("POST", "/vertex/import", data=form)
    assert told.status == 400
    assert "gemini-api-key" in told.json["error"] and "not supported yet" in told.json["error"]


async def test_no_file_route_answers_without_the_key(page: Managed) -> None:
    for method, path in (("GET", "/auth-files"), ("POST", "/auth-files?name=x.json"), ("DELETE", "/auth-files?all=1")):
        told = await page.asks(method, path, headers={"Authorization": f"Bearer {KEY}x"})
        assert told.status == 401
