"""The Responses API over a websocket: each message a POST to the vendor, what was said before kept here."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import WSCloseCode, WSMsgType, web
from openai.types.responses import Response
from openai.types.responses.responses_server_event import ResponseWsError
from stand_in import CLIENT_KEY, Relayed, Serve, Vendor, stream, whole

from vaultd.server.guard import client_key, guarded
from vaultd.server.relay import Desk
from vaultd.server.responses_socket import Memory, Sockets
from vaultd.server.slow import LIMITS
from vaultd.work.metrics import Seen
from vaultd.work.relay import Relay

KEY = {"authorization": f"Bearer {CLIENT_KEY}"}
ASK = {"type": "response.create", "model": "m-codex", "store": False}
HELLO = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Grüß"}]}
AGAIN = {"type": "function_call_output", "call_id": "call_1", "output": "42"}


def frame(kind: str, number: int, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **members})}\n\n".encode()


def said(name: str, *, output: bool = True) -> tuple[bytes, dict[str, Any]]:
    """A stream that says one thing, and the item it said."""
    item = {
        "type": "message",
        "id": f"msg_{name}",
        "role": "assistant",
        "content": [{"type": "output_text", "text": name}],
    }
    told = {"id": f"resp_{name}", "object": "response", "output": []}
    return (
        frame("response.created", 0, response=told)
        + frame("response.output_text.delta", 1, delta="»response.completed«")
        + frame("response.output_item.done", 2, output_index=0, item=item)
        + frame("response.completed", 3, response=told | ({"output": [item]} if output else {}))
    ), item


@contextlib.asynccontextmanager
async def connected(relayed: Relayed, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{relayed.url}/v1/responses"
    async with relayed.session.ws_connect(url, headers=KEY | named, max_msg_size=0) as socket:
        yield socket


async def answered(socket: aiohttp.ClientWebSocketResponse, **request: Any) -> list[dict[str, Any]]:
    """The events of one request, to its end."""
    await socket.send_str(json.dumps(ASK | request, ensure_ascii=False))
    return await heard(socket)


async def heard(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] not in {"response.completed", "error"}:
        events.append(await socket.receive_json())
    return events


def sent(vendor: Vendor) -> list[dict[str, Any]]:
    return [json.loads(seen.body) for seen in vendor.seen]


async def test_one_event_is_one_message_and_the_request_a_post(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    stream_of, _ = said("one")
    vendor.usual = stream(b": hello\n\n" + stream_of)
    async with connected(relayed) as socket:
        events = await answered(socket, input=[HELLO], instructions="be brief")
    assert [event["type"] for event in events] == [
        "response.created",
        "response.output_text.delta",
        "response.output_item.done",
        "response.completed",
    ]
    assert (vendor.seen[0].method, vendor.seen[0].path) == ("POST", "/codex/responses")
    (body,) = sent(vendor)
    assert body.items() >= {"model": "real-codex", "input": [HELLO], "instructions": "be brief", "stream": True}.items()
    assert "type" not in body


async def test_a_burst_arrives_event_by_event_whatever_their_size(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    sizes = [0, *range(40, 65), *range(65_440, 65_480), 70_000, 3]  # a frame's length has three forms
    burst = b"".join(frame("response.output_text.delta", at, delta="x" * size) for at, size in enumerate(sizes))
    vendor.usual = stream(burst + said("one")[0])
    async with connected(relayed) as socket:
        events = await answered(socket, input=[HELLO])
    assert [len(event["delta"]) for event in events[: len(sizes)]] == sizes


@pytest.mark.parametrize("output", [True, False])
async def test_a_request_goes_on_from_what_was_said_before(serve: Serve, vendor: Vendor, output: bool) -> None:
    relayed = await serve()
    first, one = said("one", output=output)
    second, two = said("two", output=output)
    vendor.answers.extend([stream(first), stream(second), stream(first)])
    async with connected(relayed) as socket:
        await answered(socket, input="hi")
        await answered(socket, previous_response_id="resp_one", input=[AGAIN])
        await answered(socket, previous_response_id="resp_two")
    hi = {"type": "message", "role": "user", "content": "hi"}
    assert [body["input"] for body in sent(vendor)] == [
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        [hi, one, AGAIN],
        [hi, one, AGAIN, two],
    ]
    assert not any("previous_response_id" in body for body in sent(vendor))


async def test_a_warm_up_asks_nobody_and_is_gone_on_from(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    async with connected(relayed) as socket:
        created, completed = await answered(socket, generate=False, input=[HELLO], tools=[{"type": "web_search"}])
        assert not vendor.seen
        assert Response.model_validate(completed["response"]).status == "completed"
        assert (created["type"], completed["response"]["tools"]) == ("response.created", [{"type": "web_search"}])
        await answered(socket, previous_response_id=completed["response"]["id"], input=[AGAIN])
    assert sent(vendor)[0]["input"] == [HELLO, AGAIN]
    assert "generate" not in sent(vendor)[0]


async def test_a_response_nobody_knows_is_named_and_the_socket_lives_on(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    async with connected(relayed) as first, connected(relayed) as second:
        await answered(first, input=[HELLO])
        (error,) = await answered(second, previous_response_id="resp_one", input=[AGAIN])
        assert error["status"] == 400
        assert error["error"]["code"] == "previous_response_not_found"
        assert "resp_one" in error["error"]["message"]
        ResponseWsError.model_validate(error)
        assert len(await answered(second, input=[HELLO])) == 4


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("[]", "JSON object"),
        ('{"type":"response.steer","input":[]}', "response.steer"),
        ('{"type":"response.create"}', "model"),
        ('{"type":"response.create","model":"m-codex","previous_response_id":7}', "previous_response_id"),
        ('{"type":"response.create","model":"nobody-has-this"}', "nobody-has-this"),
        ('{"type":"response.create","model":"m-codex","generate":false,"input":7}', "input"),
    ],
)
async def test_what_cannot_be_served_is_an_error_and_not_the_end(
    serve: Serve, vendor: Vendor, message: str, named: str
) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    async with connected(relayed) as socket:
        await socket.send_str(message)
        (error,) = await heard(socket)
        assert 400 <= error["status"] < 500
        assert named in error["error"]["message"]
        assert len(await answered(socket, input=[HELLO])) == 4


async def test_an_acknowledgement_wants_no_answer(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    async with connected(relayed) as socket:
        await socket.send_str('{"type":"response.processed","response_id":"resp_1"}')
        assert len(await answered(socket, input=[HELLO])) == 4


async def test_the_vendors_own_refusal_is_passed_on_with_what_it_says_of_limits(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("disable-cooling: true\n" + ONE)
    told = b'{"error":{"type":"usage_limit_reached","message":"no more","resets_in_seconds":9}}'
    vendor.answers.append(whole(told, status=429, retry_after="7", x_codex_primary_used_percent="100"))
    vendor.answers.append(stream(said("one")[0]))
    async with connected(relayed) as socket:
        (error,) = await answered(socket, input=[HELLO])
        assert error["status"] == 429
        assert error["error"]["type"] == "usage_limit_reached"
        assert error["error"]["resets_in_seconds"] == 9
        assert error["headers"] == error["error"]["headers"]
        assert error["headers"]["retry-after"] == "7"
        assert error["headers"]["x-codex-primary-used-percent"] == "100"
        assert len(await answered(socket, input=[HELLO])) == 4


ONE = """
codex-api-key: [{{api-key: sk-CANARY-codex, base-url: "{url}/codex", models: [{{name: real-codex, alias: m-codex}}]}}]
"""


async def test_a_stream_that_breaks_off_is_an_error_with_a_status(serve: Serve, vendor: Vendor) -> None:
    """Codex acts on the status, and takes no notice of a stream's own `error` event."""
    relayed = await serve("disable-cooling: true\n" + ONE)
    begun = frame("response.output_text.delta", 1, delta="a")
    vendor.answers.append(stream(begun, cut=True))
    vendor.answers.append(stream(begun + frame("error", 2, code="rate_limit_exceeded", message="slow", param=None)))
    async with connected(relayed) as socket:
        cut = (await answered(socket, input=[HELLO]))[-1]
        assert (cut["type"], cut["status"]) == ("error", 502)
        limited = (await answered(socket, input=[HELLO]))[-1]
        assert (limited["status"], limited["error"]["message"], limited["sequence_number"]) == (429, "slow", 2)


