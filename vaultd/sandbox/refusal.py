"""How each vendor says no: the error bodies of RFC 6749 and of the four grammars, with their own words for a status.

A handler raises `Refusal`; `server` turns it into an answer. Nothing here decides whether to refuse.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from vaultd.sandbox.vendors import Grammar

_OPENAI = {
    400: ("invalid_request_error", None),
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "insufficient_quota"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}
_ANTHROPIC = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def oauth(code: str, why: str, *, status: int = 400) -> Refusal:
    """RFC 6749 §5.2."""
    return Refusal(status, {"error": code, "error_description": why})


def openai_error(status: int, message: str, *, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    kind, usual = _OPENAI.get(status, ("server_error", "internal_server_error") if status >= 500 else _OPENAI[400])
    return {"error": {"message": message, "type": kind, "param": param, "code": code or usual}}


def anthropic_error(status: int, message: str) -> dict[str, Any]:
    kind = _ANTHROPIC.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_sandbox"}


def google_error(status: int, message: str, *, retry_after: float | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": status, "message": message, "status": _GOOGLE.get(status, "UNKNOWN")}
    if retry_after is not None:
        error["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_after:g}s"}]
    return {"error": error}


def codex_error(
    status: int, message: str, *, code: str | None = None, retry_after: float | None = None
) -> dict[str, Any]:
    """The ChatGPT backend: a bare `detail` for a bad request, quota with the seconds until it resets."""
    if status == 429:
        wait = retry_after or 60
        return {
            "error": {
                "type": "usage_limit_reached",
                "message": message,
                "plan_type": "plus",
                "resets_at": int(time.time() + wait),
                "resets_in_seconds": int(wait),
            }
        }
    if status == 400 and code is None:
        return {"detail": message}
    return {"error": {"message": message, "type": None, "code": code, "param": None}, "status": status}


def body_for(
    grammar: Grammar, status: int, message: str, *, code: str | None = None, retry_after: float | None = None
) -> Any:
    """An error body in `grammar`."""
    match grammar:
        case "anthropic":
            return anthropic_error(status, message)
        case "gemini":
            return google_error(status, message, retry_after=retry_after)
        case "codex":
            return codex_error(status, message, code=code, retry_after=retry_after)
        case _:
            return openai_error(status, message, code=code)


def llm(
    grammar: Grammar, status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Refusal:
    """A refusal in the words of an inference grammar."""
    return Refusal(status, body_for(grammar, status, message, code=code), headers)
