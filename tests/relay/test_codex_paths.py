"""Codex's own backend: what lies beside `/responses` is passed on unread, with the pool's credential."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from ports import free_port
from stand_in import CLIENT_KEY, Serve, Vendor, stream, whole

from vaultd.work.metrics import Seen

TWO_KEYS = """
disable-cooling: true
codex-api-key:
  - {{api-key: sk-CANARY-codex-1, base-url: "{url}/codex", models: [{{name: real-codex, alias: m-codex}}]}}
  - {{api-key: sk-CANARY-codex-2, base-url: "{url}/codex", models: [{{name: real-codex, alias: m-codex}}]}}
"""
COMPACT = b'{ "model":"m-codex", "input" : [{"type":"message","role":"user","content":"hi"}]}'
COMPACTED = b'{"object":"response.compaction", "output":[]}'


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/backend-api/codex/responses/compact"])
async def test_compact_goes_to_whoever_serves_the_model(serve: Serve, vendor: Vendor, path: str) -> None:
    relayed = await serve()
    vendor.usual = whole(COMPACTED)
    status, body, _ = await relayed.ask(path, COMPACT, x_codex_window="w")
    assert (status, body) == (200, COMPACTED)
    seen = vendor.seen[0]
    assert (seen.method, seen.path) == ("POST", "/codex/responses/compact")
    assert seen.body == COMPACT.replace(b"m-codex", b"real-codex")
    assert seen.headers["authorization"] == "Bearer sk-CANARY-codex"
    assert seen.headers["x-codex-window"] == "w"


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/backend-api/codex/alpha/search"])
async def test_one_credential_that_fails_is_followed_by_the_next(serve: Serve, vendor: Vendor, path: str) -> None:
    relayed = await serve(TWO_KEYS)
    vendor.answers.extend([whole(b'{"error":{"message":"no"}}', status=429), whole(COMPACTED)])
    assert (await relayed.ask(path, COMPACT))[:2] == (200, COMPACTED)
    assert len({seen.headers["authorization"] for seen in vendor.seen}) == 2


async def test_the_last_refusal_is_the_vendors_own(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO_KEYS)
    vendor.usual = whole(b'{"error":{"message":"no more"}}', status=429, retry_after="9")
    status, body, headers = await relayed.ask("/v1/responses/compact", COMPACT)
    assert (status, json.loads(body)["error"]["message"], headers["retry-after"]) == (429, "no more", "9")
    vendor.usual = whole(b"<html>", status=502, content_type="text/html")
    status, body, _ = await relayed.ask("/v1/responses/compact", COMPACT)
    assert status == 502
    assert b"<html>" not in body


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/backend-api/codex/alpha/search"])
async def test_when_to_come_back_is_told_in_a_header_where_the_vendor_says_it_in_its_body(
    serve: Serve, vendor: Vendor, path: str
) -> None:
    relayed = await serve(TWO_KEYS)
    limited = b'{"error": {"type": "usage_limit_reached",  "resets_in_seconds": 59.1}}'
    vendor.usual = whole(limited, status=429)
    status, body, headers = await relayed.ask(path, COMPACT)
    assert (status, body, headers["retry-after"]) == (429, limited, "60")


@pytest.mark.parametrize("path", ["/v1/responses/compact", "/backend-api/codex/alpha/search"])
async def test_a_try_that_nobody_answered_is_counted_too(serve: Serve, vendor: Vendor, path: str) -> None:
    del vendor
    relayed = await serve(TWO_KEYS.replace("{url}", f"http://127.0.0.1:{free_port()}"))
    assert (await relayed.ask(path, COMPACT))[0] == 502
    text = relayed.house.metrics.render(Seen()).decode()
    assert 'vaultd_attempts_total{provider="codex-api-key",status="0"} 2.0' in text


async def test_compact_wants_a_model(serve: Serve) -> None:
    relayed = await serve()
    status, body, _ = await relayed.ask("/v1/responses/compact", b"{}")
    assert (status, b"`model`" in body) == (400, True)


async def test_responses_are_served_below_codexs_own_base_too(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    done = b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n'
    vendor.usual = stream(done)
    _, body, _ = await relayed.ask("/backend-api/codex/responses", b'{"model":"m-codex","stream":true,"input":[]}')
    assert body == done
    key = {"authorization": f"Bearer {CLIENT_KEY}"}
    async with relayed.session.ws_connect(f"{relayed.url}/backend-api/codex/responses", headers=key) as socket:
        await socket.send_str('{"type":"response.create","model":"m-codex","input":[]}')
        assert (await socket.receive_json())["type"] == "response.completed"


async def test_the_model_list_is_the_one_that_leaves_codex_its_own(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    headers = {"authorization": f"Bearer {CLIENT_KEY}"}
    async with relayed.session.get(f"{relayed.url}/backend-api/codex/models?client_version=1", headers=headers) as told:
        assert await told.json() == {"models": []}
    assert not vendor.seen


async def test_any_other_path_passes_with_method_body_and_plain_query(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"\x00\x01", content_type="application/octet-stream", x_codex_a="b", set_cookie="c=CANARY")
    query = f"limit=2&key={CLIENT_KEY}&odd=%2e%2e%2f"
    headers = {"x-codex-b": "c", "cookie": "c=CANARY"}
    async with relayed.session.get(f"{relayed.url}/backend-api/codex/a/b?{query}", headers=headers) as told:
        assert (await told.read(), told.headers["x-codex-a"]) == (b"\x00\x01", "b")
        assert "set-cookie" not in told.headers
    seen = vendor.seen[0]
    assert (seen.method, seen.path, seen.body) == ("GET", "/codex/a/b?limit=2", b"")
    assert (seen.headers["x-codex-b"], seen.headers.get("cookie")) == ("c", None)

    await relayed.ask("/backend-api/codex/c", b"x=1", content_type="application/x-www-form-urlencoded")
    seen = vendor.seen[1]
    assert (seen.method, seen.path, seen.body) == ("POST", "/codex/c", b"x=1")
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "path",
    [
        "/backend-api/wham/usage",
        "/backend-api/ps/plugins",
        "/backend-api/codex/..%2f..%2fwham",
        "/backend-api/codex/a/.../b",
        "/backend-api/codex/a%3fb",
        "/backend-api/codex/a//b",
    ],
)
async def test_what_is_not_codexs_is_not_there(serve: Serve, vendor: Vendor, path: str) -> None:
    relayed = await serve()
    assert (await relayed.ask(path, b"{}"))[0] == 404
    assert not vendor.seen


async def test_a_key_for_the_whole_api_of_an_organisation_serves_no_other_path(serve: Serve) -> None:
    relayed = await serve("codex-api-key: [{{api-key: sk-CANARY-codex}}]")
    status, body, _ = await relayed.ask("/backend-api/codex/files", b"{}")
    assert (status, json.loads(body)["error"]["code"]) == (503, "no_credential")
    assert "vaultd login --codex" in json.loads(body)["error"]["message"]


async def test_a_client_that_hangs_up_stops_the_vendor(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(b"a", asyncio.Event())
    async with relayed.post("/backend-api/codex/a", b"{}") as answer:
        assert await answer.content.readany() == b"a"
    await asyncio.wait_for(vendor.hung_up.wait(), 10)


async def test_a_vendor_that_breaks_off_does_not_look_whole(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(b"a", cut=True)
    with pytest.raises(aiohttp.ClientPayloadError):
        await relayed.ask("/backend-api/codex/a", b"{}")


async def test_without_a_key_nothing_passes(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    for path in ("/v1/responses/compact", "/backend-api/codex/a"):
        async with relayed.session.post(f"{relayed.url}{path}", data=b"{}") as told:
            assert told.status == 401
    assert not vendor.seen


async def test_a_summary_of_vaultds_own_is_told_to_a_vendor_that_cannot_read_it(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(COMPACTED)
    items = [{"type": "compaction", "encrypted_content": relayed.house.seal.seal("it was 42")}]
    await relayed.ask("/v1/responses/compact", json.dumps({"model": "m-codex", "input": items}).encode())
    (item,) = json.loads(vendor.seen[0].body)["input"]
    assert item["content"] == [{"type": "input_text", "text": "it was 42"}]
