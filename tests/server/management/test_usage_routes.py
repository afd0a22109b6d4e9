"""Usage over HTTP: as CLIProxyAPI shapes it, as plots want it, as a file that another house takes; never a raw key."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from managed import CLIENT_KEY, Managed, managed

from vaultd.work.story import Story

MODELS = ("big", "small")
VENDOR_KEY = "sk-CANARY-one"
#: Of an earlier program's client, known to nobody here.
STRANGER = "sk-CANARY-of-an-earlier-client-0123456789"


def keys(sandbox: Any) -> dict[str, Any]:
    where = {"name": "acme", "base-url": sandbox.key_bases()["openai"], "models": [{"name": m} for m in MODELS]}
    return {"openai-compatibility": [where | {"api-key-entries": [{"api-key": VENDOR_KEY}]}]}


@pytest.fixture
async def here(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Managed]:
    async with managed(home, planted, config=keys) as one:
        yield one


@pytest.fixture
async def other(home: dict[str, str], planted: Callable[[Path], Path], tmp_path: Path) -> AsyncIterator[Managed]:
    """Another house, with nothing in it."""
    env = home | {name: f"{tmp_path}/other/{name}" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    async with managed(env, planted, config=keys) as one:
        yield one


async def asked(here: Managed, path: str, **query: Any) -> Any:
    words = {name.rstrip("_"): str(value) for name, value in query.items()}
    told = await here.asks("GET", path, params=words)
    assert told.status == 200, told.text
    return told.json


async def some(here: Managed) -> None:
    """Three requests, one of which failed."""
    for model in (*MODELS, "nobody-has-it"):
        await here.chats(model)


async def test_cliproxyapi_reads_its_own_shape(here: Managed) -> None:
    await some(here)
    said = await asked(here, "/usage")
    usage = said["usage"]
    assert (usage["total_requests"], usage["success_count"], usage["failure_count"]) == (3, 2, 1)
    assert said["failed_requests"] == 1
    (endpoint,) = usage["apis"]
    assert endpoint == "POST /v1/chat/completions"
    api = usage["apis"][endpoint]
    assert api["total_requests"] == 3 and set(api["models"]) == {"big", "small", "unknown"}
    model = api["models"]["big"]
    (detail,) = model["details"]
    assert {"timestamp", "source", "tokens", "failed"} <= set(detail) and detail["failed"] is False
    assert set(detail["tokens"]) == {
        "input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens", "total_tokens",
    }  # fmt: skip
    assert detail["tokens"]["total_tokens"] == model["total_tokens"] > 0
    assert detail["source"].startswith("acme-")
    for by in ("requests_by_day", "requests_by_hour", "tokens_by_day", "tokens_by_hour"):
        (key,) = usage[by]
        assert len(key) == (10 if by.endswith("day") else 2)
    assert sum(usage["tokens_by_day"].values()) == usage["total_tokens"]


async def test_plots_get_points_and_rows(here: Managed) -> None:
    await some(here)
    for every, count in (("hour", 25), ("day", 31)):
        told = await asked(here, "/usage/series", every=every, by="model")
        assert count - 1 <= len(told["at"]) <= count
        assert {row["name"] for row in told["rows"]} == {"big", "small", "none"}
        for row in told["rows"]:
            assert row["requests"][-1] == 1
            assert {len(values) for name, values in row.items() if name not in {"name", "cost"}} == {len(told["at"])}
    (total,) = (await asked(here, "/usage/sums"))["rows"]
    assert (total["requests"], total["failures"], total["cost"]) == (3, 1, None)
    credentials = {row["name"]: row["requests"] for row in (await asked(here, "/usage/sums", by="credential"))["rows"]}
    assert sorted(credentials.values()) == [1, 2] and "none" in credentials


@pytest.mark.parametrize(
    "query",
    [
        {"from": "5", "to": "4"},
        {"from": "-1"},
        {"to": "99999999999999"},
        {"from": "1", "every": "hour"},
        {"by": "colour"},
        {"from": "yesterday"},
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(here: Managed, query: dict[str, str]) -> None:
    told = await here.asks("GET", "/usage/series", params=query)
    assert (told.status, told.json["error"]) == (400, "invalid query")


async def test_requests_come_newest_first_page_by_page_and_filtered(here: Managed) -> None:
    for model in (*MODELS, *MODELS, "nobody-has-it"):
        await here.chats(model)
    first = (await asked(here, "/usage/requests", limit=2))["data"]
    rest = (await asked(here, "/usage/requests", before=first[-1]["id"]))["data"]
    assert [one["asked"] for one in first + rest] == ["nobody-has-it", "small", "big", "small", "big"]
    assert len((await asked(here, "/usage/requests", model="big"))["data"]) == 2
    (failed,) = (await asked(here, "/usage/requests", failed=1))["data"]
    assert (failed["status"], failed["refused"], failed["credential"]) == (404, "no-such-model", "")
    assert len((await asked(here, "/usage/requests", credential="none"))["data"]) == 1
    assert (await asked(here, "/usage/requests", client="somebody"))["data"] == []


async def test_prices_come_from_a_file_and_a_bad_one_leaves_the_last_good_ones(here: Managed, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("currency: EUR\nmodels:\n  big: {input: 1000000, output: 0}\n")
    file = here.house.places.config_file
    assert file is not None
    file.write_text(json.dumps(json.loads(file.read_text()) | {"usage": {"prices-file": str(prices)}}))
    await here.house.reload("edited")
    await some(here)
    told = await asked(here, "/usage/sums", by="model")
    costs = {row["name"]: (row["cost"], row["input"]) for row in told["rows"]}
    assert told["currency"] == "EUR"
    assert costs["big"][0] == costs["big"][1] > 0 and costs["small"][0] is None
    prices.write_text("models:\n  big: {inputs: 2}\n")
    await here.house.reload("edited")
    assert (await asked(here, "/usage/sums", by="model"))["rows"] == told["rows"]
    codes = [check["code"] for check in (await asked(here, "/doctor"))["checks"] if check.get("code")]
    assert "prices-unusable" in codes


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_what_is_exported_is_imported_once_and_is_the_same(here: Managed, other: Managed, form: str) -> None:
    await some(here)
    file = await here.asks("GET", "/usage/export", params={"format": form})
    assert f'.{form}"' in file.headers["Content-Disposition"]
    kind = {"Content-Type": {"csv": "text/csv", "json": "application/json"}[form]}
    first = await other.asks("POST", "/usage/import", data=file.body, headers=kind)
    assert first.status == 200 and first.json["added"] > 0 and first.json["skipped"] == 0
    for house in (other, here):
        again = await house.asks("POST", "/usage/import", data=file.body, headers=kind)
        assert again.json == {"added": 0, "skipped": first.json["added"]}
    for by in ("total", "model", "credential", "client", "provider"):
        assert await asked(other, "/usage/sums", by=by, to=1 << 33) == await asked(
            here, "/usage/sums", by=by, to=1 << 33
        )
    if form == "json":
        mine, theirs = [(await asked(house, "/usage/requests"))["data"] for house in (here, other)]
        assert [one | {"id": 0} for one in theirs] == [one | {"id": 0} for one in mine]
        assert all(one["id"] < 0 for one in theirs), "the last requests of a house are its own"
        back = await other.asks("GET", "/usage/export", params={"format": form})
        lines = [set(json.loads(body.body)["hours"][0].items()) for body in (file, back)]
        assert lines[0] == lines[1], "the book it came from stays named"


async def test_a_later_export_of_the_same_house_adds_what_is_new(here: Managed, other: Managed) -> None:
    for count in (3, 6):
        await some(here)
        file = await here.asks("GET", "/usage/export")
        await other.asks("POST", "/usage/import", data=file.body, headers={"Content-Type": "application/json"})
        (total,) = (await asked(other, "/usage/sums"))["rows"]
        assert total["requests"] == count


async def test_thr_29_a_cell_is_no_formula_and_comes_back_as_it_was(here: Managed, other: Managed) -> None:
    evil = '=HYPERLINK("http://x")'
    for name in (evil, "'quoted", "+1", "-1", "@x"):
        here.house.usage.enter(Story(client=name, model=name, status=200, began=1.0, ended=2.0))
    file = await here.asks("GET", "/usage/export", params={"format": "csv"})
    for row in csv.reader(file.text.splitlines()):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
    await other.asks("POST", "/usage/import", data=file.body, headers={"Content-Type": "text/csv"})
    names = {row["name"] for row in (await asked(other, "/usage/sums", by="model"))["rows"]}
    assert names == {evil, "'quoted", "+1", "-1", "@x"}


def snapshot(count: int) -> dict[str, Any]:
    """What CLIProxyAPI says of one run of its own, by client key and by path; sources are keys or logins."""
    tokens = {"input_tokens": 5, "output_tokens": 2, "reasoning_tokens": 1, "cached_tokens": 0, "total_tokens": 8}
    details = [
        {
            "timestamp": f"2026-11-22T10:00:{second:02}.123456789+01:00",
            "source": source,
            "tokens": tokens,
            "failed": bad,
        }
        for second, (source, bad) in enumerate(
            [(VENDOR_KEY, False), ("ann@example.com", True), (f"{STRANGER}-upstream", False)] * count
        )
    ]
    apis = {name: {"models": {"gpt-5": {"details": details}}} for name in (CLIENT_KEY, STRANGER, "POST /v1/messages")}
    return {"usage": {"total_requests": len(details) * 3, "apis": apis}, "failed_requests": 0}


async def test_a_snapshot_of_cliproxyapi_is_taken_without_its_keys_and_a_later_one_adds_what_is_new(
    home: dict[str, str], planted: Callable[[Path], Path]
) -> None:
    async with managed(home, planted, config=keys) as here:
        file = here.house.places.config_file
        assert file is not None
        file.write_text(json.dumps(json.loads(file.read_text()) | {"usage": {"detail-days": 9999, "total-days": 9999}}))
        await here.house.reload("edited")
        for count, requests in ((1, 9), (1, 9), (2, 18)):
            told = await here.asks("POST", "/usage/import", snapshot(count))
            assert told.status == 200, told.text
            (total,) = (await asked(here, "/usage/sums", from_=1, to=1 << 33))["rows"]
            assert (total["requests"], total["failures"]) == (requests, requests // 3)
            assert (total["input"], total["output"]) == (5 * requests, 3 * requests)
        clients = {row["name"] for row in (await asked(here, "/usage/sums", by="client", from_=1, to=1 << 33))["rows"]}
        (known,) = [key.id for key in here.house.clients.list()]
        assert known in clients and "none" in clients and len(clients) == 3
        sources = {
            row["name"] for row in (await asked(here, "/usage/sums", by="credential", from_=1, to=1 << 33))["rows"]
        }
        (credential,) = here.house.pool.roster(here.house)
        assert {credential, "ann@example.com"} < sources
        await _no_key_is_anywhere(here)


async def test_thr_27_no_raw_key_is_in_the_database_its_log_or_an_export(here: Managed) -> None:
    await some(here)
    told = {
        "book": "b",
        "hour": int(here.house.usage.now()),
        "day": int(here.house.usage.now()),
        "client": CLIENT_KEY,
        "credential": VENDOR_KEY,
        "requests": 1,
    }
    taken = await here.asks("POST", "/usage/import", {"vaultd-usage": 1, "hours": [told], "requests": []})
    assert taken.json["added"] == 1
    await _no_key_is_anywhere(here)


async def test_thr_27_a_key_in_an_address_or_like_one_is_not_kept(here: Managed) -> None:
    detail = {"timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "source": "sk-CANARY@upstream"}
    models = {"models": {"gemini-2.5-pro": {"details": [detail]}}}
    endpoint = "POST /v1beta/models/gemini-2.5-pro:generateContent"
    told = await here.asks("POST", "/usage/import", {"usage": {"apis": {f"{endpoint}?key=CANARY-gemini": models}}})
    assert told.json["added"] == 2
    assert set((await asked(here, "/usage"))["usage"]["apis"]) == {endpoint}
    await _no_key_is_anywhere(here)


async def test_a_day_that_is_not_its_hours_is_put_right(here: Managed) -> None:
    hour = int(here.house.usage.now()) // 3600 * 3600
    told = {"book": "b", "hour": hour, "day": 1 << 39, "requests": 1}
    assert (await here.asks("POST", "/usage/import", {"vaultd-usage": 1, "hours": [told]})).json["added"] == 1
    (row,) = (await asked(here, "/usage/export"))["hours"]
    assert 0 <= hour - row["day"] <= 90000


async def _no_key_is_anywhere(here: Managed) -> None:
    answers = [
        (await here.asks("GET", path)).body
        for path in ("/usage", "/usage/requests", "/usage/export", "/usage/export?format=csv", "/usage/sums?by=client")
    ]
    files = [path.read_bytes() for path in here.house.places.state_dir.glob("usage.sqlite*")]
    assert len(files) == 3
    assert not any(b"CANARY" in text for text in answers + files)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b'{"vaultd-usage":2}', "application/json"),
        (b'{"vaultd-usage":1,"hours":[{"book":"b","hour":-1,"day":0}]}', "application/json"),
        (b'{"vaultd-usage":1,"requests":[{"book":"","number":1,"at":1}]}', "application/json"),
        # A sum over a thousand of these is more than SQLite's integers hold.
        (b'{"vaultd-usage":1,"hours":[{"book":"b","hour":1,"day":1,"input":9007199254740991}]}', "application/json"),
        (b"a,b\r\n1,2\r\n", "text/csv"),
        (b"\xff\xfe", "text/csv"),
        (b"", "text/csv"),
    ],
)
async def test_what_is_no_export_is_refused_whole(here: Managed, body: bytes, kind: str) -> None:
    told = await here.asks("POST", "/usage/import", data=body, headers={"Content-Type": kind})
    assert told.status == 400, told.text
    assert (await asked(here, "/usage/sums", from_=1))["rows"] == []


async def test_a_summary_of_vaultd_is_not_taken_for_a_run_of_cliproxyapi(here: Managed) -> None:
    await some(here)
    summary = await asked(here, "/usage")
    told = await here.asks("POST", "/usage/import", summary)
    assert told.status == 400 and "usage/export" in told.json["message"]
