"""The lists of keys over HTTP: a page sees masks, edits one entry, sends all back, and no key is lost or mixed up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manager import KEY, ask, error
from serving import Serve, Serving

FILE = f"""\
remote-management: {{secret-key: {KEY}, allow-remote: true}}
# Who may ask.
api-keys:
  - sk-CANARY-laptop-0123456789   # the laptop
  - sk-CANARY-phone-abcdefghijkl
  - CANARY-short
  - CANARY-small
claude-api-key:
  # Paid by the team.
  - api-key: sk-ant-CANARY-one-0123456789
    prefix: team # a later version's
    weight: 2
    proxy-url: socks5://ann:CANARY-password@127.0.0.1:1080
    headers: {{X-Key: CANARY-header-0123456789}}
    models: [{{name: claude-x, alias: x, display-name: X}}]
  - {{api-key: sk-ant-CANARY-two-abcdefghij}}
codex-api-key:
  - api-key: sk-CANARY-without-an-address
  - api-key: sk-CANARY-codex-0123456789ab # mine
    base-url: https://codex.example/v1
gemini-api-key:
  - api-key: CANARY-gemini-0123456789abc
    priority: 3
generative-language-api-key: [CANARY-older-0123456789abcd]
openai-compatibility:
  - name: Acme # the vendor
    base-url: https://acme.example/v1
    api-keys:
      - sk-CANARY-acme-1-0123456789 # Ann's
      - sk-CANARY-acme-2-0123456789
    models: [{{name: big}}]
  - {{name: incomplete}}
