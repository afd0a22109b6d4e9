"""What CLIProxyAPI's own panel and the apps around it send, page by page, and what their code reads of the answers.

Facts are from their public sources: the panel of November 2025 (plain JavaScript, `fetch`) and the one since (React,
axios). Both send `Content-Type: application/json` with every call, a GET and a DELETE without a body too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import aiohttp
import pytest
from desk import login
from managed import CLIENT_KEY, KEY, Managed, Told, managed

from vaultd.work.exporting import token_file

JSON = {"Content-Type": "application/json"}
#: What the window of a Tauri app is to a browser; on Windows it is http://tauri.localhost.
EASYCLI = "tauri://localhost"
#: Routes of later versions that are not here; a page that asks for one is told so and goes on.
LATER = (
    ("GET", "/latest-version"),
    ("GET", "/request-error-logs"),
    ("GET", "/request-log-by-id/1"),
    ("GET", "/oauth-excluded-models"),
    ("GET", "/oauth-model-alias"),
    ("GET", "/model-definitions/claude"),
    ("GET", "/vertex-api-key"),
    ("GET", "/ampcode"),
    ("POST", "/api-call"),
    ("GET", "/antigravity-auth-url"),
)


@pytest.fixture
async def page(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    def config(sandbox: Any) -> dict[str, Any]:
        where = {"base-url": sandbox.key_bases()["openai"], "models": [{"name": "big"}]}
        return {
            "openai-compatibility": [
                {"name": "acme", "api-key-entries": [{"api-key": "sk-CANARY-acme-0123456789"}], **where}
            ],
            "usage-statistics-enabled": True,
            "remote-management": {"secret-key": KEY, "allowed-origins": [EASYCLI]},
        }

    async with managed(home, planted, config=config) as one:
        yield one


async def does(page: Managed, method: str, path: str, body: Any = None) -> Any:
    """As the panel does: JSON is said to come with everything, and whatever is not 2xx is an error with its text."""
    told = await page.asks(method, path, body, headers=JSON)
    assert told.status == 200, told.text
    return told.json


async def fails(page: Managed, method: str, path: str, body: Any = None) -> tuple[int, str]:
    told = await page.asks(method, path, body, headers=JSON)
    return told.status, told.json["error"]


async def form(page: Managed, path: str, name: str, content: str, **more: str) -> Told:
    sent = aiohttp.FormData()
    sent.add_field("file", content, filename=name, content_type="application/json")
    for field, value in more.items():
        sent.add_field(field, value)
    return await page.asks("POST", path, data=sent)


def plaintext(page: Managed, vendor: str, email: str) -> str:
    known = login(page.sandbox, vendor, email, page.house.clock.now())
    return json.dumps(token_file(known, page.house.catalog.provider(vendor)))


# --- coming in, settings ----------------------------------------------------------------------------------------------


async def test_a_panel_is_let_in_and_fills_its_first_page(page: Managed) -> None:
    told = await page.asks("GET", "/debug", headers=JSON)
    assert (told.status, told.json) == (200, {"debug": False})
    assert [part for part in told.headers["X-CPA-VERSION"].replace("-", ".").split(".") if part.isdigit()]
    assert "X-CPA-BUILD-DATE" in told.headers

    config = await does(page, "GET", "/config")
    for switch in ("debug", "usage-statistics-enabled", "request-log", "logging-to-file", "ws-auth"):
        assert isinstance(config[switch], bool)
    assert isinstance(config["request-retry"], int)
    assert isinstance(config["proxy-url"], str)
    assert set(config["quota-exceeded"]) >= {"switch-project", "switch-preview-model"}
    for listed in ("api-keys", "gemini-api-key", "claude-api-key", "codex-api-key", "openai-compatibility"):
        assert isinstance(config[listed], list)
    assert "CANARY" not in str(config)

    wrong = await page.asks("GET", "/debug", headers=JSON | {"Authorization": "Bearer CANARY-not-it"})
    assert (wrong.status, wrong.json["error"]) == (401, "invalid management key")


async def test_every_switch_of_the_settings_page_is_thrown_and_seen(page: Managed) -> None:
    for path, value in (
        ("debug", True),
        ("usage-statistics-enabled", False),
        ("request-log", True),
        ("ws-auth", True),
        ("logging-to-file", False),
        ("quota-exceeded/switch-project", False),
        ("quota-exceeded/switch-preview-model", False),
        ("request-retry", 5),
        ("proxy-url", "http://127.0.0.1:3128"),
    ):
        assert await does(page, "PUT", f"/{path}", {"value": value}) == {"status": "ok"}
        found: Any = await does(page, "GET", "/config")
        for part in path.split("/"):
            found = found[part]
        assert found == value, path
    await does(page, "DELETE", "/proxy-url")
    assert (await does(page, "GET", "/config"))["proxy-url"] == ""


# --- keys -------------------------------------------------------------------------------------------------------------


async def test_the_keys_page_adds_changes_and_removes_among_masks(page: Managed) -> None:
    keys = (await does(page, "GET", "/api-keys"))["api-keys"]
    await does(page, "PUT", "/api-keys", [*keys, "sk-CANARY-second-0123456789"])
    assert page.house.config.api_keys == [CLIENT_KEY, "sk-CANARY-second-0123456789"]
    await does(page, "PATCH", "/api-keys", {"index": 1, "value": "sk-CANARY-third-0123456789"})
    # Saved as it was shown: nothing was typed over the mask.
    await does(page, "PATCH", "/api-keys", {"index": 0, "value": keys[0]})
    assert page.house.config.api_keys == [CLIENT_KEY, "sk-CANARY-third-0123456789"]
    await does(page, "DELETE", "/api-keys?index=1")
    assert page.house.config.api_keys == [CLIENT_KEY]


ADDED: dict[str, dict[str, Any]] = {
    "gemini-api-key": {"excluded-models": []},
    "codex-api-key": {"base-url": "https://codex.example/v1", "proxy-url": ""},
    "claude-api-key": {"base-url": "https://claude.example", "models": [{"name": "claude-x", "alias": "x"}]},
}


@pytest.mark.parametrize("name", ADDED)
async def test_a_vendors_key_is_added_edited_and_removed(page: Managed, name: str) -> None:
    first, second = "CANARY-first-0123456789abcd", "CANARY-second-0123456789efgh"
    attribute = name.replace("-", "_")
    for key in (first, second):
        known = (await does(page, "GET", f"/{name}"))[name]
        await does(page, "PUT", f"/{name}", [*known, {"api-key": key, **ADDED[name], "headers": {"X-Team": "one"}}])
    shown = (await does(page, "GET", f"/{name}"))[name]
    assert "CANARY" not in str(shown)

    # The form is filled from what was shown; a header is changed and the rest sent back.
    edited = {**shown[1], "headers": {"X-Team": "two"}}
    await does(page, "PATCH", f"/{name}", {"index": 1, "value": edited})
    kept = getattr(page.house.config, attribute)
    assert [entry.api_key for entry in kept] == [first, second]
    assert [entry.headers["X-Team"] for entry in kept] == ["one", "two"]

    shown = (await does(page, "GET", "/config"))[name]
    await does(page, "DELETE", f"/{name}?api-key={quote(shown[0]['api-key'])}")
    assert [entry.api_key for entry in getattr(page.house.config, attribute)] == [second]


async def test_a_compatible_vendor_is_added_edited_and_removed(page: Managed) -> None:
    name = "openai-compatibility"
    known = (await does(page, "GET", f"/{name}"))[name]
    new = {
        "name": "other",
        "base-url": "https://other.example/v1",
        "api-key-entries": [
            {"api-key": "sk-CANARY-o1-0123456789", "proxy-url": ""},
            {"api-key": "sk-CANARY-o2-abcdefghij", "proxy-url": ""},
        ],
        "models": [{"name": "m", "alias": "a"}],
    }
    await does(page, "PUT", f"/{name}", [*known, new])
    shown = (await does(page, "GET", "/config"))[name][1]
    entries = [{"api-key": entry["api-key"], "proxy-url": ""} for entry in shown["api-key-entries"]]
    edited = {"name": "other", "base-url": shown["base-url"], "api-key-entries": entries, "models": [{"name": "n"}]}
    await does(page, "PATCH", f"/{name}", {"index": 1, "value": edited})
    acme, other = page.house.config.openai_compatibility
    assert acme.api_key_entries[0].api_key == "sk-CANARY-acme-0123456789"
    assert [entry.api_key for entry in other.api_key_entries] == ["sk-CANARY-o1-0123456789", "sk-CANARY-o2-abcdefghij"]
    assert [model.name for model in other.models] == ["n"]
    await does(page, "DELETE", f"/{name}?name=other")
    assert [entry.name for entry in page.house.config.openai_compatibility] == ["acme"]


async def test_a_later_panel_switches_a_key_off_and_on_and_removes_it_at_one_address(page: Managed) -> None:
    """It saves whole lists without what is empty, and names the address of a key that stands at two."""
    key = "sk-ant-CANARY-0123456789abcd"
    sites = ["https://one.example", "https://two.example"]
    await does(page, "PUT", "/claude-api-key", [{"api-key": key, "base-url": site} for site in sites])
    shown = (await does(page, "GET", "/config"))["claude-api-key"]
    mask = shown[0]["api-key"]
    lean = [{"api-key": mask, "base-url": site} for site in sites]
    await does(page, "PUT", "/claude-api-key", [lean[0] | {"excluded-models": ["*"]}, lean[1]])
    assert [list(entry.excluded_models) for entry in page.house.config.claude_api_key] == [["*"], []]
    await does(page, "PUT", "/claude-api-key", lean)
    assert [list(entry.excluded_models) for entry in page.house.config.claude_api_key] == [[], []]
    await does(page, "DELETE", f"/claude-api-key?api-key={quote(mask)}&base-url={quote(sites[0])}")
    (left,) = page.house.config.claude_api_key
    assert (left.api_key, left.base_url) == (key, sites[1])


# --- files ------------------------------------------------------------------------------------------------------------


def standing(files: Any) -> dict[str, Any]:
    return {file["name"]: file for file in files["files"]}


async def test_the_files_page_uploads_looks_downloads_and_deletes(page: Managed) -> None:
    told = await form(page, "/auth-files", "claude-ann.json", plaintext(page, "claude", "claude@example.com"))
    assert (told.status, told.json["status"]) == (200, "ok")
    file = standing(await does(page, "GET", "/auth-files"))["claude-ann.json"]
    assert (file["type"], file["provider"], file["disabled"], file["runtime_only"]) == (
        "claude",
        "claude",
        False,
        False,
    )
    assert file["size"] > 0
    assert datetime.fromisoformat(file["modtime"]).tzinfo
    assert datetime.fromisoformat(file["created_at"]).tzinfo
    assert file["email"] == "claude@example.com"

    got = await page.asks("GET", "/auth-files/download?name=claude-ann.json")
    assert got.status == 200
    assert b"CANARY" not in got.body
    assert await does(page, "DELETE", "/auth-files?name=claude-ann.json") == {"status": "ok", "deleted": 1}
    assert await does(page, "GET", "/auth-files") == {"files": []}
    assert await fails(page, "GET", "/auth-files/download?name=claude-ann.json") == (404, "file not found")
    assert await does(page, "DELETE", "/auth-files?all=true") == {"status": "ok", "deleted": 0}
    assert (await form(page, "/auth-files", "notes.txt", "{}")).status == 400


async def test_a_later_panels_files_page(page: Managed) -> None:
    """Several names at once, a switch, fields, the models of one, and requests found by its index."""
    for vendor in ("claude", "codex"):
        told = (
            await form(page, "/auth-files", f"{vendor}.json", plaintext(page, vendor, f"{vendor}@example.com"))
        ).json
        assert (told["uploaded"], told["files"]) == (1, [f"{vendor}.json"])
    assert await does(page, "PATCH", "/auth-files/status", {"name": "codex.json", "disabled": True}) == {
        "status": "ok",
        "disabled": True,
    }
    fields = {"name": "claude.json", "priority": 3, "note": "Ann's", "excluded_models": ["claude-x"], "prefix": ""}
    await does(page, "PATCH", "/auth-files/fields", fields)
    file = standing(await does(page, "GET", "/auth-files"))["claude.json"]
    assert (file["priority"], file["note"]) == (3, "Ann's")

    models = (await does(page, "GET", "/auth-files/models?name=claude.json"))["models"]
    assert models and all(set(model) == {"id", "display_name", "type", "owned_by"} for model in models)
    assert (await does(page, "GET", "/auth-files/models?name=codex.json"))["models"] == []
    assert await fails(page, "GET", "/auth-files/models?name=nobody.json") == (404, "file not found")
    # Another login of the vendor's serves what this one is kept from.
    assert (await form(page, "/auth-files", "second.json", plaintext(page, "claude", "bob@example.com"))).status == 200
    kept = models.pop(0)
    await does(page, "PATCH", "/auth-files/fields", {"name": "claude.json", "excluded_models": [kept["id"]]})
    assert (await does(page, "GET", "/auth-files/models?name=claude.json"))["models"] == models
    assert kept in (await does(page, "GET", "/auth-files/models?name=second.json"))["models"]
    await does(page, "DELETE", "/auth-files?name=second.json")

    assert (await page.chats(models[0]["id"])).status == 200
    apis = (await does(page, "GET", "/usage"))["usage"]["apis"]
    details = [one for api in apis.values() for model in api["models"].values() for one in model["details"]]
    assert [(one["auth_index"], one["failed"]) for one in details] == [(file["auth_index"], False)]

    assert await fails(page, "DELETE", "/auth-files", {"names": ["codex.json", "nobody.json"]}) == (
        404,
        "file not found",
    )
    assert await fails(page, "DELETE", "/auth-files", {"names": 1}) == (400, "invalid body")
    gone = await does(page, "DELETE", "/auth-files", {"names": ["codex.json", "claude.json"]})
    assert gone == {"status": "ok", "deleted": 2, "files": ["codex.json", "claude.json"]}


async def test_a_service_account_is_refused_in_words_that_the_page_shows(page: Managed) -> None:
    told = await form(page, "/vertex/import", "sa.json", "{}", location="us-central1")
    assert told.status == 400
    assert "not supported" in told.json["error"]


# --- signing in -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "back"), [("codex", "codex"), ("anthropic", "anthropic"), ("gemini-cli", "google"), ("iflow", "iflow")]
)
async def test_the_page_waits_by_the_state_within_the_address(page: Managed, name: str, back: str) -> None:
    told = await does(page, "GET", f"/{name}-auth-url?is_webui=1")
    state = dict(parse_qsl(urlsplit(told["url"]).query))["state"]
    assert state == told["state"]
    assert await does(page, "GET", f"/get-auth-status?state={quote(state)}") == {"status": "wait"}
    redirect = await page.redirect_of(told["url"])
    await page.browses(f"{page.url}/{back}/callback?{urlsplit(redirect).query}")
    await settles(page, state)
    assert len((await does(page, "GET", "/auth-files"))["files"]) == 1


async def test_a_later_page_pastes_the_address(page: Managed) -> None:
    for name, provider in (("gemini-cli", "gemini"), ("anthropic", "anthropic")):
        told = await does(page, "GET", f"/{name}-auth-url?is_webui=true")
        pasted = {"provider": provider, "redirect_url": await page.redirect_of(told["url"])}
        assert await does(page, "POST", "/oauth-callback", pasted) == {"status": "ok"}
        await settles(page, told["state"])


async def test_the_page_of_the_device_flow_has_its_state_beside_the_address(page: Managed) -> None:
    told = await does(page, "GET", "/qwen-auth-url")
    assert urlsplit(told["url"]).scheme
    assert (await does(page, "GET", f"/get-auth-status?state={quote(told['state'])}"))["status"] == "wait"


async def settles(page: Managed, state: str) -> None:
    """The page asks every two seconds until it is told."""
    async with asyncio.timeout(20):
        while (await does(page, "GET", f"/get-auth-status?state={quote(state)}"))["status"] == "wait":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert await does(page, "GET", f"/get-auth-status?state={quote(state)}") == {"status": "ok"}


# --- usage, logs, the file --------------------------------------------------------------------------------------------


async def test_the_usage_page_finds_what_it_draws(page: Managed) -> None:
    assert (await page.chats("big")).status == 200
    told = await does(page, "GET", "/usage")
    usage = told["usage"]
    assert (usage["total_requests"], usage["success_count"], usage["failure_count"]) == (1, 1, 0)
    (api,) = usage["apis"].values()
    (model,) = api["models"].values()
    (detail,) = model["details"]
    assert (api["total_requests"], model["total_requests"]) == (1, 1)
    assert model["total_tokens"] == api["total_tokens"] == usage["total_tokens"] > 0
    assert datetime.fromisoformat(detail["timestamp"]).tzinfo
    assert set(detail["tokens"]) >= {
        "input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cached_tokens",
        "total_tokens",
    }
    assert detail["failed"] is False
    assert detail["source"]
    assert "CANARY" not in str(told)
    for plotted in ("requests_by_day", "requests_by_hour", "tokens_by_day", "tokens_by_hour"):
        assert len(usage[plotted]) == 1
    kept = await does(page, "GET", "/usage/export")
    told = await does(page, "POST", "/usage/import", kept)
    assert (told["added"], told["skipped"] > 0) == (0, True)


async def test_the_logs_page_is_told_why_there_are_none(page: Managed) -> None:
    """What it reads of them is in `test_logs`: a log file is a daemon's."""
    status, words = await fails(page, "GET", "/logs?limit=2500")
    assert status == 400
    assert "404" not in words, "a page takes that for an older server"


