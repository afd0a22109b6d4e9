"""What a vendor refuses although the request is well formed: a used-up allowance, an account or key it will not serve.

Every vendor has a shape of its own for each of these, and hints of its own on when to come back. They are written here
from what the vendors send, never from what our own reader of them expects, so that the one can judge the other.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

from vaultd.sandbox.call import Call
from vaultd.sandbox.records import ISSUED
from vaultd.sandbox.refusal import Refusal, anthropic_error, codex_error, google_error, llm, openai_error
from vaultd.sandbox.switches import Denial, Quota
from vaultd.sandbox.vendors import Grammar

_TYPES = "type.googleapis.com/google.rpc."


class _Filtered(Protocol):
    @property
    def account(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def project(self) -> str: ...


def check(call: Call, grammar: Grammar, model: str) -> None:
    """Raises Refusal where a denial or a used-up allowance fits. Counting tokens costs no allowance."""
    for denial in call.vendor.denials:
        if _fits(call, denial, model):
            call.vendor.counts[f"denied:{denial.why}"] += 1
            raise _deny(call, grammar, denial, model)
    if call.hit.at != "llm":
        return
    for quota, until in call.vendor.exhausted:
        left = until - call.vendor.now()
        if left > 0 and _fits(call, quota, model):
            call.vendor.counts["exhausted"] += 1
            raise _exhausted(call, grammar, quota, model, left)


def _fits(call: Call, filters: _Filtered, model: str) -> bool:
    return (
        (not filters.account or filters.account == call.email())
        and (not filters.key or filters.key == call.secret())
        and (not filters.model or filters.model == model)
        and (not filters.project or filters.project == _project(call))
    )


def _project(call: Call) -> str:
    """Code Assist's envelope names it; no other body has one."""
    return str(call.json().get("project", ""))


# --- a used-up allowance ----------------------------------------------------------------------------------------------


def _exhausted(call: Call, grammar: Grammar, quota: Quota, model: str, left: float) -> Refusal:
    """429 with the vendor's own hints: `says_seconds` from now where the switch lies, else what is left."""
    wait = left if quota.says_seconds is None else quota.says_seconds
    at = call.vendor.now() + wait
    if quota.hint != "usual":
        # Codex' own body for 429 is a hint by itself.
        body = {"detail": "Too Many Requests"} if grammar == "codex" else llm(grammar, 429, "Too many requests.").body
        return Refusal(429, body, {"Retry-After": _up(wait)} if quota.hint == "retry-after" else {})
    login = ISSUED.match(call.secret())
    match grammar:
        case "anthropic" if login:
            return Refusal(429, anthropic_error(429, _ANTHROPIC_LOGIN), _unified(wait, at))
        case "anthropic":
            return Refusal(429, anthropic_error(429, _ANTHROPIC_KEY), _anthropic_key(wait, at))
        case "codex":
            return Refusal(429, _codex(call, wait, at), _codex_headers(wait, at))
        case "gemini" if login:
            return Refusal(429, _code_assist(model, wait, at))
        case "gemini":
            return Refusal(429, _gemini_key(model, wait))
        case _:
            return Refusal(429, _openai(model, wait), _openai_headers(wait))


_ANTHROPIC_LOGIN = "This request would exceed your account's rate limit. Please try again later."
_ANTHROPIC_KEY = "Number of request tokens has exceeded your per-minute rate limit."


