"""`credentials.set` changes what is named and nothing else, and `credentials.show` tells it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from vaultd.errors import Misconfigured
from vaultd.house import House, build
from vaultd.oauth.tokens import Account
from vaultd.secret import Secret
from vaultd.vault.credential import Credential
from vaultd.verbs import VERBS

WORK = "gemini-api-key-work"
PROXY = "socks5://ann:CANARY-proxy@127.0.0.1:1080"
USUAL = {"priority": 0, "weight": 1, "max_parallel": 0, "excluded_models": [], "projects": [], "own_proxy": False}


@pytest.fixture
async def house(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[House]:
    """With one sealed key, and one in the configuration."""
    config = planted(Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml")
    config.parent.mkdir(parents=True)
    config.write_text("claude-api-key: [{api-key: CANARY-from-config, priority: 7, weight: 2}]\n")
    house = await build(home, None, for_daemon=False)
    await VERBS["credentials.add"](house, {"provider": "gemini-api-key", "key": "CANARY-key", "label": "work"})
    yield house
    await house.close()


async def put(house: House, **given: Any) -> Any:
    return await VERBS["credentials.set"](house, {"id": WORK, **given})


async def shown(house: House, id_: str = WORK) -> dict[str, Any]:
    told = await VERBS["credentials.show"](house, {"id": id_})
    return {name: told[name] for name in USUAL}


async def test_what_is_named_changes_and_the_rest_stays(house: House) -> None:
    assert await shown(house) == USUAL
    await put(house, priority=-5, excluded_models=["gemini-2.0-*"])
    said = await put(house, weight=3, parallel=2)
    changed = {"priority": -5, "weight": 3, "max_parallel": 2, "excluded_models": ["gemini-2.0-*"]}
    assert await shown(house) == USUAL | changed
    assert said == {"id": WORK} | USUAL | changed
    await put(house, excluded_models=["a", " b ", "a"])
    assert await shown(house) == USUAL | changed | {"excluded_models": ["a", "b"]}
    await put(house, priority=0, parallel=0, excluded_models=[""])
    assert await shown(house) == USUAL | {"weight": 3}


async def test_it_is_sealed_and_outlives_the_process(house: House, home: dict[str, str]) -> None:
    await put(house, priority=4, proxy=PROXY)
    assert "CANARY" not in (house.owner.folder / f"{WORK}.json").read_text()
    another = await build(home, None, for_daemon=False)
    assert await shown(another) == USUAL | {"priority": 4, "own_proxy": True}
    held = another.owner.snapshot()[WORK]
    assert held.settings.proxy_url == Secret(PROXY) and held.key == Secret("CANARY-key")
    await another.close()


async def test_an_empty_proxy_is_none(house: House) -> None:
    await put(house, proxy=PROXY)
    told = await VERBS["credentials.show"](house, {"id": WORK})
    assert told["own_proxy"] is True and "CANARY" not in str(told)
    await put(house, proxy="")
    assert await shown(house) == USUAL


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "nothing to change"),
        ({"priority": "high"}, "priority: a whole number"),
        ({"priority": True}, "priority: a whole number"),
        ({"weight": 0}, "weight: a whole number from 1"),
        ({"parallel": -1}, "parallel: a whole number from 0"),
        ({"excluded_models": "gpt-*"}, "excluded_models: a list of texts"),
        ({"excluded_models": [5]}, "excluded_models: a list of texts"),
        ({"projects": ["one"]}, "only a Gemini login has projects"),
        ({"proxy": "ftp://ann:CANARY-proxy@x:1"}, "socks5, http or https"),
        ({"proxy": "socks5://[CANARY-proxy"}, "socks5, http or https"),
        ({"proxy": 5}, "proxy: a text"),
        ({"weight": 2, "priority": "high"}, "priority"),
    ],
)
async def test_thr_33_what_cannot_be_set_says_why_shows_no_secret_and_changes_nothing(
    house: House, given: dict[str, Any], says: str
) -> None:
    with pytest.raises(Misconfigured, match=says.replace("(", r"\(")) as refused:
        await put(house, **given)
    assert "CANARY" not in str(refused.value)
    assert await shown(house) == USUAL


async def test_a_gemini_login_has_projects(house: House) -> None:
    facts = {"projects": ["found-at-sign-in"]}
    login = Credential(id="", provider="gemini", kind="oauth", account=Account(email="a@example.com", facts=facts))
    id_ = (await house.owner.settle(login)).id
    assert (await shown(house, id_))["projects"] == ["found-at-sign-in"]
    await VERBS["credentials.set"](house, {"id": id_, "projects": ["one", "two"]})
    assert (await shown(house, id_))["projects"] == ["one", "two"]
    await VERBS["credentials.set"](house, {"id": id_, "projects": [""]})
    assert (await shown(house, id_))["projects"] == ["found-at-sign-in"]


async def test_a_key_of_the_config_is_adjusted_there(house: House) -> None:
    rows = (await VERBS["credentials.list"](house, {}))["data"]
    (row,) = (row for row in rows if row["source"] == "config")
    told = await shown(house, row["id"])
    assert (told["priority"], told["weight"]) == (7, 2)
    with pytest.raises(Misconfigured, match=f"{house.config_source}: change it there"):
        await VERBS["credentials.set"](house, {"id": row["id"], "priority": 1})
