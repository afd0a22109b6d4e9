"""Only listed headers pass, either way; what authenticates is put on here, for its own vendor alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import ONE_OF_EACH, Serve, Vendor, whole

from vaultd import __version__
from vaultd.work.headers import towards_client, towards_vendor, with_tokens

CHAT = "/v1/chat/completions"
#: Every one of these was meant for this hop, names a peer, or is a secret.
NEVER = {
    "Cookie": "CANARY=1",
    "Authorization": "Bearer sk-CANARY-client-0123456789abcdef",
    "x-api-key": "sk-CANARY-client-0123456789abcdef",
    "x-goog-api-key": "sk-CANARY-client-0123456789abcdef",
    "Forwarded": "for=10.0.0.1",
    "X-Forwarded-For": "10.0.0.1",
    "X-Real-IP": "10.0.0.1",
    "Proxy-Authorization": "Basic CANARY",
    "TE": "trailers",
    "Upgrade": "h2c",
    "Connection": "keep-alive, X-Codex-Secret",
    "X-Codex-Secret": "1",
    "X-Other": "1",
}
PASS = {
    "User-Agent": "some-client/1",
    "Accept": "text/event-stream",
    "OpenAI-Beta": "responses=experimental",
    "X-Stainless-Lang": "js",
    "Originator": "codex",
    "session_id": "s1",
    "x-codex-turn-state": "opaque",
}


async def test_thr_11_hop_by_hop_and_credential_headers_stay_here(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(
        b"{}",
        set_cookie="CANARY=1",
        server="them",
        alt_svc="h3",
        strict_transport_security="max-age=1",
        access_control_allow_origin="*",
        x_account="CANARY",
        x_request_id="r1",
        openai_processing_ms="5",
        x_codex_turn_state="back",
    )
    async with relayed.session.post(relayed.url + CHAT, data=b'{"model":"m-chat"}', headers=NEVER | PASS) as answer:
        assert answer.status == 200
        told = {name.lower(): value for name, value in answer.headers.items()}
    arrived = {name.lower(): value for name, value in vendor.seen[0].headers.items()}
    assert arrived == {name.lower(): value for name, value in PASS.items()} | {
        "host": vendor.url.removeprefix("http://"),
        "authorization": "Bearer sk-CANARY-acme-1",
        "content-type": "application/json",
        "content-length": str(len(vendor.seen[0].body)),
        "accept-encoding": "identity",
    }
    assert set(told) - {"date", "content-length"} == {
        "content-type",
        "x-request-id",
        "openai-processing-ms",
        "x-codex-turn-state",
    }


@given(st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz-_", min_size=1, max_size=20), st.just("v"), max_size=20))
def test_thr_11_of_any_headers_only_the_listed_pass(headers: dict[str, str]) -> None:
    listed = {"user-agent", "accept", "originator", "version", "session_id", "session-id", "x-session-id"}
    listed |= {"x-session-affinity", "conversation_id", "conversation-id", "x-openai-internal-codex-responses-lite"}
    for name in towards_vendor(headers, {}, {}, {}):
        assert name in listed or name.startswith(("anthropic-", "openai-", "x-stainless-", "x-codex-"))
    back = {"content-type", "content-encoding", "retry-after", "x-request-id", "request-id"}
    for name in towards_client(headers.items()):
        assert name in back or name.startswith(("anthropic-ratelimit-", "x-ratelimit-", "openai-", "x-codex-"))


@pytest.mark.parametrize(
    ("path", "body", "name", "value"),
    [
        ("/v1/messages", b'{"model":"m-claude"}', "Authorization", "Bearer sk-CANARY-claude"),
        ("/v1/responses", b'{"model":"m-codex","stream":true}', "Authorization", "Bearer sk-CANARY-codex"),
        ("/v1beta/models/m-gemini:generateContent", b"{}", "x-goog-api-key", "sk-CANARY-gemini"),
        (CHAT, b'{"model":"m-chat"}', "Authorization", "Bearer sk-CANARY-acme-1"),
    ],
)
async def test_each_vendor_gets_its_own_key_in_its_own_way(
    serve: Serve, vendor: Vendor, path: str, body: bytes, name: str, value: str
) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    async with relayed.session.post(
        relayed.url + path,
        data=body,
        headers={"x-api-key": "sk-CANARY-client-0123456789abcdef"},
        skip_auto_headers=["User-Agent"],
    ) as answer:
        await answer.read()
    arrived = vendor.seen[0].headers
    assert arrived[name] == value
    assert arrived["User-Agent"] == f"vaultd/{__version__}", "its own name where the client gave none"
    assert "sk-CANARY-client" not in json.dumps(dict(arrived))


async def test_the_client_names_the_version_where_it_does_and_its_betas_pass(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    ask = b'{"model":"m-claude"}'
    await relayed.ask("/v1/messages", ask)
    assert vendor.seen[0].headers["anthropic-version"] == "2023-06-01"
    await relayed.ask("/v1/messages", ask, anthropic_version="2026-10-21", anthropic_beta="a,b")
    assert vendor.seen[1].headers["anthropic-version"] == "2026-10-21"
    assert vendor.seen[1].headers["anthropic-beta"] == "a,b"


async def test_the_operators_headers_go_to_the_vendor_and_win_but_for_framing(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(
        ONE_OF_EACH.replace(
            "base-url: {url}/v1",
            'base-url: {url}/v1\n    headers: {{X-Team: a, User-Agent: mine, Host: evil, "TE": x}}',
        )
    )
    vendor.usual = whole(b"{}")
    await relayed.ask(CHAT, b'{"model":"m-chat"}', user_agent="client")
    arrived = vendor.seen[0].headers
    assert (arrived["x-team"], arrived["user-agent"]) == ("a", "mine")
    assert arrived["Host"] == vendor.url.removeprefix("http://") and "TE" not in arrived


async def test_thr_12_a_line_break_in_a_key_is_named_and_never_sent(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(
        ONE_OF_EACH.replace("[{{api-key: sk-CANARY-acme-1}}]", '[{{api-key: "sk-CANARY\\r\\nX-Evil: 1"}}]')
    )
    status, body, _ = await relayed.ask(CHAT, b'{"model":"m-chat"}')
    assert status == 502 and b"authorization" in body and b"CANARY" not in body
    assert not vendor.seen


async def test_thr_12_a_line_break_in_a_model_name_stays_in_the_path(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    path = "/v1beta/models/gemini-api-key:%2F%2Fx%0D%0AX-Evil:%201%2F..%2F..:generateContent"
    async with relayed.session.post(
        aiohttp_url(relayed.url + path), data=b"{}", headers={"x-goog-api-key": "sk-CANARY-client-0123456789abcdef"}
    ) as answer:
        await answer.read()
    for seen in vendor.seen:
        assert "X-Evil" not in seen.headers
        assert seen.path.startswith("/v1beta/models/x%0D%0AX-Evil%3A%201%2F..%2F..:generateContent")


def aiohttp_url(text: str) -> object:
    from yarl import URL

    return URL(text, encoded=True)


async def test_thr_10_one_framing_header_of_our_own(serve: Serve, vendor: Vendor) -> None:
    """A chunked request goes on as one body of a known length: nothing of the client's framing is repeated."""
    relayed = await serve()
    vendor.usual = whole(b"{}")

    async def pieces() -> object:
        yield b'{"model":'
        yield b'"m-chat"}'

    async with relayed.post(CHAT, pieces()) as answer:  # type: ignore[arg-type]
        assert answer.status == 200
    assert vendor.seen[0].headers["Content-Length"] == str(len(b'{"model":"real-chat"}'))
    assert "Transfer-Encoding" not in vendor.seen[0].headers


def test_betas_are_appended_where_they_are_missing() -> None:
    assert with_tokens("", "oauth-2025-04-20") == "oauth-2025-04-20"
    assert with_tokens("a, b", "oauth-2025-04-20") == "a, b,oauth-2025-04-20"
    assert with_tokens("a,oauth-2025-04-20", "oauth-2025-04-20") == "a,oauth-2025-04-20"