def _up(seconds: float) -> str:
    """Whole seconds, never too early."""
    return str(int(-(-seconds // 1)))


def _unified(wait: float, at: float) -> dict[str, str]:
    """A Claude subscription: which window is full, and when each of them ends (unix seconds)."""
    prefix = "anthropic-ratelimit-unified-"
    # A wait that is longer than the short window can only be the long one's.
    weekly = wait > 5 * 3600
    full, other = ("7d", "5h") if weekly else ("5h", "7d")
    # The window that is not full ends at some other time; one that read it would come back too late, or too early.
    elsewhere = at - 3600 if weekly else at + 86400
    return {
        "Retry-After": _up(wait),
        f"{prefix}status": "rejected",
        f"{prefix}reset": _up(at),
        f"{prefix}representative-claim": "seven_day" if weekly else "five_hour",
        f"{prefix}{full}-status": "rejected",
        f"{prefix}{full}-reset": _up(at),
        f"{prefix}{full}-utilization": "1.0",
        f"{prefix}{other}-status": "allowed",
        f"{prefix}{other}-reset": _up(elsewhere),
        f"{prefix}{other}-utilization": "0.42",
        f"{prefix}overage-status": "rejected",
        f"{prefix}overage-disabled-reason": "org_level_disabled",
    }


def _anthropic_key(wait: float, at: float) -> dict[str, str]:
    """A key at the API: limits by the minute, ends in RFC 3339."""
    ends = _stamp(at)
    return {
        "Retry-After": _up(wait),
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": _stamp(at - wait + 1),
        "anthropic-ratelimit-input-tokens-limit": "30000",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": ends,
    }


def _codex(call: Call, wait: float, at: float) -> dict[str, Any]:
    body = codex_error(429, "The usage limit has been reached", retry_after=wait)
    body["error"] |= {"resets_at": int(at), "resets_in_seconds": int(wait)}
    body["error"]["plan_type"] = call.vendor.live(call.bearer()).family.account.plan
    return body


def _codex_headers(wait: float, at: float) -> dict[str, str]:
    weekly = wait > 5 * 3600
    full, other = ("secondary", "primary") if weekly else ("primary", "secondary")
    minutes = {"primary": "300", "secondary": "10080"}
    return {
        f"x-codex-{full}-used-percent": "100.0",
        f"x-codex-{full}-window-minutes": minutes[full],
        f"x-codex-{full}-reset-after-seconds": _up(wait),
        f"x-codex-{full}-reset-at": _up(at),
        f"x-codex-{other}-used-percent": "37.0",
        f"x-codex-{other}-window-minutes": minutes[other],
        f"x-codex-{other}-reset-after-seconds": _up(wait + 86400),
        f"x-codex-{other}-reset-at": _up(at + 86400),
    }


def _code_assist(model: str, wait: float, at: float) -> dict[str, Any]:
    """A Google login: the wait stands in the text, in ErrorInfo and in RetryInfo."""
    body = google_error(
        429, f"You have exhausted your capacity on this model. Your quota will reset after {_spelt(wait)}."
    )
    delay = f"{wait:.9f}".rstrip("0").rstrip(".") + "s"
    metadata = {"uiMessage": "true", "model": model, "quotaResetDelay": _spelt(wait), "quotaResetTimeStamp": _stamp(at)}
    domain = "cloudcode-pa.googleapis.com"
    body["error"]["details"] = [
        {"@type": f"{_TYPES}ErrorInfo", "reason": "QUOTA_EXHAUSTED", "domain": domain, "metadata": metadata},
        {"@type": f"{_TYPES}RetryInfo", "retryDelay": delay},
    ]
    return body


def _gemini_key(model: str, wait: float) -> dict[str, Any]:
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    body = google_error(
        429,
        "You exceeded your current quota, please check your plan and billing details. "
        f"\n* Quota exceeded for metric: {metric}, limit: 50\nPlease retry in {wait:.9f}s.",
    )
    violation = {
        "quotaMetric": metric,
        "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": "50",
    }
    body["error"]["details"] = [
        {"@type": f"{_TYPES}QuotaFailure", "violations": [violation]},
        {"@type": f"{_TYPES}Help", "links": [{"description": "Learn more", "url": "https://ai.google.dev/"}]},
        {"@type": f"{_TYPES}RetryInfo", "retryDelay": f"{int(wait)}s"},
    ]
    return body


def _openai(model: str, wait: float) -> dict[str, Any]:
    message = (
        f"Rate limit reached for {model} in organization org-sandbox on requests per day (RPD): "
        f"Limit 200, Used 200, Requested 1. Please try again in {_spelt(wait)}."
    )
    body = openai_error(429, message)
    body["error"]["type"] = "requests"
    return body


def _openai_headers(wait: float) -> dict[str, str]:
    """No `Retry-After`: an allowance of a day comes with the reset in Go's spelling of a duration."""
    return {
        "x-ratelimit-limit-requests": "200",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": _spelt(wait),
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "2s",
    }


def _spelt(seconds: float) -> str:
    """A duration as programs in Go write it: `1h2m3.5s`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    last = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + last


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- who or what is not served ----------------------------------------------------------------------------------------


def _deny(call: Call, grammar: Grammar, denial: Denial, model: str) -> Refusal:
    if denial.why == "empty":
        return _empty(grammar, denial.status)
    if denial.why == "model":
        return _no_model(call, grammar, model, denial.status)
    return _too_much(grammar, denial)


def _empty(grammar: Grammar, status: int) -> Refusal:
    """An account without money: 400 at Anthropic, 429 at OpenAI, 403 at Google, 402 wherever the switch says so."""
    match grammar:
        case "anthropic":
            message = (
                "Your credit balance is too low to access the Anthropic API. "
                "Please go to Plans & Billing to upgrade or purchase credits."
            )
            return Refusal(status or 400, anthropic_error(status or 400, message))
        case "codex":
            return Refusal(status or 402, {"detail": {"code": "deactivated_workspace"}})
        case "gemini":
            body = google_error(status or 403, "This API method requires billing to be enabled.")
            info = {"@type": f"{_TYPES}ErrorInfo", "reason": "BILLING_DISABLED", "domain": "googleapis.com"}
            body["error"]["details"] = [info]
            return Refusal(status or 403, body)
        case _ if status not in (0, 429):
            body = openai_error(status, "Insufficient Balance", code="invalid_request_error")
            body["error"]["type"] = "unknown_error"
            return Refusal(status, body)
        case _:
            message = "You exceeded your current quota, please check your plan and billing details."
            body = openai_error(429, message, code="insufficient_quota")
            body["error"]["type"] = "insufficient_quota"
            return Refusal(429, body)


def _no_model(call: Call, grammar: Grammar, model: str, status: int) -> Refusal:
    """A model that others may use and this one may not."""
    match grammar:
        case "anthropic":
            return Refusal(status or 404, anthropic_error(status or 404, f"model: {model}"))
        case "codex":
            message = f"The '{model}' model is not supported when using Codex with a ChatGPT account."
            return Refusal(status or 400, {"detail": message})
        case "gemini":
            by_key = (
                f"models/{model} is not found for API version v1beta, or is not supported for generateContent. "
                "Call ListModels to see the list of available models and their supported methods."
            )
            message = "Requested entity was not found." if call.bearer() else by_key
            return Refusal(status or 404, google_error(status or 404, message))
        case _:
            message = f"The model `{model}` does not exist or you do not have access to it."
            return Refusal(status or 404, openai_error(status or 404, message, code="model_not_found"))


#: What is wrong with the request and not with who asks: its usual status, and each grammar's words and code.
_REQUEST: dict[str, tuple[int, dict[str, tuple[str, str | None]]]] = {
    "too-long": (
        400,
        {
            "anthropic": ("prompt is too long: 208310 tokens > 200000 maximum", None),
            "gemini": ("The input token count (1048977) exceeds the maximum number of tokens allowed (1048576).", None),
            "codex": ("Your input exceeds the context window of this model.", "context_length_exceeded"),
            "": ("This model's maximum context length is 128000 tokens.", "context_length_exceeded"),
        },
    ),
    "too-large": (
        413,
        {
            "anthropic": ("Request exceeds the maximum size", None),
            "gemini": ("Request payload size exceeds the limit: 20971520 bytes.", None),
            "codex": ("Payload Too Large", "payload_too_large"),
            "": ("Request too large.", "request_too_large"),
        },
    ),
    "policy": (
        400,
        {
            "anthropic": ("Output blocked by content filtering policy", None),
            "gemini": ("The prompt could not be submitted. It contains content that violates our policies.", None),
            "codex": ("Invalid prompt: your prompt was flagged as potentially violating our usage policy.", None),
            "": ("Your request was rejected as a result of our safety system.", "content_policy_violation"),
        },
    ),
}


def _too_much(grammar: Grammar, denial: Denial) -> Refusal:
    usual, words = _REQUEST[denial.why]
    message, code = words.get(grammar, words[""])
    return llm(grammar, denial.status or usual, message, code=code)
