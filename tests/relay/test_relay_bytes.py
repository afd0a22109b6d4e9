"""Same format in and out, same bytes: only what docs/honest-relay.md names is touched."""

from __future__ import annotations

import asyncio
import json

import pytest
from stand_in import ONE_OF_EACH, Serve, Vendor, stream, whole

ODD = b'{ "model" :"%s",\n "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}] , "x":1.0e2}'
DONE = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("path", "alias", "real", "arrives_at"),
    [
        ("/v1/chat/completions", b"m-chat", b"real-chat", "/v1/chat/completions"),
        ("/v1/messages?beta=true", b"m-claude", b"real-claude", "/v1/messages?beta=true"),
        ("/v1/messages/count_tokens", b"m-claude", b"real-claude", "/v1/messages/count_tokens"),
        ("/v1/chat/completions", b"acme://m-chat", b"real-chat", "/v1/chat/completions"),
    ],
)
async def test_a_request_arrives_with_the_vendors_model_name_and_no_other_byte_changed(
    serve: Serve, vendor: Vendor, path: str, alias: bytes, real: bytes, arrives_at: str
) -> None:
    relayed = await serve()
    vendor.usual = whole(b'{"odd" : "answer\\u00e9" }')
    status, body, _ = await relayed.ask(path, ODD.replace(b"%s", alias))
    assert (status, body) == (200, b'{"odd" : "answer\\u00e9" }')
    assert vendor.seen[0].path == arrives_at
    assert vendor.seen[0].body == ODD.replace(b"%s", real)


@pytest.mark.parametrize("base", ["/v1beta/models", "/v1/models", "/v1beta1/publishers/google/models"])
async def test_gemini_names_the_model_in_the_path_on_three_bases(serve: Serve, vendor: Vendor, base: str) -> None:
    relayed = await serve()
    body = b'{"contents" : [{"role":"user","parts":[{"text":"hi"}]}]}'
    vendor.usual = whole(b"{}")
    for method, query in (("generateContent", ""), ("streamGenerateContent", "?alt=sse"), ("countTokens", "")):
        await relayed.ask(f"{base}/m-gemini:{method}{query}", body)
        assert vendor.seen[-1].path == f"/v1beta/models/real-gemini:{method}{query}"
        assert vendor.seen[-1].body == body


async def test_the_client_key_in_the_query_stays_here(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    path = "/v1beta/models/m-gemini:generateContent?key=sk-CANARY-client-0123456789abcdef&alt=json&x=1"
    async with relayed.session.post(relayed.url + path, data=b'{"contents":[]}') as answer:
        assert answer.status == 200
    assert vendor.seen[0].path == "/v1beta/models/real-gemini:generateContent?alt=json"


async def test_a_stream_passes_byte_for_byte_however_it_is_cut(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    answer = (
        b': hello\n\nevent: message_start\r\ndata: {"type": "message_start"}\r\n\r\ndata: {"type":"message_stop"}\n\n'
    )
    body = b'{"model":"m-claude","stream":true}'
    for step in (1, 7, len(answer)):
        vendor.answers.append(stream(*(answer[at : at + step] for at in range(0, len(answer), step))))
        status, told, headers = await relayed.ask("/v1/messages", body)
        assert (status, told) == (200, answer)
        assert headers["content-type"] == "text/event-stream"


async def test_each_event_arrives_when_it_was_sent(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    go = asyncio.Event()
    vendor.usual = stream(b'data: {"n":1}\n\n', go, DONE)
    async with relayed.post("/v1/chat/completions", b'{"model":"m-chat","stream":true}') as answer:
        assert await answer.content.readuntil(b"\n\n") == b'data: {"n":1}\n\n'
        go.set()
        assert await answer.content.read() == DONE


async def test_usage_is_asked_for_where_it_is_counted_and_taken_out_where_nobody_asked(
    serve: Serve, vendor: Vendor
) -> None:
    relayed = await serve()
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n'
    text = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    vendor.usual = stream(text + usage + b"data: [DONE]\n\n")
    _, told, _ = await relayed.ask("/v1/chat/completions", b'{"model":"m-chat","stream":true,"stream_options":{"a":1}}')
    assert told == text + b"data: [DONE]\n\n"
    assert json.loads(vendor.seen[0].body)["stream_options"] == {"a": 1, "include_usage": True}

    body = b'{"model":"real-chat","stream":true,"stream_options":{"include_usage": true}}'
    _, told, _ = await relayed.ask("/v1/chat/completions", body.replace(b"real-chat", b"m-chat"))
    assert told == text + usage + b"data: [DONE]\n\n"
    assert vendor.seen[1].body == body


async def test_nothing_is_asked_for_where_nothing_is_counted(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("usage-statistics-enabled: false\n" + ONE_OF_EACH)
    vendor.usual = stream(DONE)
    await relayed.ask("/v1/chat/completions", b'{"model":"m-chat","stream":true}')
    assert vendor.seen[0].body == b'{"model":"real-chat","stream":true}'


async def test_payload_rules_of_the_operator_hold(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(
        ONE_OF_EACH
        + """
payload:
  default:
    - {{models: [{{name: "m-*", protocol: openai}}], params: {{temperature: 0.5, "a.b": [1]}}}}
    - {{models: [{{name: "real-chat"}}], params: {{temperature: 0.9}}}}
  override:
    - {{models: [{{name: m-chat}}], params: {{top_p: 1}}}}
    - {{models: [{{name: m-chat}}], params: {{top_p: 0.1, "messages.0.role": system}}}}
    - {{models: [{{name: m-chat, protocol: claude}}], params: {{never: true}}}}
"""
    )
    vendor.usual = whole(b"{}")
    await relayed.ask("/v1/chat/completions", b'{"model":"m-chat","messages":[{"role":"user"}],"top_p":2}')
    assert json.loads(vendor.seen[0].body) == {
        "model": "real-chat",
        "messages": [{"role": "system"}],
        "top_p": 0.1,
        "temperature": 0.5,
        "a": {"b": [1]},
    }


async def test_a_large_whole_answer_passes_through(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    image = b'{"image":"' + b"A" * (6 * 1024 * 1024) + b'"}'
    vendor.usual = whole(image)
    assert (await relayed.ask("/v1/chat/completions", b'{"model":"m-chat"}'))[:2] == (200, image)


async def test_thr_16_a_compressed_answer_passes_as_it_is(serve: Serve, vendor: Vendor) -> None:
    """We ask for none; a vendor that compresses all the same has its bytes passed, and nobody here inflates them."""
    relayed = await serve()
    packed = b"\x1f\x8b not even gzip"
    vendor.usual = whole(packed, content_encoding="gzip")
    async with relayed.session.post(
        f"{relayed.url}/v1/chat/completions",
        data=b'{"model":"m-chat"}',
        headers={"authorization": "Bearer sk-CANARY-client-0123456789abcdef", "accept-encoding": "gzip"},
        auto_decompress=False,
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert await answer.read() == packed
    assert vendor.seen[0].headers["Accept-Encoding"] == "identity"
