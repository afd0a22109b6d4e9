"""Misbehaviours, switched on one by one."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

KEY = {"Authorization": "Bearer sk-CANARY-1"}


def question(prompt: str, **changes) -> dict:
    return {"model": "invented-1", "messages": [{"role": "user", "content": prompt}]} | changes


def ask(person, prompt: str = "hi", key: str = "sk-CANARY-1", **changes):
    url = f"{person.sandbox.url}/invented/v1/chat/completions"
    return person.http.post(url, json=question(prompt, **changes), headers={"Authorization": f"Bearer {key}"})


async def test_a_status_some_times_then_well_again(person):
    person.sandbox.fault("invented", at="llm", do="status", status=503, times=2, retry_after=7)
    seen = []
    for _ in range(3):
        async with ask(person) as reply:
            seen.append((reply.status, reply.headers.get("Retry-After")))
    assert seen == [(503, "7"), (503, "7"), (200, None)]


async def test_a_delay_comes_before_whatever_else_is_armed(person):
    person.sandbox.fault("invented", at="any", do="delay", seconds=0.001, times=2)
    person.sandbox.fault("invented", at="llm", do="status", status=529)
    seen = []
    for _ in range(2):
        async with ask(person) as reply:
            seen.append(reply.status)
    assert seen == [529, 200] and person.sandbox["invented"].counts["faults"] == 3


async def test_some_get_away_first(person):
    person.sandbox.fault("invented", at="llm", do="status", status=500, skip=1)
    seen = []
    for _ in range(3):
        async with ask(person) as reply:
            seen.append(reply.status)
    assert seen == [200, 500, 200]


async def test_a_refusal_per_key_model_and_account(person):
    person.sandbox.fault("invented", at="llm", do="status", status=429, times=0, key="sk-CANARY-2")
    person.sandbox.fault("invented", at="llm", do="status", status=429, times=0, model="dear")
    person.sandbox.fault("invented", at="llm", do="status", status=402, times=0, account="ann@example.com")
    async with ask(person) as reply:
        assert reply.status == 200
    async with ask(person, key="sk-CANARY-2") as reply:
        assert reply.status == 429
    async with ask(person, model="dear") as reply:
        assert reply.status == 429
    person.sandbox.set("invented", account="ann@example.com")
    tokens = await person.sign_in("invented")
    async with ask(person, key=tokens["access_token"]) as reply:
        assert reply.status == 402


async def test_a_gemini_quota_per_project_says_when(person):
    tokens = await person.sign_in("gemini")
    person.sandbox.set("gemini", projects=["one", "two"])
    person.sandbox.fault("gemini", at="llm", do="status", status=429, times=0, project="one", retry_after=3.5)
    url = person.endpoint("gemini", "api") + "/v1internal:generateContent"
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    envelope = {"model": "m", "request": {"contents": [{"parts": [{"text": "hi"}]}]}}
    async with person.http.post(url, json=envelope | {"project": "one"}, headers=headers) as reply:
        assert (await reply.json())["error"]["details"][0]["retryDelay"] == "3.5s"
    async with person.http.post(url, json=envelope | {"project": "two"}, headers=headers) as reply:
        assert reply.status == 200


async def test_a_codex_quota_says_when_it_resets(person):
    person.sandbox.fault("codex", at="llm", do="status", status=429, retry_after=30)
    async with person.http.post(person.endpoint("codex", "api") + "/responses", json={}) as reply:
        error = (await reply.json())["error"]
    assert (error["type"], error["resets_in_seconds"]) == ("usage_limit_reached", 30)


async def test_answers_that_are_none(person):
    for body in ("<html>Bad gateway</html>", "", '{"error":"invalid_grant"}', '{"access_token":"a\\r\\nCANARY"}'):
        person.sandbox.fault("codex", at="token", do="answer", body=body)
        async with person.http.post(person.endpoint("codex", "token"), data={}) as reply:
            assert (reply.status, await reply.text()) == (200, body)


async def test_a_fault_for_one_grant_only(person):
    person.sandbox.fault("codex", at="token", do="status", status=503, times=0, grant="refresh_token")
    tokens = await person.sign_in("codex")
    status, refused = await person.renew("codex", tokens["refresh_token"])
    assert (status, refused["error"]) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_lead_to_a_host_that_notes_what_arrives(person, status):
    person.sandbox.fault("codex", at="token", do="redirect", status=status)
    url = person.endpoint("codex", "token")
    async with person.http.post(url, data={"refresh_token": "CANARY"}, allow_redirects=False) as reply:
        assert reply.status == status and reply.headers["Location"].startswith(person.sandbox.other_url)
    assert person.sandbox.other_hits == []
    async with person.http.post(reply.headers["Location"], data={"refresh_token": "CANARY"}):
        pass
    assert b"CANARY" in person.sandbox.other_hits[0].body


async def test_a_bomb_and_a_flood(person):
    person.sandbox.fault("codex", at="token", do="gzip-bomb", size=1_000_000)
    async with person.http.post(person.endpoint("codex", "token"), data={}) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        assert int(reply.headers["Content-Length"]) < 2_000 and len(await reply.read()) == 1_000_000
    person.sandbox.fault("codex", at="token", do="huge", size=100_000)
    async with person.http.post(person.endpoint("codex", "token"), data={}) as reply:
        assert len(await reply.read()) > 100_000


async def test_a_cut_before_and_a_cut_after_the_work(person):
    tokens = await person.sign_in("codex")
    known = person.sandbox["codex"]
    for deed, renewals in (("cut", 0), ("cut-after", 1)):
        person.sandbox.fault("codex", at="token", do=deed)
        with pytest.raises(aiohttp.ClientError):
            await person.renew("codex", tokens["refresh_token"])
        assert known.families[0].renewals == renewals


async def test_what_hangs_is_released(person):
    person.sandbox.fault("invented", at="llm", do="hang")

    async def status() -> int:
        async with ask(person) as reply:
            return reply.status

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(status())
        await person.sandbox["invented"].until(lambda: person.sandbox["invented"].counts["faults"] == 1)
        assert not waiting.done()
        person.sandbox["invented"].release()
    assert waiting.result() == 200


async def test_a_stream_cut_in_the_middle(person):
    person.sandbox.fault("invented", at="llm", do="cut-stream", after_events=3)
    async with ask(person, "count to 9", stream=True) as reply:
        assert reply.status == 200
        with pytest.raises(aiohttp.ClientError):
            await reply.read()


@pytest.mark.parametrize(
    ("vendor", "path", "headers", "body", "last"),
    [
        ("invented", "/v1/chat/completions", KEY, question("hi", stream=True), {"error": {"type": "server_error"}}),
        (
            "claude",
            "/v1/messages",
            {"x-api-key": "CANARY", "anthropic-version": "1"},
            question("hi", stream=True, max_tokens=9),
            {"type": "error", "error": {"type": "overloaded_error"}},
        ),
        ("codex", "/v1/responses", KEY, {"model": "m", "input": "hi", "stream": True}, {"type": "error"}),
        (
            "gemini",
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            {"x-goog-api-key": "CANARY"},
            {"contents": [{"parts": [{"text": "hi"}]}]},
            {"error": {"status": "UNAVAILABLE"}},
        ),
    ],
)
async def test_an_error_in_the_middle_speaks_the_streams_grammar(person, vendor, path, headers, body, last):
    person.sandbox.fault(vendor, at="llm", do="error-event", after_events=2)
    url = f"{person.sandbox.url}/{vendor}{path}"
    async with person.http.post(url, json=body, headers=headers) as reply:
        lines = [line for line in (await reply.text()).splitlines() if line.startswith("data:")]
    assert len(lines) == 3
    said = json.loads(lines[-1][5:])
    for name, value in last.items():
        assert value.items() <= said[name].items() if isinstance(value, dict) else said[name] == value


async def test_a_stream_can_come_in_crumbs(person):
    person.sandbox.set("invented", chunk_bytes=7, gap_seconds=0.0001)
    async with ask(person, "say hello", stream=True) as reply:
        assert "[DONE]" in await reply.text()


async def test_a_client_that_hangs_up_is_seen(person):
    person.sandbox.fault("invented", at="llm", do="stall", after_events=2)
    known = person.sandbox["invented"]
    async with ask(person, "count to 9", stream=True) as reply:
        await reply.content.readline()
        await known.until(lambda: known.counts["faults"] == 1)
    await known.until(lambda: known.counts["disconnects"] == 1)
    assert known.hits[-1].disconnected
