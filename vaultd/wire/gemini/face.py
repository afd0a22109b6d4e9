"""How Gemini looks from outside: errors, streams' ends, usage, model list. No translation, and no code-assist envelope:
that is one vendor's habit (`catalog.hooks`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from vaultd.wire.listing import Listed
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

NAME: Final = "gemini"
PATH: Final = "/v1beta/models/{model}:{method}"
COUNT_PATH: Final = PATH
KEEPALIVE: Final = b": keep-alive\n\n"
#: No terminal event: the last chunk has a finish reason; a blocked prompt has only its feedback.
ENDINGS: Final = (b'"finishReason"', b'"finish_reason"', b'"promptFeedback"', b'"error"')
USAGE_MARK: Final = b'"usageMetadata"'
USAGE_BEGUN: Final = b""

_BY_STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = 0
    cached_content_token_count: int | None = 0
    candidates_token_count: int | None = 0
    thoughts_token_count: int | None = 0
    #: What the vendor's own tools put into the prompt; not in the prompt's count.
    tool_use_prompt_token_count: int | None = 0


class _Answer(msgspec.Struct, rename="camel"):
    usage_metadata: _Usage | None = None


class _Enveloped(_Answer):
    response: _Answer | None = None


_answer: Final = msgspec.json.Decoder(_Enveloped)


def error_body(refusal: Refusal) -> bytes:
    status = _BY_STATUS.get(refusal.status, "INTERNAL" if refusal.status >= 500 else "INVALID_ARGUMENT")
    error = {"code": refusal.status, "message": refusal.message, "status": status}
    return msgspec.json.encode({"error": error})


def error_event(refusal: Refusal, last: bytes = b"") -> bytes:
    """The end of a broken stream. `last` is what was sent before."""
    return b"event: error\ndata: " + error_body(refusal) + b"\n\n"


def usage(data: bytes, first: bytes = b"") -> Usage | None:
    """What an answer, or a chunk of a stream, says of its tokens. They are running totals: the last chunk counts."""
    answer = _answer.decode(data)
    found = answer.usage_metadata or (answer.response and answer.response.usage_metadata)
    if not found:
        return None
    thoughts = found.thoughts_token_count or 0
    return Usage(
        (found.prompt_token_count or 0) + (found.tool_use_prompt_token_count or 0),
        (found.candidates_token_count or 0) + thoughts,
        found.cached_content_token_count or 0,
        thoughts,
    )


def model_list(listed: Iterable[Listed]) -> dict[str, Any]:
    return {"models": [_model(model) for model in listed]}


def _model(model: Listed) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": f"models/{model.id}",
        "displayName": model.display_name or model.id,
        "supportedGenerationMethods": ["generateContent", "countTokens", "streamGenerateContent"],
    }
    if model.context:
        shown["inputTokenLimit"] = model.context
    if model.max_output:
        shown["outputTokenLimit"] = model.max_output
    return shown
