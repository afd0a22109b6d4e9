"""What a vendor's refusal means for the next credential: recorded and documented refusals, through the relay."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from pooled import Open
from stand_in import Relayed, Seen, Serve, Vendor, stream, whole

from vaultd.pool.state import Cooldown
from vaultd.sandbox import Sandbox

#: Two keys of each kind, always asked in the same order.
TWO_OF_EACH: Final = """
routing: {{strategy: fill-first, session-affinity: false}}
claude-api-key:
  - {{api-key: sk-CANARY-1, base-url: "{url}", models: [{{name: real-claude, alias: m-claude}}]}}
  - {{api-key: sk-CANARY-2, base-url: "{url}", models: [{{name: real-claude, alias: m-claude}}]}}
codex-api-key:
  - {{api-key: sk-CANARY-1, base-url: "{url}/codex", models: [{{name: real-codex, alias: m-codex}}]}}
  - {{api-key: sk-CANARY-2, base-url: "{url}/codex", models: [{{name: real-codex, alias: m-codex}}]}}
gemini-api-key:
  - {{api-key: sk-CANARY-1, base-url: "{url}", models: [{{name: real-gemini, alias: m-gemini}}]}}
  - {{api-key: sk-CANARY-2, base-url: "{url}", models: [{{name: real-gemini, alias: m-gemini}}]}}
openai-compatibility:
  - name: acme
    base-url: {url}/v1
    api-key-entries: [{{api-key: sk-CANARY-1}}, {{api-key: sk-CANARY-2}}]
    models: [{{name: real-chat, alias: m-chat}}, {{name: other-chat, alias: m-other}}]
"""

TURN: Final = [{"role": "user", "content": "Hi"}]
CHAT: Final = "/v1/chat/completions"


def asking(model: str, fmt: str) -> tuple[str, bytes]:
    """One request for `model` in a client's format."""
    if fmt == "gemini":
        return f"/v1beta/models/{model}:generateContent", b'{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}'
    if fmt == "responses":
        return "/v1/responses", json.dumps({"model": model, "input": TURN}).encode()
    if fmt == "messages":
        return "/v1/messages", json.dumps({"model": model, "max_tokens": 9, "messages": TURN}).encode()
    return CHAT, json.dumps({"model": model, "messages": TURN}).encode()


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


