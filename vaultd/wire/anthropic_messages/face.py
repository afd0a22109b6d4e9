"""How Messages looks from outside: errors, streams' ends, usage, model list. No translation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from vaultd.wire.listing import Listed
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

NAME: Final = "anthropic-messages"
PATH: Final = "/v1/messages"
COUNT_PATH: Final = "/v1/messages/count_tokens"
KEEPALIVE: Final = b": keep-alive\n\n"
ENDINGS: Final = (b"message_stop", b"event: error", b'"type":"error"')
USAGE_MARK: Final = b'"usage"'
USAGE_BEGUN: Final = b'"message_start"'

_BY_STATUS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Usage | None = None


class _Answer(msgspec.Struct):
    """A whole answer and `message_delta` have `usage` themselves, `message_start` has it in `message`."""

    usage: _Usage | None = None
    message: _Message | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


def error_body(refusal: Refusal) -> bytes:
    kind = _BY_STATUS.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
    return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": refusal.message}})


def error_event(refusal: Refusal, last: bytes = b"") -> bytes:
    """The `error` event that ends a broken stream. `last` is what was sent before."""
    return b"event: error\ndata: " + error_body(refusal) + b"\n\n"


def usage(data: bytes, first: bytes = b"") -> Usage | None:
    """What an answer, or a stream's last `message_delta` over its `message_start` (`first`), says of its tokens."""
    begun = _of(first) if first else _Usage()
    ended = _of(data)
    if begun is None or ended is None:
        return None

    def known(name: str) -> int:
        value: int | None = getattr(ended, name)
        return (getattr(begun, name) if value is None else value) or 0

    cached = known("cache_read_input_tokens")
    given = known("input_tokens") + known("cache_creation_input_tokens") + cached
    return Usage(given, known("output_tokens"), cached)


def _of(data: bytes) -> _Usage | None:
    answer = _answer.decode(data)
    return answer.usage or (answer.message.usage if answer.message else None)


def model_list(listed: Iterable[Listed]) -> dict[str, Any]:
    data = [
        {
            "type": "model",
            "id": model.id,
            "display_name": model.display_name or model.id,
            "lifecycle": "active",
            "created_at": datetime.fromtimestamp(model.created, UTC).isoformat().replace("+00:00", "Z"),
            "max_input_tokens": model.context or None,
            "max_tokens": model.max_output or None,
        }
        for model in listed
    ]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"data": data, "has_more": False} | ends