async def test_something_else_than_a_stream_is_no_answer(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(b"\x1f\x8b", content_encoding="gzip")
    async with connected(relayed) as socket:
        (error,) = await answered(socket, input=[HELLO])
        assert error["status"] == 502


async def test_a_stop_of_the_client_stops_the_vendor(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(frame("response.created", 0, response={}), frame("x", 1), asyncio.Event())
    async with connected(relayed) as socket:
        await socket.send_str(json.dumps(ASK | {"input": []}))
        await socket.receive()
    await asyncio.wait_for(vendor.hung_up.wait(), 10)


async def test_a_comment_keeps_the_connection_and_is_no_message(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    go, on = asyncio.Event(), asyncio.Event()
    vendor.usual = stream(frame("response.output_text.delta", 0, delta="a"), go, b": alive\n\n", on, said("one")[0])
    url = f"{relayed.url}/v1/responses"
    async with relayed.session.ws_connect(url, headers=KEY, autoping=False) as socket:
        await socket.send_str(json.dumps(ASK | {"input": []}))
        assert (await socket.receive_json())["delta"] == "a"
        go.set()
        assert (await socket.receive()).type is WSMsgType.PING
        on.set()
        assert (await heard(socket))[-1]["type"] == "response.completed"


async def test_a_refusal_after_pings_still_has_its_own_status(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("disable-cooling: true\nstreaming: {{keepalive-seconds: 0.05}}\n" + ONE)
    go = asyncio.Event()
    refusing = whole(b'{"error":{"message":"no more","type":"t"}}', status=429, retry_after="7")

    async def later(request: web.Request) -> web.StreamResponse:
        await go.wait()
        return await refusing(request)

    vendor.usual = later
    async with relayed.session.ws_connect(f"{relayed.url}/v1/responses", headers=KEY, autoping=False) as socket:
        await socket.send_str(json.dumps(ASK | {"input": []}))
        assert (await socket.receive()).type is WSMsgType.PING
        go.set()
        while (message := await socket.receive()).type is WSMsgType.PING:
            pass
        error = message.json()
    assert (error["status"], error["error"]["message"], error["headers"]["retry-after"]) == (429, "no more", "7")


async def test_requests_of_one_socket_wait_for_each_other(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    go = asyncio.Event()
    vendor.answers.extend([stream(go, said("one")[0]), stream(said("two")[0])])
    async with connected(relayed) as socket:
        for lane in ("a", "b"):
            await socket.send_str(json.dumps(ASK | {"input": [HELLO], "stream_id": lane}))
        go.set()
        told = [*await heard(socket), *await heard(socket)]
    assert [(event["stream_id"], event["type"]) for event in told if "response" in event] == [
        ("a", "response.created"),
        ("a", "response.completed"),
        ("b", "response.created"),
        ("b", "response.completed"),
    ]
    assert "stream_id" not in sent(vendor)[0]


async def test_what_codex_cannot_put_into_headers_becomes_one(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    lite = "ws_request_header_x_openai_internal_codex_responses_lite"
    metadata = {"session": "s", lite: "true", "ws_request_header_authorization": "sk-CANARY-other"}
    async with connected(relayed, openai_beta="responses_websockets=2026-02-06, other=1") as socket:
        await answered(socket, input=[], client_metadata=metadata)
        await answered(socket, input=[])
    with_it, without = (seen.headers for seen in vendor.seen)
    assert with_it["x-openai-internal-codex-responses-lite"] == "true"
    assert "x-openai-internal-codex-responses-lite" not in without
    assert with_it["authorization"] == "Bearer sk-CANARY-codex"
    assert with_it["openai-beta"] == "other=1"
    assert sent(vendor)[0]["client_metadata"] == {"session": "s"}


async def test_the_vendors_turn_state_comes_back_to_it(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0], x_codex_turn_state="here")
    async with connected(relayed) as socket:
        await answered(socket, input=[])
        await answered(socket, input=[])
    assert [seen.headers.get("x-codex-turn-state") for seen in vendor.seen] == [None, "here"]


async def test_over_http_the_turn_state_is_the_clients_to_keep(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0], x_codex_turn_state="here")
    body = json.dumps({"model": "m-codex", "stream": True, "input": []}).encode()
    _, _, headers = await relayed.ask("/v1/responses", body, x_codex_turn_state="there")
    assert headers["x-codex-turn-state"] == "here"
    assert vendor.seen[0].headers["x-codex-turn-state"] == "there"


async def test_without_a_key_there_is_no_socket(serve: Serve) -> None:
    relayed = await serve()
    for headers, status in (({}, 401), (KEY, 426)):
        async with relayed.session.get(f"{relayed.url}/v1/responses", headers=headers) as answer:
            assert answer.status == status
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await relayed.session.ws_connect(f"{relayed.url}/v1/responses")


async def test_a_key_that_is_taken_away_is_of_no_more_use(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    async with connected(relayed) as socket:
        await answered(socket, input=[])
        relayed.house.clients.with_config_keys(["sk-CANARY-another-0123456789abcdef"])
        (error,) = await answered(socket, input=[])
        assert error["status"] == 401


async def test_each_request_is_counted_and_the_socket_is_none(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    metrics = relayed.house.metrics
    async with connected(relayed) as socket:
        await answered(socket, input=[])
        await socket.send_str('{"type":"response.processed","response_id":"resp_one"}')
        await answered(socket, input=7)
        assert metrics.in_work == 0
    text = metrics.render(Seen()).decode()
    assert (
        'vaultd_requests_total{format="openai-responses",provider="codex-api-key",route="relay",status="200"} 1.0'
        in text
    )
    assert 'vaultd_requests_total{format="openai-responses",provider="",route="relay",status="400"} 1.0' in text
    assert 'vaultd_requests_total{format="openai-responses",provider="",route="socket",status="101"} 1.0' in text
    assert text.count("vaultd_requests_total{") == 3, "what Codex has read it only acknowledges"


class FaultyDesk(Desk):
    """Its relay cannot be reached for a fault of ours."""

    @property
    def relay(self) -> Relay:
        raise LookupError


async def test_a_fault_of_ours_is_counted_as_one_and_not_as_a_client_that_hung_up(serve: Serve) -> None:
    relayed = await serve()
    house = relayed.house
    sockets = Sockets(house, FaultyDesk(house), LIMITS)
    app = web.Application()
    app.router.add_get("/", guarded(house, "openai-responses", client_key, sockets.handle))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with relayed.session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/", headers=KEY) as socket:
            await socket.send_str(json.dumps(ASK | {"input": []}))
            assert (await socket.receive()).data == WSCloseCode.INTERNAL_ERROR
    finally:
        await runner.cleanup()
    assert house.metrics.lane("relay", "openai-responses").answered == {("", 500): 1}
    assert house.metrics.in_work == 0


async def test_at_the_end_an_idle_socket_is_closed_and_a_busy_one_ends_its_answer(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    go = asyncio.Event()
    vendor.usual = stream(frame("response.created", 0, response={}), frame("response.x", 1), go, said("one")[0])
    async with connected(relayed) as busy, connected(relayed) as idle:
        await busy.send_str(json.dumps(ASK | {"input": []}))
        await busy.receive()
        relayed.house.draining.set()
        assert (await idle.receive()).type is WSMsgType.CLOSE
        await busy.send_str(json.dumps(ASK | {"input": []}))
        go.set()
        assert (await heard(busy))[-1]["type"] == "response.completed"
        (error,) = await heard(busy)
        assert error["status"] == 503
        assert (await busy.receive()).type is WSMsgType.CLOSE


async def test_too_large_a_message_ends_the_connection(serve: Serve) -> None:
    relayed = await serve()
    async with connected(relayed) as socket:
        with contextlib.suppress(ConnectionError):  # it is cut off while it still sends
            await socket.send_bytes(b" " * (64 * 2**20 + 1))
        assert (await socket.receive()).type in {WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR}


async def test_the_openai_sdk_talks_over_a_socket(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    first, _ = said("one")
    vendor.answers.extend([stream(first), stream(said("two")[0])])
    client = openai.AsyncOpenAI(base_url=f"{relayed.url}/v1", api_key=CLIENT_KEY)
    previous: dict[str, Any] = {}
    async with client.responses.connect(max_retries=0) as connection:
        for name in ("one", "two"):
            await connection.response.create(model="m-codex", input=[], store=False, **previous)
            async for event in connection:
                if event.type == "response.completed":
                    previous = {"previous_response_id": event.response.id}
                    assert event.response.id == f"resp_{name}"
                    break
    await client.close()
    assert len(sent(vendor)[1]["input"]) == 1


def test_a_socket_remembers_its_last_four_and_all_sockets_so_many_bytes() -> None:
    memory = Memory(limit=100)
    for number in range(5):
        memory.keep(1, f"r{number}", b"x" * 10)
    assert [memory.find(1, f"r{number}") is not None for number in range(5)] == [False, True, True, True, True]
    memory.keep(2, "other", b"y" * 70)
    assert memory.find(1, "r1") is None, "the longest unused goes first"
    assert memory.find(1, "r4") == b"x" * 10
    assert memory.held == 100
    memory.forget(1)
    assert (memory.held, memory.find(2, "other")) == (70, b"y" * 70)
    memory.keep(3, "too large", b"z" * 101)
    assert memory.held == 0
