"""Vendors that lie about their answers, and requests made to hurt: each gets its due, and nobody else pays for it."""

from __future__ import annotations

import gzip
import json
import logging
import zlib

import aiohttp
import pytest
import zstandard
from aiohttp import WSMsgType, web
from stand_in import CLIENT_KEY, Answer, Serve, Vendor, stream, whole
from test_relay_translated import ASKED_WHOLE, DONE, HELLO, MESSAGES, events, text
from test_responses_socket import KEY, answered, connected, said

from vaultd.errors import ProtocolError
from vaultd.net.inflate import inflated
from vaultd.server.run import listening
from vaultd.server.slow import Limits
from vaultd.wire.members import Members
from vaultd.work.ask import Ask

STREAM = b"".join([*HELLO, DONE])


def bare_deflate(data: bytes) -> bytes:
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflating.compress(data) + deflating.flush()


# --- compressed answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", [gzip.compress(STREAM)]),
        ("gzip", [gzip.compress(piece) for piece in (*HELLO, DONE)]),
        ("x-gzip", [gzip.compress(STREAM), bytes(100_000)]),
        ("deflate", [zlib.compress(STREAM)]),
        ("deflate", [bare_deflate(STREAM)]),
        ("zstd", [zstandard.compress(STREAM)]),
        ("ZSTD", [zstandard.compress(piece) for piece in (*HELLO, DONE)]),
    ],
    ids=["gzip", "gzip by event", "gzip, then nothing", "zlib", "deflate without a frame", "zstd", "zstd by event"],
)
async def test_a_compressed_stream_is_read_however_it_was_packed(
    serve: Serve, vendor: Vendor, coding: str, packed: list[bytes]
) -> None:
    relayed = await serve()
    vendor.usual = stream(*packed, content_encoding=coding)
    _, told, headers = await relayed.ask("/v1/messages", MESSAGES)
    assert (text(told), events(told)[-1]["type"]) == ("Hello", "message_stop")
    assert "content-encoding" not in headers


def reading(data: bytes) -> tuple[list[bytes], object]:
    """Reads of 64 KiB, and what gives them out."""
    left = [data[at : at + 65536] for at in range(0, len(data), 65536)]

    async def read() -> bytes:
        return left.pop(0) if left else b""

    return left, read


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
async def test_thr_16_a_bomb_from_a_vendor_stops_at_two_hundred_times_its_size(coding: str) -> None:
    blank = bytes(40 * 1024 * 1024)
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}[coding]
    _, read = reading(pack(blank))
    out, plain = 0, inflated(read, coding, "acme.example")  # type: ignore[arg-type]
    with pytest.raises(ProtocolError, match="inflates without end"):
        while piece := await plain():
            out += len(piece)
    assert out < 16 * 1024 * 1024


async def test_an_answer_of_blanks_is_no_bomb() -> None:
    _, read = reading(gzip.compress(b" " * 500_000))
    plain = inflated(read, "gzip", "acme.example")  # type: ignore[arg-type]
    assert len(await plain()) == 500_000


# --- a refusal's status holds where its words do not ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "body"),
    [("br", b"\x0b\x02\x80"), ("gzip", b'{"error":{"message":"not packed at all"}}'), ("gzip, gzip", b"x")],
)
@pytest.mark.parametrize("status", [400, 401, 429, 503])
async def test_a_refusal_that_cannot_be_read_is_still_that_refusal(
    serve: Serve, vendor: Vendor, status: int, coding: str, body: bytes
) -> None:
    relayed = await serve()
    vendor.usual = whole(body, status, content_encoding=coding, retry_after="7")
    got, told, headers = await relayed.ask("/v1/messages", MESSAGES)
    assert (got, headers["retry-after"], json.loads(told)["type"]) == (status, "7", "error")