"""
ENTRIES = ["gemini-api-key", "claude-api-key", "codex-api-key", "openai-compatibility"]
LISTS = ["api-keys", "generative-language-api-key", *ENTRIES]


@pytest.fixture
async def here(serve: Serve) -> Serving:
    return await serve(FILE)


def file(here: Serving) -> Path:
    assert here.house.places.config_file is not None
    return here.house.places.config_file


async def seen(here: Serving, name: str, more: str = "") -> Any:
    told = await ask(here, "GET", f"/{name}{more}")
    assert told.status == 200
    assert set(told.json()) == {name}
    return told.json()[name]


async def does(here: Serving, method: str, path: str, body: object = None) -> None:
    told = await ask(here, method, path, body)
    assert (told.status, told.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("name", ["api-keys", *ENTRIES])
async def test_what_was_shown_may_be_sent_back_and_no_key_is_lost(here: Serving, name: str) -> None:
    before = here.house.config
    shown = await seen(here, name)
    assert "CANARY" not in str(shown)
    for body in (shown, {"items": shown}):
        await does(here, "PUT", f"/{name}", body)
        assert here.house.config == before
    text = file(here).read_text()
    for comment in ("# the laptop", "# Paid by the team.", "# a later version's", "# mine", "# the vendor", "# Ann's"):
        assert comment in text
    for kept in ("prefix: team", "display-name: X", "sk-CANARY-without-an-address", "name: incomplete"):
        assert kept in text
    assert "****" not in text


@pytest.mark.parametrize("name", LISTS)
async def test_secrets_are_told_on_this_machine_alone_and_only_if_asked_for(here: Serving, name: str) -> None:
    assert "CANARY" in str(await seen(here, name, "?reveal=1"))
    afar = await ask(here, "GET", f"/{name}?reveal=1", X_Forwarded_For="203.0.113.7")
    assert (afar.status, b"CANARY" in afar.body) == (200, False)


async def test_one_of_two_keys_that_look_alike_is_not_guessed(here: Serving) -> None:
    shown = await seen(here, "api-keys")
    assert shown[2:] == ["****", "****"]
    text = file(here).read_text()
    for method, path, body in (
        ("PUT", "/api-keys", shown[:3]),
        ("PUT", "/api-keys", [*shown, "sk-C****none"]),
        ("PATCH", "/api-keys", {"old": "****", "new": "sk-CANARY-new-0123456789"}),
        ("PATCH", "/api-keys", {"index": 0, "value": "zzzz****zzzz"}),
        ("DELETE", "/api-keys?value=****", None),
        ("PATCH", "/claude-api-key", {"match": "sk-a****none", "value": {}}),
        ("DELETE", "/claude-api-key?api-key=sk-a****none", None),
        ("PUT", "/claude-api-key", [{"api-key": "sk-a****none"}]),
        ("PATCH", "/claude-api-key", {"index": 1, "value": {"proxy-url": "http://****@elsewhere.example:1"}}),
    ):
        status, says = error(await ask(here, method, path, body))
        assert (status, "mask" in says) == (400, True), (path, says)
    assert file(here).read_text() == text


async def test_api_keys_change_by_index_by_word_and_by_mask(here: Serving) -> None:
    await does(here, "PATCH", "/api-keys", {"index": 1, "value": "sk-CANARY-phone-2"})
    await does(here, "PATCH", "/api-keys", {"old": "sk-C****6789", "new": "sk-CANARY-laptop-2"})
    await does(here, "PATCH", "/api-keys", {"old": "nobody's", "new": "sk-CANARY-added"})
    await does(here, "DELETE", "/api-keys?value=CANARY-small")
    await does(here, "DELETE", "/api-keys?value=nobody's")
    await does(here, "DELETE", "/api-keys?index=2")
    assert here.house.config.api_keys == ["sk-CANARY-laptop-2", "sk-CANARY-phone-2", "sk-CANARY-added"]
    assert "  - sk-CANARY-laptop-2   # the laptop\n" in file(here).read_text()
    for body in ({"index": 9, "value": "x"}, {"index": 3, "value": "x"}):
        assert error(await ask(here, "PATCH", "/api-keys", body)) == (404, "item not found")
    for index in ("-1", "3"):
        assert error(await ask(here, "DELETE", f"/api-keys?index={index}")) == (404, "item not found")
    for bad in ({}, {"index": 0}, {"old": "x"}, {"index": -1, "value": "x"}, [], "x"):
        assert error(await ask(here, "PATCH", "/api-keys", bad)) == (400, "invalid body")
    assert (await ask(here, "DELETE", "/api-keys")).status == 400
    for bad in ({"keys": []}, [1], {"items": [None]}, "x", 1):
        assert error(await ask(here, "PUT", "/api-keys", bad)) == (400, "invalid body")


async def test_an_entry_changes_by_index_by_key_and_by_mask_and_keeps_the_rest(here: Serving) -> None:
    before = here.house.config.claude_api_key
    await does(here, "PATCH", "/claude-api-key", {"match": "sk-ant-CANARY-two-abcdefghij", "value": {"priority": 5}})
    shown = (await seen(here, "claude-api-key"))[0]
    await does(
        here, "PATCH", "/claude-api-key", {"match": shown["api-key"], "value": shown | {"base-url": "https://x"}}
    )
    await does(here, "PATCH", "/claude-api-key", {"index": 0, "value": {"proxy-url": "", "weight": None}})
    first, second = here.house.config.claude_api_key
    assert (second.api_key, second.priority) == (before[1].api_key, 5)
    assert (first.api_key, first.base_url, first.proxy_url, first.weight) == (before[0].api_key, "https://x", "", 1)
    assert (first.headers, first.models) == (before[0].headers, before[0].models)
    text = file(here).read_text()
    assert "proxy-url" not in text
    assert "prefix: team # a later version's" in text


async def test_an_empty_key_or_address_removes_and_an_unknown_one_is_said_so(here: Serving) -> None:
    assert error(await ask(here, "DELETE", "/gemini-api-key?api-key=none")) == (404, "item not found")
    for name in ("claude-api-key", "codex-api-key"):
        await does(here, "DELETE", f"/{name}?api-key=none")
    await does(here, "DELETE", "/openai-compatibility?name=none")
    for name in ("claude-api-key", "gemini-api-key", "openai-compatibility"):
        assert error(await ask(here, "PATCH", f"/{name}", {"index": 7, "value": {}})) == (404, "item not found")
        assert error(await ask(here, "DELETE", f"/{name}?index=7")) == (404, "item not found")
        assert error(await ask(here, "PATCH", f"/{name}", {"value": {}})) == (400, "invalid body")
        assert (await ask(here, "DELETE", f"/{name}")).status == 400
    await does(here, "PATCH", "/gemini-api-key", {"index": 0, "value": {"api-key": ""}})
    assert [entry.api_key for entry in here.house.config.gemini_api_key] == ["CANARY-older-0123456789abcd"]
    await does(here, "PATCH", "/codex-api-key", {"index": 0, "value": {"base-url": ""}})
    await does(here, "PATCH", "/openai-compatibility", {"name": "acme", "value": {"base-url": " "}})
    assert (here.house.config.codex_api_key, here.house.config.openai_compatibility) == ([], [])
    assert "sk-CANARY-without-an-address" in file(here).read_text()
    status, says = error(await ask(here, "PATCH", "/claude-api-key", {"index": 0, "value": {"api-key": ""}}))
    assert (status, "claude-api-key[0].api-key" in says) == (422, True)


async def test_the_older_gemini_list_is_a_view_and_a_write_drops_what_was_set_for_each_key(here: Serving) -> None:
    assert len(await seen(here, "generative-language-api-key")) == 2
    await does(here, "PATCH", "/generative-language-api-key", {"old": "x", "new": "CANARY-third-0123456789abc"})
    text = file(here).read_text()
    assert "generative-language-api-key" not in text
    assert "priority" not in text
    assert [entry.api_key for entry in here.house.config.gemini_api_key] == [
        "CANARY-gemini-0123456789abc", "CANARY-older-0123456789abcd", "CANARY-third-0123456789abc",
    ]  # fmt: skip
    await does(here, "PUT", "/generative-language-api-key", [])
    assert here.house.config.gemini_api_key == []


async def test_keys_of_a_compatible_vendor_come_in_either_spelling(here: Serving) -> None:
    masked = (await seen(here, "openai-compatibility"))[0]
    keys = [entry["api-key"] for entry in masked["api-key-entries"]]
    assert len(keys) == 2
    older = {"name": "Acme", "base-url": masked["base-url"], "api-keys": ["sk-CANARY-3", "sk-CANARY-4"], "models": []}
    await does(here, "PUT", "/openai-compatibility", [older])
    acme = here.house.config.openai_compatibility[0]
    assert [entry.api_key for entry in acme.api_key_entries] == ["sk-CANARY-3", "sk-CANARY-4"]
    assert acme.models == []


@pytest.mark.parametrize("name", ENTRIES)
async def test_members_of_any_kind_are_refused_and_no_fault(here: Serving, name: str) -> None:
    text = file(here).read_text()
    for odd in ({}, [], {"a": 1}, [[]], None, 1, True, "\x00", "****"):
        for member in ("api-key", "name", "base-url", "headers", "models", "api-key-entries", "prot", ""):
            whole = {"api-key": "k", "name": "n", "base-url": "https://x", member: odd}
            for method, body in (("PUT", [whole]), ("PATCH", {"index": 0, "value": {member: odd}})):
                assert (await ask(here, method, f"/{name}", body)).status in {200, 400, 404, 422}
    assert "****" not in file(here).read_text()
    assert text.count("# the laptop") == file(here).read_text().count("# the laptop")


async def test_the_same_mask_in_two_entries_stands_for_each_ones_own_key(serve: Serve) -> None:
    two = "claude-api-key: [{api-key: CANARY-a, base-url: https://a}, {api-key: CANARY-b, base-url: https://b}]\n"
    here = await serve(f"remote-management: {{secret-key: {KEY}}}\n{two}")
    a, b = await seen(here, "claude-api-key")
    assert a["api-key"] == b["api-key"] == "****"
    await does(here, "PUT", "/claude-api-key", [b | {"api-key": "****"}, a | {"weight": 3}])
    found = {entry.base_url: (entry.api_key, entry.weight) for entry in here.house.config.claude_api_key}
    assert found == {"https://a": ("CANARY-a", 3), "https://b": ("CANARY-b", 1)}
    moved = [b | {"base-url": "https://c"}, a | {"base-url": "https://d"}]
    assert (await ask(here, "PUT", "/claude-api-key", moved)).status == 400
