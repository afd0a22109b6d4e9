"""An error inside a 200 before any output is a failure like any other: the next credential is asked, and the client
hears nothing of it. After the first output it is the client's own grammar that says so."""

from __future__ import annotations

import json

import pytest
from stand_in import ONE_OF_EACH, TWO, Serve, Vendor, stream

from vaultd.work.metrics import Seen

ROLE = b'data: {"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TEXT = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
STOP = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
BOOM = b'data: {"error":{"message":"boom","type":"server_error","code":"server_is_overloaded"}}\n\n'
CHAT = json.dumps({"model": "m-chat", "messages": [], "stream": True}).encode()
#: Nothing of theirs is output yet; then it fails.
FAILING = {
    "/v1/chat/completions": ("m-chat", [b": waiting\n\n", ROLE, BOOM], 503),
    "/v1/responses": (
        "m-codex",
        [
            b'event: response.created\ndata: {"type":"response.created","response":{"id":"r"}}\n\n',
            b'data: {"type":"response.failed","response":{"error":{"code":"rate_limit_error","message":"boom"}}}\n\n',
        ],
        429,
    ),
    "/v1/messages": (
        "m-claude",
        [
            b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n',
            b'event: ping\ndata: {"type":"ping"}\n\n',
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"boom"}}\n\n',
        ],
        529,
    ),
    "/v1beta/models/m-gemini:streamGenerateContent?alt=sse": (
        "m-gemini",
        [b'data: {"usageMetadata":{"promptTokenCount":3}}\n\n', b'data: {"error":{"code":503,"message":"boom"}}\n\n'],
        503,
    ),
}


async def test_the_next_credential_is_asked_and_its_stream_passes_as_it_is(serve: Serve, vendor: Vendor) -> None:
    here = await serve(TWO)
    vendor.answers += [stream(ROLE, BOOM), stream(ROLE, TEXT, STOP)]
    status, body, _ = await here.ask("/v1/chat/completions", CHAT)
    assert (status, body) == (200, ROLE + TEXT + STOP)
    assert len({seen.headers["authorization"] for seen in vendor.seen}) == 2


async def test_where_all_fail_so_the_client_hears_the_last_one_in_its_own_bytes(serve: Serve, vendor: Vendor) -> None:
    here = await serve(ONE_OF_EACH)
    for path, (model, pieces, status) in FAILING.items():
        vendor.answers.append(stream(*pieces))
        asked = {"model": model, "messages": [], "input": [], "contents": [], "max_tokens": 1, "stream": True}
        heard, body, headers = await here.ask(path, json.dumps(asked).encode())
        assert (heard, body, headers["content-type"]) == (200, b"".join(pieces), "text/event-stream"), path
        counted = here.house.metrics.render(Seen()).decode()
        assert f'status="{status}"' in counted, "for the pool it was a failure"


async def test_after_output_an_error_is_the_streams_own(serve: Serve, vendor: Vendor) -> None:
    here = await serve(TWO)
    vendor.answers.append(stream(ROLE, TEXT, BOOM))
    status, body, _ = await here.ask("/v1/chat/completions", CHAT)
    assert (status, body) == (200, ROLE + TEXT + BOOM)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("pieces", [[ROLE], [b": waiting\n\n"], [ROLE, b"data: "]], ids=["role", "comment", "half"])
async def test_a_stream_that_ends_before_it_begins_is_a_failure_too(
    serve: Serve, vendor: Vendor, pieces: list[bytes]
) -> None:
    here = await serve(TWO)
    vendor.answers += [stream(*pieces), stream(ROLE, TEXT, STOP)]
    status, body, _ = await here.ask("/v1/chat/completions", CHAT)
    assert (status, body) == (200, ROLE + TEXT + STOP)


async def test_what_is_held_back_comes_once_and_in_order_however_it_is_cut(serve: Serve, vendor: Vendor) -> None:
    here = await serve(TWO)
    whole = ROLE + TEXT + STOP
    vendor.answers.append(stream(*(whole[at : at + 7] for at in range(0, len(whole), 7))))
    status, body, _ = await here.ask("/v1/chat/completions", CHAT)
    assert (status, body) == (200, whole)