@pytest.mark.parametrize("hint", ["Mon, 01 Jan 2024 00:00:00 +99999999999999", "9" * 5000, "soon", "-1"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_a_hint_that_is_no_time_is_none(serve: Serve, vendor: Vendor, path: str, hint: str) -> None:
    relayed = await serve()
    vendor.usual = whole(b'{"error":{"message":"slow down"}}', 429, retry_after=hint)
    status, told, _ = await relayed.ask(path, MESSAGES)
    assert (status, json.loads(told)["error"]["message"]) == (429, "slow down")


async def test_a_hint_of_more_than_a_life_is_none(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    failed = b'data: {"error":{"message":"enough","code":"usage_limit_reached","resets_in_seconds":1e300}}\n\n'
    vendor.usual = stream(failed)
    status, _, headers = await relayed.ask("/v1/messages", MESSAGES)
    assert status == 429 and "retry-after" not in headers


async def test_a_media_type_is_known_in_capitals(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(STREAM, content_type="Text/Event-Stream; charset=UTF-8")
    _, told, _ = await relayed.ask("/v1/messages", MESSAGES)
    assert text(told) == "Hello"


# --- without end ------------------------------------------------------------------------------------------------------


def endless(comment: bytes, times: int) -> Answer:
    async def answer(_request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(_request)
        await response.write(b"".join(HELLO[:2]))
        for _ in range(times):
            await response.write(comment)
        await response.write(b"".join(HELLO[2:]) + DONE)
        return response

    return answer


async def test_thr_41_a_stream_without_end_is_not_put_together(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = endless(b": " + b"x" * (4 * 1024 * 1024) + b"\n\n", 40)
    status, told, _ = await relayed.ask("/v1/messages", ASKED_WHOLE)
    assert status == 502 and "endless" in json.loads(told)["error"]["message"]


# --- candidates -------------------------------------------------------------------------------------------------------

#: Two that speak Responses, asked in turn; one of them keeps answers.
KEEPER = """
max-retry-credentials: 1
providers: {{claude-api-key: {{api: {{formats: [openai-responses], hooks: []}}}}}}
codex-api-key: [{{api-key: sk-CANARY-codex, base-url: "{url}/codex", models: [{{name: real, alias: m}}]}}]
claude-api-key: [{{api-key: sk-CANARY-keeper, base-url: "{url}/keeper", models: [{{name: real, alias: m}}]}}]
"""


async def test_who_cannot_was_not_asked_and_counts_as_no_try(serve: Serve, vendor: Vendor) -> None:
    """Codex keeps no answers that one could go on from; whoever does is asked, whosever turn it is."""
    relayed = await serve(KEEPER)
    vendor.usual = whole(b'{"id":"resp_2","object":"response","output":[]}')
    for _ in range(4):
        status, _, _ = await relayed.ask("/v1/responses", b'{"model":"m","input":"Hi","previous_response_id":"resp_1"}')
        assert status == 200
    assert {seen.path.partition("/responses")[0] for seen in vendor.seen} <= {"/keeper", "/keeper/v1"}


async def test_a_count_made_here_is_told_as_one_that_went_well(
    serve: Serve, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    relayed = await serve()
    with caplog.at_level(logging.INFO, "vaultd.relay"):
        status, _, headers = await relayed.ask("/v1/messages/count_tokens", ASKED_WHOLE)
    assert (status, headers["x-vaultd-estimated"], vendor.seen) == (200, "tokens", [])
    (line,) = [record for record in caplog.records if record.name == "vaultd.relay"]
    assert line.status == 200


# --- Code Assist ------------------------------------------------------------------------------------------------------

CODE_ASSIST = b'{"model":"MODEL","request":{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}}'


async def test_an_error_in_a_code_assist_stream_stands_in_no_envelope(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(*HELLO[:3])
    path = "/v1internal:streamGenerateContent?alt=sse"
    _, told, _ = await relayed.ask(path, CODE_ASSIST.replace(b"MODEL", b"m-chat"))
    *answers, error = events(told.replace(b"\r", b""))
    assert answers and all("response" in answer for answer in answers)
    assert error["error"]["code"] == 502


def test_what_was_around_a_body_goes_with_it() -> None:
    """A stream may last for an hour, and the envelope holds the whole request."""
    outer = Members(CODE_ASSIST)
    ask = Ask("gemini", "stream", "m", Members(outer.raw("request") or b""), {}, "alt=sse", outer)
    ask.release()
    assert ask.body.body == b"" and outer.body == b""


# --- the socket -------------------------------------------------------------------------------------------------------


async def test_thr_12_a_name_that_is_no_headers_name_becomes_none(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(said("one")[0])
    hostile = ("x_codex_a\r\nx-evil", "x_codex_a: b", "x_codex_é", "x_codex_", "x_codex_a\x00")
    metadata = {f"ws_request_header_{name}": "1" for name in hostile} | {"ws_request_header_x_codex_beta": "2"}
    async with connected(relayed) as socket:
        assert (await answered(socket, input="Hi", client_metadata=metadata))[-1]["type"] == "response.completed"
        assert (await answered(socket, input="Hi"))[-1]["type"] == "response.completed"
    named = {name.lower() for name in vendor.seen[0].headers}
    assert "x-codex-beta" in named and not any("evil" in name or " " in name for name in named)


@pytest.mark.parametrize(
    "told",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1.evil.example:8317"},
        {"sec_fetch_site": "cross-site"},
    ],
)
async def test_thr_34_a_page_elsewhere_opens_no_socket(serve: Serve, vendor: Vendor, told: dict[str, str]) -> None:
    relayed = await serve()
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(relayed, **told):
            pass
    assert refused.value.status == 403


@pytest.mark.parametrize("origin", ["http://localhost/", "http://127.0.0.1:8317", "https://panel.example"])
async def test_a_page_of_our_own_may(serve: Serve, vendor: Vendor, origin: str) -> None:
    relayed = await serve('remote-management: {{allowed-origins: ["https://panel.example"]}}')
    async with connected(relayed, origin=origin) as socket:
        assert not socket.closed


async def test_thr_34_a_socket_ends_with_its_key(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    async with (
        listening(relayed.house, "127.0.0.1", 0, None, Limits(key=0.01)) as url,
        relayed.session.ws_connect(f"{url}/v1/responses", headers=KEY) as socket,
    ):
        relayed.house.clients.with_config_keys([])
        assert (await socket.receive()).type is WSMsgType.CLOSE


# --- headers, paths, queries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/backend-api/codex/settings"])
async def test_a_header_of_no_sound_text_costs_nobody_the_answer(serve: Serve, vendor: Vendor, path: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nx-request-id: \xff\xfe\r\n"
        request.transport.write(head + b"openai-version: 1\r\n\r\n{}")
        request.transport.close()
        return web.Response()

    relayed = await serve()
    vendor.usual = answer
    status, told, headers = await relayed.ask(path, ASKED_WHOLE)
    assert (status, told, headers["openai-version"]) == (200, b"{}", "1")
    assert "x-request-id" not in headers


async def test_a_path_with_a_line_break_is_refused_in_the_clients_shape(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    status, told, _ = await relayed.ask("/v1/messages/a%0d%0aX:y", b"{}")
    assert (status, json.loads(told)["type"]) == (404, "error")


async def test_a_client_key_in_a_query_stays_here_whatever_it_is_called(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    await relayed.ask(f"/backend-api/codex/settings?api_key={CLIENT_KEY}&key={CLIENT_KEY}&page=2", b"{}")
    assert vendor.seen[0].path == "/codex/settings?page=2"
