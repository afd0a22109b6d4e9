"""OAuth logins: a refused token is renewed once, and a token only ever meets its own vendor's hosts."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from stand_in import Serve, Vendor, stream, whole

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Entry
from vaultd.config.model import Config
from vaultd.errors import Misconfigured
from vaultd.house import build
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret
from vaultd.vault.credential import Credential, Settings
from vaultd.verbs.credentials import refresh
from vaultd.work.address import address_of, url_of

POINTED = """
providers:
  codex: {{endpoints: {{api: "{url}/codex", token: "{url}/token"}}}}
  claude: {{endpoints: {{api: "{url}", token: "{url}/token"}}}}
  gemini: {{endpoints: {{api: "{url}", token: "{url}/token"}}}}
"""
FAR = 4_000_000_000.0
RENEWED = whole(
    b'{"access_token":"CANARY-new","refresh_token":"CANARY-refresh-2","expires_in":864000,"token_type":"Bearer"}'
)
RENEWED_AGAIN = whole(
    b'{"access_token":"CANARY-newest","refresh_token":"CANARY-refresh-3","expires_in":864000,"token_type":"Bearer"}'
)
OUTPUT = b'data: {"type":"response.completed","response":{}}\n\n'


def login(provider: str, **facts: Any) -> Credential:
    return Credential(
        id=f"{provider}-a@example.org",
        provider=provider,
        kind="oauth",
        tokens=Tokens(Secret("CANARY-old"), Secret("CANARY-refresh"), issued_at=1.0, expires_at=FAR),
        account=Account(person="p", email="a@example.org", facts=facts),
    )


async def test_a_401_renews_once_and_asks_the_same_vendor_again(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(POINTED)
    await relayed.house.owner.settle(login("codex", chatgpt_account_id="acc-1"))
    vendor.answers.extend([whole(b"{}", 401), RENEWED, stream(OUTPUT)])
    body = b'{"model":"gpt-5","stream":true,"input":[]}'
    assert (await relayed.ask("/v1/responses", body))[:2] == (200, OUTPUT)
    first, token, second = vendor.seen
    assert (first.path, token.path, second.path) == ("/codex/responses", "/token", "/codex/responses")
    assert (first.headers["Authorization"], second.headers["Authorization"]) == (
        "Bearer CANARY-old",
        "Bearer CANARY-new",
    )
    assert second.headers["chatgpt-account-id"] == "acc-1"
    assert first.body == second.body


async def test_a_second_401_is_the_answer(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(POINTED)
    await relayed.house.owner.settle(login("codex"))
    vendor.answers.extend([whole(b'{"error":{}}', 401), RENEWED, whole(b'{"error":{"n":2}}', 401)])
    status, body, _ = await relayed.ask("/v1/responses", b'{"model":"gpt-5","stream":true,"input":[]}')
    assert (status, body) == (401, b'{"error":{"n":2}}')


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/responses", b'{"model":"gpt-5","input":[]}'), ("/backend-api/codex/alpha/search", b"{}")],
)
async def test_what_another_process_saved_may_be_refused_too_and_then_it_is_renewed(
    serve: Serve, vendor: Vendor, path: str, body: bytes
) -> None:
    """A vendor that ends all tokens at once, and a file that was written a moment ago: this process has not seen it."""
    relayed = await serve(POINTED)
    house = relayed.house
    await house.owner.settle(login("codex"))
    other = await build(house.env, None, for_daemon=False)
    vendor.answers.extend([RENEWED, whole(b"{}", 401), whole(b"{}", 401), RENEWED_AGAIN, whole(b"{}")])
    await refresh(other, {"id": "codex-a@example.org"})
    await other.close()
    assert (await relayed.ask(path, body))[0] == 200
    shown = [seen.headers["Authorization"] for seen in vendor.seen if seen.path != "/token"]
    assert shown == ["Bearer CANARY-old", "Bearer CANARY-new", "Bearer CANARY-newest"]
    assert [seen.path for seen in vendor.seen].count("/token") == 2, "its own renewal is one"


async def test_a_dead_login_is_sign_in_required(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(POINTED)
    await relayed.house.owner.settle(login("codex"))
    vendor.answers.extend([whole(b"{}", 401), whole(b'{"error":"invalid_grant"}', 400)])
    ask = b'{"model":"gpt-5","stream":true,"input":[]}'
    for _ in range(2):
        status, body, _ = await relayed.ask("/v1/responses", ask)
        assert status == 503 and json.loads(body)["error"]["code"] == "sign_in_required"
        assert b"CANARY" not in body
    assert len(vendor.seen) == 2


async def test_claude_logins_say_so_in_the_beta_header_and_keep_the_clients_own(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(POINTED)
    await relayed.house.owner.settle(login("claude"))
    vendor.usual = whole(b"{}")
    body = b'{"model":"claude-sonnet-4-5-20250929","system":"mine","messages":[]}'
    await relayed.ask("/v1/messages", body)
    await relayed.ask("/v1/messages?beta=true", body, anthropic_beta="x-2026-01-01", anthropic_version="2026-10-21")
    assert [seen.path for seen in vendor.seen] == ["/v1/messages?beta=true"] * 2
    assert [seen.headers["anthropic-beta"] for seen in vendor.seen] == [
        "oauth-2025-04-20",
        "x-2026-01-01,oauth-2025-04-20",
    ]
    assert vendor.seen[0].body == body, "the client's system text stays, and nothing is put before it"


async def test_a_gemini_login_asks_for_its_project(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(POINTED)
    await relayed.house.owner.settle(login("gemini", projects=["proj-1", "proj-2"]))
    vendor.usual = whole(b'{"response":{"candidates":[]}}')
    _, told, _ = await relayed.ask("/v1beta/models/gemini-2.5-pro:generateContent", b'{"contents":[]}')
    assert told == b'{"candidates":[]}'
    sent = json.loads(vendor.seen[0].body)
    assert sent == {"request": {"contents": []}, "model": "gemini-2.5-pro", "project": "proj-1"}


# --- where a token goes -----------------------------------------------------------------------------------------------


def entry(provider: str, config: Config | None = None) -> Entry:
    return load(shipped_folder(), None, config or Config(), "config.yaml").providers[provider]


@pytest.mark.parametrize(
    ("named", "base"),
    [
        ("portal.qwen.ai", "https://portal.qwen.ai/v1"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1/", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("", "https://portal.qwen.ai/v1"),
    ],
)
def test_a_token_may_name_a_host_of_its_vendor(named: str, base: str) -> None:
    address = address_of(login("qwen", resource_url=named), entry("qwen"))
    assert address.base == base
    url = url_of(address, entry("qwen").provider, "openai-chat", "generate", "m", "")
    assert url == f"{base}/chat/completions"


@pytest.mark.parametrize(
    "named",
    [
        "evil.example",
        "portal.qwen.ai.evil.example",
        "evilqwen.ai",
        "http://portal.qwen.ai",
        "https://portal.qwen.ai@evil.example",
        "https://x@portal.qwen.ai",
        "portal.qwen.ai\\.evil.example",
        "169.254.169.254",
        "evil.example/.qwen.ai",
        "evil.example?.qwen.ai",
        "evil.example#.qwen.ai",
    ],
)
def test_thr_42_a_token_never_goes_to_a_host_that_its_manifest_does_not_name(named: str) -> None:
    with pytest.raises(Misconfigured, match=r"qwen-a@example.org.*api\.hosts"):
        address_of(login("qwen", resource_url=named), entry("qwen"))


def test_thr_42_a_logins_settings_cannot_move_its_token() -> None:
    moved = login("codex")
    moved = Credential(
        id=moved.id,
        provider="codex",
        kind="oauth",
        tokens=moved.tokens,
        settings=Settings(base_url="https://evil.example"),
    )
    assert address_of(moved, entry("codex")).base == "https://chatgpt.com/backend-api/codex"


def test_an_overlaid_address_wins_over_the_tokens() -> None:
    config = Config(providers={"qwen": {"endpoints": {"api": "https://mine.example/v1"}}})
    address = address_of(login("qwen", resource_url="portal.qwen.ai"), entry("qwen", config))
    assert address.base == "https://mine.example/v1"


def test_a_claude_key_is_a_bearer_token_elsewhere() -> None:
    def key(base_url: str) -> Credential:
        settings = Settings(base_url=base_url)
        return Credential(id="k", provider="claude-api-key", kind="key", key=Secret("CANARY-key"), settings=settings)

    assert address_of(key(""), entry("claude-api-key")).fixed["x-api-key"] == "CANARY-key"
    elsewhere = address_of(key("https://gateway.example/"), entry("claude-api-key"))
    assert elsewhere.fixed["authorization"] == "Bearer CANARY-key" and "x-api-key" not in elsewhere.fixed
    assert "CANARY" not in repr(elsewhere)


def test_a_hook_nobody_has_is_named() -> None:
    known = entry("codex")
    provider = msgspec.structs.replace(
        known.provider, api=msgspec.structs.replace(known.provider.api, hooks=["codex-bdy"])
    )
    with pytest.raises(Misconfigured, match=r"codex-bdy.*codex-body"):
        address_of(login("codex"), Entry(provider, known.origins, known.raw))


def test_a_vendor_without_the_call_has_no_address_for_it() -> None:
    codex = entry("codex")
    assert url_of(address_of(login("codex"), codex), codex.provider, "openai-responses", "count", "m", "") is None
