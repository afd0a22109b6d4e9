"""What goes wrong at a vendor: before the first byte the next candidate is asked, after it the stream says so."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from stand_in import ONE_OF_EACH, TWO, Seen, Serve, Vendor, hang_up, stream, whole

CHAT = "/v1/chat/completions"
ASK = b'{"model":"m-chat"}'
STREAM = b'{"model":"m-chat","stream":true}'
GOOD = b'{"good":true}'
TEXT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
DONE = b"data: [DONE]\n\n"


def key_of(seen: Seen) -> str:
    return seen.headers["Authorization"]


@pytest.mark.parametrize("status", [401, 402, 403, 408, 429, 500, 503, 529])
async def test_a_failing_credential_is_followed_by_the_next(serve: Serve, vendor: Vendor, status: int) -> None:
    relayed = await serve(TWO)
    vendor.answers.extend([whole(b'{"error":{}}', status), whole(GOOD)])
    assert (await relayed.ask(CHAT, ASK))[:2] == (200, GOOD)
    first, second = vendor.seen
    assert key_of(first) != key_of(second)


async def test_so_is_one_that_does_not_answer_or_breaks_off(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("disable-cooling: true\n" + TWO)
    cut = stream(b'{"half', cut=True, content_type="application/json", content_length="100")
    vendor.answers.extend([hang_up, hang_up, whole(GOOD), cut, whole(GOOD)])
    assert (await relayed.ask(CHAT, ASK))[:2] == (200, GOOD)
    assert (await relayed.ask(CHAT, ASK))[:2] == (200, GOOD)
    assert not vendor.answers


async def test_so_is_a_stream_that_ends_before_its_first_event(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO)
    vendor.answers.extend([stream(), stream(TEXT + DONE)])
    assert (await relayed.ask(CHAT, STREAM))[:2] == (200, TEXT + DONE)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_refused_request_is_the_requests_own_fault(serve: Serve, vendor: Vendor, status: int) -> None:
    relayed = await serve(TWO)
    vendor.answers.append(whole(b'{"error":{"message":"their words"}}', status, request_id="r1", set_cookie="x"))
    told_status, body, headers = await relayed.ask(CHAT, ASK)
    assert (told_status, body) == (status, b'{"error":{"message":"their words"}}')
    assert headers["request-id"] == "r1" and "set-cookie" not in headers


async def test_the_last_refusal_is_passed_on_with_its_status_and_hint(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b'{"error":{"type":"rate"}}', 429, retry_after="7", x_ratelimit_limit_requests="3")
    status, body, headers = await relayed.ask(CHAT, ASK)
    assert (status, body) == (429, b'{"error":{"type":"rate"}}')
    assert headers["retry-after"] == "7" and headers["x-ratelimit-limit-requests"] == "3"
    assert (await relayed.ask(CHAT, ASK))[1] == b'{"error":{"type":"rate"}}', "a probe: hints may be wrong"
    status, body, headers = await relayed.ask(CHAT, ASK)
    assert status == 429 and 1 <= int(headers["retry-after"]) <= 7, "now it cools, and says for how long"
    assert "cooling" in json.loads(body)["error"]["message"]
    assert len(vendor.seen) == 2


async def test_request_retry_grants_further_rounds(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("request-retry: 2\n" + ONE_OF_EACH)
    vendor.answers.extend([whole(b"{}", 503), whole(b"{}", 503), whole(GOOD)])
    assert (await relayed.ask(CHAT, ASK))[:2] == (200, GOOD)


async def test_a_page_of_html_becomes_an_error_in_the_clients_shape(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"<html>CANARY</html>", 502, content_type="text/html")
    status, body, headers = await relayed.ask("/v1/messages", b'{"model":"m-claude"}')
    assert status == 502 and headers["content-type"].startswith("application/json")
    assert json.loads(body)["error"]["type"] == "api_error" and b"CANARY" not in body


async def test_thr_08_a_redirect_is_not_followed(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}", 307, location=vendor.url + "/elsewhere")
    status, body, _ = await relayed.ask(CHAT, ASK)
    assert status == 502 and b"redirect" in body
    assert [seen.path for seen in vendor.seen] == [CHAT]


@pytest.mark.parametrize(
    ("path", "body", "event"),
    [
        (CHAT, STREAM, TEXT),
        ("/v1/messages", b'{"model":"m-claude","stream":true}', b'data: {"type":"content_block_start"}\n\n'),
        ("/v1/responses", b'{"model":"m-codex","stream":true}', b'data: {"sequence_number":4}\n\n'),
        ("/v1beta/models/m-gemini:streamGenerateContent?alt=sse", b"{}", b'data: {"candidates":[]}\n\n'),
    ],
)
@pytest.mark.parametrize("cut", [True, False])
async def test_thr_41_a_stream_cut_in_the_middle_ends_with_an_error_in_its_grammar(
    serve: Serve, vendor: Vendor, path: str, body: bytes, event: bytes, cut: bool
) -> None:
    """Whether the connection breaks or closes politely: what is half said is left out, the reason is the last frame."""
    relayed = await serve()
    vendor.usual = stream(event, b"data: {half", cut=cut)
    status, told, _ = await relayed.ask(path, body)
    assert status == 200 and told.startswith(event) and b"half" not in told
    last = json.loads(told.removeprefix(event).partition(b"data: ")[2])
    message = last["message"] if last.get("type") == "error" and "message" in last else last["error"]["message"]
    assert "127.0.0.1" in message and "CANARY" not in message
    assert b"[DONE]" not in told
    if "sequence_number" in last:
        assert last["sequence_number"] == 5


async def test_a_large_whole_answer_cut_in_the_middle_does_not_look_whole(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(b'{"x":"' + b"A" * (6 * 1024 * 1024), cut=True, content_type="application/json")
    with pytest.raises(aiohttp.ClientError):
        await relayed.ask(CHAT, ASK)


async def test_hanging_up_stops_the_vendor_before_its_first_event(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    asked, never = asyncio.Event(), asyncio.Event()

    async def ponder(_request: object) -> None:
        asked.set()
        await never.wait()

    vendor.usual = ponder  # type: ignore[assignment]
    async with asyncio.TaskGroup() as group:
        request = group.create_task(relayed.ask(CHAT, STREAM))
        await asked.wait()
        request.cancel()
    await vendor.hung_up.wait()


async def test_hanging_up_stops_the_vendor_in_the_middle_of_a_stream(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(TEXT, asyncio.Event())
    async with relayed.post(CHAT, STREAM) as answer:
        await answer.content.readuntil(b"\n\n")
    await vendor.hung_up.wait()


# --- silence ----------------------------------------------------------------------------------------------------------


def impatient(**seconds: float) -> str:
    return "streaming: {{" + ", ".join(f"{name.replace('_', '-')}: {value}" for name, value in seconds.items()) + "}}\n"


async def test_a_comment_keeps_a_waiting_client_and_failover_goes_on_after_it(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(impatient(keepalive_seconds=0.02) + TWO)
    heard = asyncio.Event()

    async def late_failure(request: object) -> object:
        await heard.wait()
        return await whole(b"{}", 500)(request)  # type: ignore[arg-type]

    vendor.answers.extend([late_failure, stream(TEXT + DONE)])  # type: ignore[list-item]
    async with relayed.post(CHAT, STREAM) as answer:
        assert await answer.content.readuntil(b"\n\n") == b": keep-alive\n\n"
        heard.set()
        told = await answer.content.read()
    assert told.replace(b": keep-alive\n\n", b"") == TEXT + DONE


async def test_a_failure_after_a_comment_is_told_in_the_stream(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(impatient(keepalive_seconds=0.02) + ONE_OF_EACH)
    heard = asyncio.Event()

    async def late_failure(request: object) -> object:
        await heard.wait()
        return await whole(b'{"error":{}}', 400)(request)  # type: ignore[arg-type]

    vendor.usual = late_failure  # type: ignore[assignment]
    async with relayed.post(CHAT, STREAM) as answer:
        assert answer.status == 200
        await answer.content.readuntil(b"\n\n")
        heard.set()
        told = (await answer.content.read()).replace(b": keep-alive\n\n", b"")
    assert "400" in json.loads(told.removeprefix(b"data: "))["error"]["message"]


async def test_comments_stand_between_frames_only(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(impatient(keepalive_seconds=0.02) + ONE_OF_EACH)
    go = asyncio.Event()
    vendor.usual = stream(TEXT[:20], go, TEXT[20:] + DONE)
    async with relayed.post(CHAT, STREAM) as answer:
        assert await answer.content.readuntil(b"\n\n") == b": keep-alive\n\n"
        go.set()
        told = await answer.content.read()
    assert told.replace(b": keep-alive\n\n", b"") == TEXT + DONE


async def test_a_vendor_that_never_begins_counts_as_failed(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(impatient(first_event_seconds=0.5) + TWO)
    vendor.answers.extend([stream(asyncio.Event()), stream(TEXT + DONE)])
    assert (await relayed.ask(CHAT, STREAM))[:2] == (200, TEXT + DONE)


async def test_and_so_does_one_that_falls_silent(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(impatient(idle_seconds=0.05) + ONE_OF_EACH)
    vendor.usual = stream(TEXT, asyncio.Event())
    _, told, _ = await relayed.ask(CHAT, STREAM)
    assert told.startswith(TEXT + b"data: ") and b"silent" in told
    await vendor.hung_up.wait()
