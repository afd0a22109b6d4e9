"""The OpenAI error object, which chat and Responses share."""

from __future__ import annotations

from typing import Any, Final

from vaultd.wire.refusal import Refusal

_BY_STATUS: Final = {
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "insufficient_quota"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


def error_object(refusal: Refusal) -> dict[str, Any]:
    kind, code = _BY_STATUS.get(
        refusal.status,
        ("server_error", "internal_server_error") if refusal.status >= 500 else ("invalid_request_error", None),
    )
    if refusal.status == 404 and refusal.kind != "no-such-model":
        code = "not_found"
    if refusal.kind in {"sign-in-required", "not-implemented", "cooling", "no-credential"}:
        code = refusal.kind.replace("-", "_")
    return {"message": refusal.message, "type": kind, "code": refusal.code or code, "param": None}