DONE: Final = {"type": "response.completed", "response": {"id": "r", "status": "completed", "model": "x", "output": []}}
CLAUDE: Final = [
    {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": [], "usage": {}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Hello"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
#: A good answer of each vendor: whole, and as it comes where it is asked for as a stream.
GOOD: Final[dict[str, Any]] = {
    "m-claude": whole(b'{"type":"message","content":[],"usage":{}}'),
    "m-codex": stream(sse(DONE)),
    "m-gemini": whole(b'{"candidates":[{"content":{"parts":[{"text":"Hello"}]},"finishReason":"STOP"}]}'),
    "m-chat": whole(b'{"choices":[{"message":{"content":"Hello"},"finish_reason":"stop"}]}'),
}
NATIVE: Final = {"m-claude": "messages", "m-codex": "responses", "m-gemini": "gemini", "m-chat": "chat"}


def key_of(seen: Seen) -> str:
    return seen.headers.get("x-api-key") or seen.headers.get("x-goog-api-key") or seen.headers["Authorization"]


def turns(vendor: Vendor) -> list[int]:
    """Which key each request brought, by their first appearance."""
    keys = [key_of(seen) for seen in vendor.seen]
    return [list(dict.fromkeys(keys)).index(key) for key in keys]


def marks(relayed: Relayed) -> dict[str, Cooldown]:
    """What is set aside, by model; "" for all of a credential's."""
    return {slot: mark for (_, slot), mark in relayed.house.pool.state.cooldowns(relayed.house.clock.boot())}


def said(*, status: int, **error: Any) -> tuple[int, bytes]:
    return status, json.dumps({"error": error}).encode()


BROKE = said(status=400, type="invalid_request_error", message="Your credit balance is too low to access the Anthropic")
NO_CLAUDE = said(status=404, type="not_found_error", message="model: real-claude")
NO_CODEX = 400, b'{"detail":"The \'real-codex\' model is not supported when using Codex with a ChatGPT account."}'
NO_GPT = said(status=404, code="model_not_found", type="invalid_request_error", message="The model `x` does not exist")
QUOTA = said(status=429, code="insufficient_quota", type="insufficient_quota", message="You exceeded your quota")
BAD_KEY = (
    400,
    b'{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}',
)
NO_GEMINI = (
    404,
    (
        b'{"error":{"code":404,"message":"models/real-gemini is not found for API version v1beta, or is not supported",'
        b'"status":"NOT_FOUND"}}'
    ),
)


@pytest.mark.parametrize("client", ["its own", "another"])
@pytest.mark.parametrize(
    ("model", "refusal", "counts", "slot"),
    [
        ("m-claude", BROKE, 402, "real-claude"),
        ("m-claude", NO_CLAUDE, 404, "real-claude"),
        ("m-codex", NO_GPT, 404, "real-codex"),
        ("m-codex", QUOTA, 402, "real-codex"),
        ("m-gemini", BAD_KEY, 401, ""),
        ("m-gemini", NO_GEMINI, 404, "real-gemini"),
        ("m-chat", NO_GPT, 404, "real-chat"),
        ("m-chat", QUOTA, 402, "real-chat"),
    ],
)
async def test_a_refusal_of_the_credential_is_followed_by_the_next_and_remembered(
    serve: Serve, vendor: Vendor, model: str, refusal: tuple[int, bytes], counts: int, slot: str, client: str
) -> None:
    relayed = await serve(TWO_OF_EACH)
    vendor.answers.append(whole(refusal[1], refusal[0]))
    vendor.usual = GOOD[model]
    path, body = asking(model, NATIVE[model] if client == "its own" else "chat" if model != "m-chat" else "messages")
    assert [(await relayed.ask(path, body))[0] for _ in range(2)] == [200, 200]
    assert turns(vendor) == [0, 1, 1], "the first is left alone from then on"
    ((resting, mark),) = marks(relayed).items()
    assert (resting, mark.status, mark.own) == (slot, counts, counts == 404)
    assert mark.until - relayed.house.clock.boot() == pytest.approx(1800, abs=60)


async def test_a_model_that_is_not_allowed_says_nothing_of_another(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO_OF_EACH)
    vendor.answers.append(whole(NO_GPT[1], NO_GPT[0]))
    vendor.usual = GOOD["m-chat"]
    for model in ("m-chat", "m-other", "m-chat"):
        assert (await relayed.ask(*asking(model, "chat")))[0] == 200
    assert turns(vendor) == [0, 1, 0, 1]


FIFTY: Final = """
openai-compatibility:
  - name: acme
    base-url: {url}/v1
    api-key-entries: [%s]
    models: [{{name: real-chat, alias: m-chat}}]
"""


@pytest.mark.parametrize("fmt", ["chat", "messages"])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"code": "context_length_exceeded", "message": "This model's maximum context length is 128000 tokens."}),
        (400, {"code": "content_policy_violation", "message": "Your request was rejected by our safety system."}),
        (400, {"code": "unsupported_value", "message": "The model `real-chat` does not support temperature."}),
        (404, {"code": None, "message": "Not Found"}),
        (413, {"message": "Request too large"}),
        (422, {"message": "Field required"}),
    ],
)
async def test_one_bad_request_against_fifty_credentials_reaches_the_vendor_once(
    serve: Serve, vendor: Vendor, status: int, error: dict[str, Any], fmt: str
) -> None:
    keys = ", ".join(f"{{{{api-key: sk-CANARY-{number}}}}}" for number in range(50))
    relayed = await serve(FIFTY % keys)
    vendor.usual = whole(json.dumps({"error": error}).encode(), status)
    got, told, _ = await relayed.ask(*asking("m-chat", fmt))
    assert (got, json.loads(told)["error"]["message"]) == (status, error["message"])
    assert len(vendor.seen) == 1 and not marks(relayed)