async def test_the_editor_page_takes_the_file_and_brings_it_back(page: Managed) -> None:
    told = await page.asks("GET", "/config.yaml", headers=JSON | {"Accept": "application/yaml"})
    assert told.status == 200
    assert "yaml" in told.headers["Content-Type"]
    before = page.house.config
    sent = {"Content-Type": "application/yaml", "Accept": "application/json, text/plain, */*"}
    kept = await page.asks("PUT", "/config.yaml", data=told.body, headers=sent)
    assert (kept.status, kept.json) == (200, {"ok": True, "changed": ["config"]})
    assert page.house.config == before
    bad = await page.asks("PUT", "/config.yaml", data=b"a: [", headers=sent)
    assert bad.status == 400
    assert bad.json["message"]


@pytest.mark.parametrize(("method", "path"), LATER)
async def test_what_is_not_here_says_so_in_a_way_that_pages_survive(page: Managed, method: str, path: str) -> None:
    status, words = await fails(page, method, path, {} if method == "POST" else None)
    assert status == 404
    assert words


# --- apps -------------------------------------------------------------------------------------------------------------


async def test_an_app_on_this_machine_brings_its_key_in_the_other_header(page: Managed) -> None:
    """EasyCLI's and ProxyPal's way; some send both."""
    for headers in ({"X-Management-Key": KEY}, {"X-Management-Key": KEY, "Authorization": f"Bearer {KEY}"}):
        async with page.session.get(f"{page.url}/v0/management/qwen-auth-url", headers=JSON | headers) as answer:
            told = await answer.json()
            assert answer.status == 200
            assert told["url"]
            assert told["state"]


