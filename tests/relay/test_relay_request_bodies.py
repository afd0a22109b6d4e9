"""Request bodies as clients send them: compressed, enormous, hostile."""

from __future__ import annotations

import gzip
import json
import resource
import zlib
from collections.abc import AsyncIterator

import pytest
import zstandard
from stand_in import Serve, Vendor, whole

from vaultd.server.bodies import BODY_LIMIT, Bodies
from vaultd.wire.refusal import Refusal

CHAT = "/v1/chat/completions"
ASK = b'{"model":"m-chat","messages":[]}'
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("zstd", zstandard.compress(ASK)),
        ("ZSTD", zstandard.compress(ASK[:5]) + zstandard.compress(ASK[5:])),
        ("gzip", gzip.compress(ASK, mtime=0)),
        ("deflate", zlib.compress(ASK)),
        ("identity", ASK),
    ],
)
async def test_a_compressed_body_arrives_plain(serve: Serve, vendor: Vendor, coding: str, packed: bytes) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    assert (await relayed.ask(CHAT, packed, content_encoding=coding))[0] == 200
    assert vendor.seen[0].body == ASK.replace(b"m-chat", b"real-chat")
    assert "Content-Encoding" not in vendor.seen[0].headers


async def test_another_coding_is_named(serve: Serve) -> None:
    relayed = await serve()
    status, body, _ = await relayed.ask(CHAT, ASK, content_encoding="br")
    assert status == 415 and b"br" in body and b"zstd" in body


@pytest.mark.parametrize("coding", ["zstd", "gzip", "deflate"])
async def test_a_broken_body_is_a_bad_request(serve: Serve, coding: str) -> None:
    relayed = await serve()
    pack = {"zstd": zstandard.compress, "gzip": gzip.compress, "deflate": zlib.compress}[coding]
    for packed in (b"CANARY", pack(ASK * 50)[:-9]):
        status, body, _ = await relayed.ask(CHAT, packed, content_encoding=coding)
        assert status == 400 and b"CANARY" not in body, body


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
async def test_thr_15_a_bomb_stops_at_the_limit(serve: Serve, vendor: Vendor, coding: str) -> None:
    relayed = await serve()
    bomb = zstandard.compress(bytes(400 * MIB)) if coding == "zstd" else gzip.compress(bytes(400 * MIB), 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, body, _ = await relayed.ask(CHAT, bomb, content_encoding=coding)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert status == 413 and json.loads(body)["error"]["type"] == "invalid_request_error"
    assert grown < 150, "the inflated bytes up to the limit, and no more"
    assert not vendor.seen


async def test_thr_13_a_byte_over_the_limit_is_too_large(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()

    async def chunked(size: int) -> AsyncIterator[bytes]:
        yield b'{"model":"m-chat","x":"'
        for _ in range(size // MIB):
            yield b"x" * MIB

    for fmt, path in (("openai", CHAT), ("anthropic", "/v1/messages")):
        async with relayed.post(path, chunked(BODY_LIMIT)) as answer:  # type: ignore[arg-type]
            assert answer.status == 413, fmt
            kind = json.loads(await answer.read())["error"]["type"]
            assert kind == ("request_too_large" if fmt == "anthropic" else "invalid_request_error")
    assert not vendor.seen


async def test_a_body_of_nine_mebibytes_passes(serve: Serve, vendor: Vendor) -> None:
    """Codex and Gemini CLI send as much with one image."""
    relayed = await serve()
    vendor.usual = whole(b"{}")
    image = b'{"model":"m-chat","image":"' + b"A" * (9 * MIB) + b'"}'
    assert (await relayed.ask(CHAT, image))[0] == 200
    assert vendor.seen[0].body == image.replace(b"m-chat", b"real-chat")


def test_thr_13_all_bodies_together_have_a_limit() -> None:
    bodies = Bodies(limit=10)
    bodies.take(6)
    with pytest.raises(Refusal) as refused:
        bodies.take(5)
    assert refused.value.status == 503 and refused.value.retry_after == 1
    bodies.give(6)
    bodies.take(10)


async def test_what_a_request_held_is_given_back(serve: Serve, vendor: Vendor) -> None:
    """However it ends: many times the limit goes through, one after the other."""
    relayed = await serve()
    vendor.usual = whole(b"{}")
    large = b'{"model":"m-chat","x":"' + b"x" * (50 * MIB) + b'"}'
    for body, status in ((large, 200), (large[:-1], 400), (large, 200), (large.replace(b"m-chat", b"none"), 404)) * 2:
        assert (await relayed.ask(CHAT, body))[0] == status


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"model":7}', b'{"model":""}', b'{"model":"a","model":"b"}', b"{"]
)
async def test_a_bad_body_is_refused_in_the_clients_shape(serve: Serve, vendor: Vendor, body: bytes) -> None:
    relayed = await serve()
    for path, mark in ((CHAT, b'"code"'), ("/v1/messages", b'"type":"error"'), ("/v1/responses", b'"code"')):
        status, told, _ = await relayed.ask(path, body)
        assert status == 400 and mark in told, path
    assert not vendor.seen