# --- an error inside a 200 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["responses", "chat"])
@pytest.mark.parametrize(
    ("event", "counts", "next_one"),
    [
        ({"error": {"code": "model_not_found", "message": "The model `x` does not exist"}}, 404, True),
        ({"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}, 402, True),
        ({"error": {"type": "usage_limit_reached", "message": "no more", "resets_in_seconds": 500}}, 429, True),
        ({"error": {"code": "context_length_exceeded", "message": "too long"}}, 400, False),
        ({"error": {"code": "invalid_prompt", "message": "flagged"}}, 400, False),
    ],
)
async def test_an_error_inside_a_200_is_judged_alike(
    serve: Serve, vendor: Vendor, event: dict[str, Any], counts: int, next_one: bool, fmt: str
) -> None:
    relayed = await serve(TWO_OF_EACH)
    vendor.answers.append(stream(sse({"type": "response.failed", "response": event})))
    vendor.usual = stream(sse(DONE))
    path, body = asking("m-codex", fmt)
    body = body[:-1] + b',"stream":true}'
    await relayed.ask(path, body)
    assert turns(vendor) == ([0, 1] if next_one else [0])
    assert [mark.status for mark in marks(relayed).values()] == ([counts] if next_one else [])


async def test_a_whole_answer_put_together_of_a_stream_is_judged_alike(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO_OF_EACH)
    failed = {"type": "response.failed", "response": {"error": {"code": "model_not_found", "message": "none"}}}
    vendor.answers.append(stream(sse({"type": "response.created", "response": {}}, failed)))
    vendor.usual = stream(sse(DONE))
    status, told, _ = await relayed.ask(*asking("m-codex", "responses"))
    assert (status, json.loads(told)["status"]) == (200, "completed")
    assert [(slot, mark.status) for slot, mark in marks(relayed).items()] == [("real-codex", 404)]


# --- hints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("fmt", ["responses", "chat"])
async def test_a_vendors_hint_is_how_long_it_rests_and_what_it_is_called(
    serve: Serve, vendor: Vendor, fmt: str, streamed: bool
) -> None:
    relayed = await serve(TWO_OF_EACH)
    head = {"x_codex_primary_used_percent": "100", "x_codex_primary_window_minutes": "300"}
    error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 7200}
    if streamed:
        failed = {"type": "response.failed", "response": {"error": error}}
        vendor.answers.append(stream(sse(failed), **head, x_codex_primary_reset_after_seconds="7199"))
    else:
        body = json.dumps({"error": error}).encode()
        vendor.answers.append(whole(body, 429, **head, x_codex_primary_reset_after_seconds="7199"))
    vendor.usual = stream(sse(DONE))
    assert (await relayed.ask(*asking("m-codex", fmt)))[0] == 200
    ((slot, mark),) = marks(relayed).items()
    assert (slot, mark.status, mark.why) == ("real-codex", 429, "5-hour limit")
    assert mark.until - relayed.house.clock.boot() == pytest.approx(7200, abs=60)


async def test_a_translated_refusal_tells_the_client_when_to_come_back(serve: Serve, vendor: Vendor) -> None:
    """Codex retries a 429 only with a `Retry-After`, and Google's stands in the body."""
    relayed = await serve(TWO_OF_EACH)
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33.2s"}]
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your quota", "details": details}
    vendor.usual = whole(json.dumps({"error": error}).encode(), 429)
    status, told, headers = await relayed.ask(*asking("m-gemini", "chat"))
    assert (status, headers["retry-after"]) == (429, "34")
    assert json.loads(told)["error"]["message"] == "You exceeded your quota"


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "33.2s"}
IN_ITS_BODY = [
    ("m-codex", "responses", 429, {"error": {"type": "usage_limit_reached", "resets_in_seconds": 60.5}}, "61"),
    ("m-gemini", "gemini", 429, {"error": {"code": 429, "message": "no", "details": [RETRY_INFO]}}, "34"),
    ("m-gemini", "gemini", 503, {"error": {"code": 503, "message": "no", "details": [RETRY_INFO]}}, "34"),
    ("m-codex", "responses", 429, {"error": {"type": "usage_limit_reached", "resets_in_seconds": 18 * 86400}}, "3600"),
    ("m-gemini", "gemini", 503, {"error": {"code": 503, "message": "no"}}, None),
]


@pytest.mark.parametrize(("model", "fmt", "status", "body", "told"), IN_ITS_BODY)
async def test_what_a_vendor_says_in_its_body_alone_is_told_in_the_header_that_clients_read(
    serve: Serve, vendor: Vendor, model: str, fmt: str, status: int, body: Any, told: str | None
) -> None:
    """Codex and the SDKs look only there. The body stays as it is, byte by byte."""
    relayed = await serve("disable-cooling: true\ncooldown: {{max-seconds: 3600}}\n" + TWO_OF_EACH)
    spaced = json.dumps(body, indent=3).encode()
    vendor.usual = whole(spaced, status)
    got, bytes_, headers = await relayed.ask(*asking(model, fmt))
    assert (got, bytes_, headers.get("retry-after")) == (status, spaced, told)
    vendor.usual = whole(spaced, status, retry_after="7")
    assert (await relayed.ask(*asking(model, fmt)))[2]["retry-after"] == "7", "the vendor's own header stays"


async def test_so_does_one_inside_a_200(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(TWO_OF_EACH)
    failed = {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "no more"}}}
    head = {"x_codex_primary_used_percent": "100", "x_codex_primary_reset_after_seconds": "50"}
    vendor.usual = stream(sse(failed), **head)
    status, _, headers = await relayed.ask(*asking("m-codex", "chat"))
    assert (status, headers["retry-after"]) == (429, "50")