async def test_easycli_in_its_own_window_is_let_in_where_its_origin_is_listed(page: Managed) -> None:
    """It asks past every cache, saves settings and whole lists, and knows the Gemini keys by their older name."""
    own = {
        "Authorization": f"Bearer {KEY}",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Expires": "0",
    }
    asks = {
        "Origin": EASYCLI,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": ", ".join(sorted(name.lower() for name in own | JSON)),
    }
    url = f"{page.url}/v0/management/config"
    async with page.session.options(url, headers=asks) as answer:
        assert answer.status == 204
        allowed = {name.strip() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
        assert allowed >= {name.lower() for name in own | JSON}
    async with page.session.get(url, headers=own | JSON | {"Origin": EASYCLI}) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == EASYCLI
        assert "generative-language-api-key" not in await answer.json()

    name = "generative-language-api-key"
    await does(page, "PUT", f"/{name}", ["CANARY-gemini-0123456789abc"])
    keys = (await does(page, "GET", f"/{name}"))[name]
    await does(page, "PUT", f"/{name}", [*keys, "CANARY-gemini-9876543210xyz"])
    assert [entry.api_key for entry in page.house.config.gemini_api_key] == [
        "CANARY-gemini-0123456789abc",
        "CANARY-gemini-9876543210xyz",
    ]
    gone = await page.session.delete(
        f"{page.url}/v0/management/auth-files?name=nobody.json", headers={"Authorization": f"Bearer {KEY}"}
    )
    assert gone.status == 404


async def test_proxypal_saves_whole_lists_of_the_members_it_knows(page: Managed) -> None:
    name = "openai-compatibility"
    (acme,) = (await does(page, "GET", f"/{name}"))[name]
    known = {"name": "acme", "base-url": acme["base-url"], "api-key-entries": acme["api-key-entries"]}
    known["models"] = [{"name": "big", "alias": "big"}]
    new = {
        "name": "other",
        "base-url": "https://o.example/v1",
        "api-key-entries": [{"api-key": "sk-CANARY-other-012345"}],
    }
    await does(page, "PUT", f"/{name}", [known, new | {"models": []}])
    kept = page.house.config.openai_compatibility
    assert [entry.api_key_entries[0].api_key for entry in kept] == [
        "sk-CANARY-acme-0123456789",
        "sk-CANARY-other-012345",
    ]
