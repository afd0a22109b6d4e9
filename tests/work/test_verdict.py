"""What a refusal means, vendor by vendor, in the words each was seen to use; and that a bad request is nobody's fault
but its own."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from vaultd.catalog.load import load, shipped_folder
from vaultd.catalog.manifest import Provider
from vaultd.config.load import parse
from vaultd.errors import Misconfigured
from vaultd.pool.state import Outcome
from vaultd.wire.failing import refused
from vaultd.work.verdict import last_word, of_stream, verdict

NOW = 1763208000.0
ACME: Final = "openai-compatibility: [{name: acme, base-url: 'http://127.0.0.1:9', models: [{name: m}]}]"


@cache
def provider(id_: str, config: str = ACME) -> Provider:
    return load(shipped_folder(), None, parse(config, "c.yaml", []), "c.yaml").providers[id_].provider


def judge(id_: str, status: int, body: Any, config: str = ACME, **headers: str) -> Outcome:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return verdict(provider(id_, config), status, named, data, wall=NOW)


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def openai(code: str | None, message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def google(code: int, status: str, message: str, *reasons: str) -> dict[str, Any]:
    info = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason} for reason in reasons]
    return {"error": {"code": code, "message": message, "status": status, "details": info}}


BROKE = anthropic(
    "invalid_request_error",
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade.",
)
SPENT = anthropic(
    "invalid_request_error",
    "You have reached your specified API usage limits. You will regain access on 2026-09-01 at 00:00 UTC.",
)
CLOSED = anthropic("invalid_request_error", "This organization has been disabled.")
NO_CLAUDE = anthropic("not_found_error", "model: claude-does-not-exist")
NO_GPT = {"detail": "The 'gpt-5.2-codex' model is not supported when using Codex with a ChatGPT account."}
NOT_FOUND = openai("model_not_found", "The model `gpt-6` does not exist or you do not have access to it.")
QUOTA = openai("insufficient_quota", "You exceeded your current quota, please check your plan.", "insufficient_quota")
NO_GEMINI = google(404, "NOT_FOUND", "models/gemini-9 is not found for API version v1beta, or is not supported")
TEAM = "Your team 1f has either used all available credits or reached its monthly spending limit. To continue"
BAD, EMPTY, CLOSED_MODEL = 401, 402, 404

OWN: list[tuple[str, int, Any, int]] = [
    *(
        (id_, status, body, counts)
        for id_ in ("claude", "claude-api-key")
        for status, body, counts in (
            (400, BROKE, EMPTY),
            (400, SPENT, EMPTY),
            (400, CLOSED, BAD),
            (404, NO_CLAUDE, CLOSED_MODEL),
        )
    ),
    ("codex", 400, NO_GPT, CLOSED_MODEL),
    ("codex", 404, NOT_FOUND, CLOSED_MODEL),
    ("codex", 429, {"error": {"type": "usage_not_included", "message": "To use Codex with your plan"}}, EMPTY),
    ("codex-api-key", 400, openai("model_not_found", "The requested model 'x' does not exist."), CLOSED_MODEL),
    ("codex-api-key", 404, NOT_FOUND, CLOSED_MODEL),
    ("codex-api-key", 429, QUOTA, EMPTY),
    ("gemini-api-key", 400, google(400, "INVALID_ARGUMENT", "API key not valid.", "API_KEY_INVALID"), BAD),
    ("gemini-api-key", 400, google(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."), BAD),
    ("gemini-api-key", 400, google(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), BAD),
    ("gemini-api-key", 400, [google(400, "INVALID_ARGUMENT", "no", "API_KEY_INVALID")], BAD),
    (
        "gemini-api-key",
        400,
        google(400, "FAILED_PRECONDITION", "Free tier is not available. Please enable billing on your project in"),
        EMPTY,
    ),
    ("gemini-api-key", 403, google(403, "PERMISSION_DENIED", "requires billing", "BILLING_DISABLED"), EMPTY),
    ("gemini-api-key", 404, NO_GEMINI, CLOSED_MODEL),
    ("gemini-api-key", 404, google(404, "NOT_FOUND", "This is no longer available to new users."), CLOSED_MODEL),
    ("gemini", 404, google(404, "NOT_FOUND", "Requested entity was not found."), CLOSED_MODEL),
    ("qwen", 400, openai("Arrearage", "Access denied, please make sure your account is in good standing."), EMPTY),
    ("qwen", 404, NOT_FOUND, CLOSED_MODEL),
    ("iflow", 404, NOT_FOUND, CLOSED_MODEL),
    ("kimi", 404, openai(None, "Not found the model x or Permission denied", "resource_not_found_error"), CLOSED_MODEL),
    ("kimi", 429, openai(None, "Your account is not active", "exceeded_current_quota_error"), EMPTY),
    ("xai", 400, {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa"}, BAD),
    ("xai", 403, {"code": "permission-denied", "error": TEAM}, EMPTY),
    ("xai", 429, {"code": "Some resource has been exhausted", "error": TEAM}, EMPTY),
    ("xai", 404, {"error": "The model g does not exist or your team does not have access to it."}, CLOSED_MODEL),
    ("acme", 404, NOT_FOUND, CLOSED_MODEL),
    ("acme", 404, openai(None, "The model `llama` does not exist.", "NotFoundError"), CLOSED_MODEL),
    ("acme", 404, {"error": 'model "llama" not found, try pulling it first'}, CLOSED_MODEL),
    ("acme", 429, QUOTA, EMPTY),
    ("acme", 400, openai("invalid_api_key", "Incorrect API key provided: sk."), BAD),
    ("acme", 400, openai(None, "incorrect api key PROVIDED"), BAD),
]


@pytest.mark.parametrize(("id_", "status", "body", "counts"), OWN)
def test_a_refusal_that_is_about_the_credential(id_: str, status: int, body: Any, counts: int) -> None:
    outcome = judge(id_, status, body, retry_after="5")
    assert (outcome.status, outcome.own) == (counts, counts == CLOSED_MODEL)
    assert outcome.passes_on
    assert outcome.retry_after is None, "time alone does not mend it"


@pytest.mark.parametrize("id_", ["claude", "codex", "codex-api-key", "gemini", "gemini-api-key", "xai", "acme"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        # Too long, in each vendor's words.
        (400, anthropic("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum")),
        (400, anthropic("invalid_request_error", "input length and `max_tokens` exceed context limit")),
        (400, openai("context_length_exceeded", "Your input exceeds the context window of this model.")),
        (400, openai(None, "This model's maximum context length is 128000 tokens.")),
        (400, google(400, "INVALID_ARGUMENT", "The input token count (1250074) exceeds the maximum number of tokens")),
        (413, anthropic("request_too_large", "Request exceeds the maximum size")),
        # Policy.
        (400, anthropic("invalid_request_error", "Output blocked by content filtering policy")),
        (400, openai("content_policy_violation", "Your request was rejected as a result of our safety system.")),
        (400, openai("invalid_prompt", "Invalid prompt: your prompt was flagged as potentially violating")),
        # Malformed, and what a model cannot do for anybody.
        (400, anthropic("invalid_request_error", "messages.0: Input does not match the expected shape.")),
        (400, anthropic("invalid_request_error", "This model does not support effort level 'xhigh'.")),
        (400, openai("unsupported_value", "The model `o3` does not support temperature.")),
        (400, openai("invalid_image_url", "Error while downloading https://example.org/x.")),
        (400, google(400, "INVALID_ARGUMENT", "Unable to submit request because it has a temperature value of 1000")),
        (400, google(400, "FAILED_PRECONDITION", "User location is not supported for the API use.")),
        (422, {"detail": [{"loc": ["body"], "msg": "Field required", "type": "missing"}]}),
        # Not found, but not the model.
        (404, anthropic("not_found_error", "File not found: file_abc")),
        (404, openai(None, "Not Found")),
        (404, openai("previous_response_not_found", "Previous response with id 'resp_1' not found.")),
        (404, google(404, "NOT_FOUND", "Not found: cache content metadata 8754364356910645200.")),
        # What a proxy says, and nothing.
        (400, b"<html>Bad Request: model_not_found</html>"),
        (404, b""),
        (400, b"[" * 50_000),
        (400, {"error": {"message": ["API key not valid"], "code": ["model_not_found"], "details": "x"}}),
        (404, {"error": None}),
    ],
)
def test_a_refusal_of_the_request_stops_the_search_and_cools_nobody(id_: str, status: int, body: Any) -> None:
    outcome = judge(id_, status, body)
    assert (outcome.status, outcome.passes_on, outcome.retry_after) == (status, False, None)


def test_a_row_counts_for_its_status_alone() -> None:
    assert judge("claude", 500, BROKE).status == 500
    assert judge("gemini-api-key", 404, google(404, "INVALID_ARGUMENT", "API key not valid")).status == 404
    assert judge("qwen", 429, QUOTA) == Outcome(429), "the day's quota comes back by itself"


def test_a_limit_has_the_vendors_hint_and_its_name() -> None:
    headers = {"anthropic_ratelimit_unified_5h_status": "rejected"}
    headers["anthropic_ratelimit_unified_5h_reset"] = str(int(NOW) + 900)
    limited = judge("claude", 429, anthropic("rate_limit_error", "no"), **headers)
    assert limited == Outcome(429, 900, "5-hour limit")


# --- an error inside a 200 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id_", "event", "outcome"),
    [
        ("acme", QUOTA, Outcome(402)),
        ("codex-api-key", {"type": "response.failed", "response": NOT_FOUND}, 404),
        ("claude", BROKE, 402),
        ("claude", NO_CLAUDE, 404),
        ("gemini-api-key", google(400, "INVALID_ARGUMENT", "no", "API_KEY_INVALID"), 401),
        ("codex", {"error": {"type": "usage_limit_reached", "resets_in_seconds": 9}}, Outcome(429, 9, "usage limit")),
        ("codex", {"error": {"type": "usage_limit_reached", "resets_at": NOW + 9}}, Outcome(429, 9, "usage limit")),
        ("codex", {"type": "error", "code": "context_length_exceeded", "message": "too long"}, Outcome(400)),
        ("codex", {"type": "error", "code": "server_is_overloaded"}, Outcome(503)),
    ],
)
def test_an_error_inside_a_200_means_the_same(id_: str, event: Any, outcome: Outcome | int) -> None:
    got = of_stream(provider(id_), refused(json.dumps(event).encode()), {}, wall=NOW)
    assert outcome in (got, got.status)
    assert got.own == (got.status == 404)


def test_an_error_inside_a_200_is_explained_by_the_windows_in_its_head() -> None:
    head = {"x-codex-primary-used-percent": "100", "x-codex-primary-window-minutes": "300"}
    head["x-codex-primary-reset-after-seconds"] = "60"
    event = refused(b'{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"no"}}}')
    assert of_stream(provider("codex"), event, head, wall=NOW) == Outcome(429, 60, "5-hour limit")
    overloaded = refused(b'{"type":"error","code":"server_is_overloaded"}')
    assert of_stream(provider("codex"), overloaded, head, wall=NOW) == Outcome(503)


# --- of several, the last word ----------------------------------------------------------------------------------------


def test_what_passes_by_itself_is_told_before_what_is_true_of_one_credential_only() -> None:
    order = [Outcome(401), Outcome(404, own=True), Outcome(402), Outcome(403), Outcome(429), Outcome(0), Outcome(529)]
    assert [last_word(outcome) for outcome in order] == [0, 1, 1, 1, 2, 2, 2]


# --- the leaf ---------------------------------------------------------------------------------------------------------


def overlay(*rows: str) -> str:
    return f"providers: {{claude: {{api: {{refusals: [{', '.join(rows)}]}}}}}}"


def test_an_overlay_replaces_the_list_and_the_first_row_that_fits_counts() -> None:
    config = overlay(
        "{status: [418], code: [TEAPOT], means: no-credit}", "{status: [418], says: [short and stout], means: bad-key}"
    )
    assert judge("claude", 418, anthropic("teapot", "short and stout"), config).status == 402
    assert judge("claude", 418, anthropic("kettle", "I am Short and Stout."), config).status == 401
    assert judge("claude", 400, BROKE, config).status == 400


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{status: [400], code: [x], means: no-money}", "means"),
        ("{status: [], code: [x], means: bad-key}", "status"),
        ("{status: [200], code: [x], means: bad-key}", "status"),
        ("{status: [400], code: [x], means: bad-key, says-not: [y]}", "says-not"),
        ("{status: [400], means: bad-key}", "would fit every refusal"),
        ("{status: [400], says: [' '], means: bad-key}", "an empty text"),
        ("{status: [400], code: [invalid_request_error, x], means: bad-key}", "give `says` too"),
    ],
)
def test_a_row_that_cannot_be_meant_is_an_error_that_names_it(row: str, message: str) -> None:
    with pytest.raises(Misconfigured, match=r"providers\.claude\.api\.refusals\[1\].*" + message):
        provider("claude", overlay("{status: [400], code: [y], means: bad-key}", row))


def test_every_shipped_vendor_says_how_it_refuses_a_model() -> None:
    shipped = load(shipped_folder(), None, parse("", "c.yaml", []), "c.yaml").providers
    for entry in shipped.values():
        assert any(row.means == "model-not-allowed" for row in entry.provider.api.refusals), entry.provider.id
    assert set(shipped) == {path.stem for path in Path(shipped_folder()).glob("*.yaml")}