# --- the last word ----------------------------------------------------------------------------------------------------

LIMITED = 429, b'{"error":{"message":"slow down"}}'
DOWN = 503, b'{"error":{"message":"busy"}}'
NO_KEY = 401, b'{"error":{"message":"bad key"}}'


@pytest.mark.parametrize(
    ("first", "second", "heard"),
    [
        (NO_GPT, LIMITED, LIMITED),
        (LIMITED, NO_GPT, LIMITED),
        (QUOTA, DOWN, DOWN),
        (DOWN, LIMITED, LIMITED),
        (LIMITED, DOWN, DOWN),
        (NO_KEY, NO_GPT, NO_GPT),
        (NO_GPT, NO_KEY, NO_GPT),
        (NO_KEY, NO_KEY, NO_KEY),
    ],
)
async def test_of_several_refusals_the_client_hears_the_one_it_can_do_something_about(
    serve: Serve,
    vendor: Vendor,
    first: tuple[int, bytes],
    second: tuple[int, bytes],
    heard: tuple[int, bytes],
) -> None:
    relayed = await serve(TWO_OF_EACH)
    vendor.answers.extend([whole(first[1], first[0]), whole(second[1], second[0])])
    status, told, _ = await relayed.ask(*asking("m-chat", "chat"))
    assert (status, told) == heard, "in the vendor's own bytes"


async def test_what_is_at_fault_in_the_request_is_told_at_once_whatever_came_before(
    serve: Serve, vendor: Vendor
) -> None:
    relayed = await serve(TWO_OF_EACH)
    bad = b'{"error":{"code":"context_length_exceeded","message":"too long"}}'
    vendor.answers.extend([whole(LIMITED[1], 429), whole(bad, 400)])
    assert (await relayed.ask(*asking("m-chat", "chat")))[:2] == (400, bad)


# --- beside `/responses` ----------------------------------------------------------------------------------------------


async def test_a_call_that_is_passed_on_unread_is_judged_by_its_refusal_all_the_same(
    serve: Serve, vendor: Vendor
) -> None:
    relayed = await serve(TWO_OF_EACH)
    vendor.answers.append(whole(NO_GPT[1], NO_GPT[0]))
    vendor.answers.append(whole(b'{"object":"response.compaction"}'))
    body = b'{"model":"m-codex","input":[]}'
    assert (await relayed.ask("/v1/responses/compact", body))[:2] == (200, b'{"object":"response.compaction"}')
    assert [mark.status for mark in marks(relayed).values()] == [404]
    vendor.answers.append(whole(NO_CODEX[1], 400))
    assert (await relayed.ask("/v1/responses/compact", body))[:2] == NO_CODEX, "of a key's vendor nothing is listed so"


# --- a login ----------------------------------------------------------------------------------------------------------


async def test_a_login_that_is_refused_like_a_bad_key_is_renewed_once_and_then_the_next_is_asked(pooled: Open) -> None:
    """As after a 401: the vendor may have withdrawn the token alone."""

    def closed(sandbox: Sandbox) -> dict[str, Any]:
        overlay: dict[str, Any] = sandbox.overlay()
        rows = [{"status": [400], "says": ["your credit balance"], "means": "bad-key"}]
        overlay["claude"].setdefault("api", {})["refusals"] = rows
        return {"providers": overlay, "routing": {"strategy": "fill-first"}}

    house = await pooled(closed)
    ann = await house.sign_in("claude", "ann@example.com")
    await house.sign_in("claude", "bob@example.com")
    house.sandbox.deny("claude", why="empty", account="ann@example.com")
    assert house.clock is not None
    house.clock.advance(120)  # a login is not renewed within a minute of the last time
    model = "claude-sonnet-4-5-20250929"
    assert [(await house.ask("messages", model)).status for _ in range(2)] == [200, 200]
    counts = house.sandbox["claude"].counts
    assert (counts["denied:empty"], counts["renewals"], counts["requests:llm"]) == (2, 1, 4)
    (resting,) = house.resting()
    assert (resting.credential, resting.model) == (ann.id, "")


async def test_a_login_that_was_renewed_just_now_is_not_asked_twice_with_what_was_refused(pooled: Open) -> None:
    house = await pooled({"disable-cooling": True})
    await house.sign_in("codex", "ann@example.com")
    house.sandbox.set("codex", refuse_access=True)
    assert [(await house.ask("responses", "gpt-5")).status for _ in range(2)] == [401, 401]
    counts = house.sandbox["codex"].counts
    assert (counts["renewals"], counts["requests:llm"]) == (1, 3)
