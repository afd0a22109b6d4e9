"""How Responses looks from outside: errors, streams' ends, usage, model list. No translation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from vaultd.wire.listing import Listed
from vaultd.wire.openai_error import error_object
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

NAME: Final = "openai-responses"
PATH: Final = "/responses"
COUNT_PATH: Final = ""
KEEPALIVE: Final = b": keep-alive\n\n"
#: `response.complete` was recorded of a vendor that says so for `response.completed`.
ENDINGS: Final = (
    b"response.complete",
    b"response.incomplete",
    b"response.failed",
    b"response.cancelled",
    b'"error"',
    b"event: error",
)
USAGE_MARK: Final = b'"usage":{'
USAGE_BEGUN: Final = b""

_SEQUENCE: Final = re.compile(rb'"sequence_number":\s*(\d{1,18})')


class _Details(msgspec.Struct):
    cached_tokens: int | None = 0
    reasoning_tokens: int | None = 0


class _Usage(msgspec.Struct):
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Response(msgspec.Struct):
    usage: _Usage | None = None


class _Answer(msgspec.Struct):
    """A whole answer has `usage` itself, a stream's last event has it in `response`."""

    usage: _Usage | None = None
    response: _Response | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


def error_body(refusal: Refusal) -> bytes:
    return msgspec.json.encode({"error": error_object(refusal)})


def error_event(refusal: Refusal, last: bytes = b"") -> bytes:
    """The `error` event that ends a broken stream; its number follows the last one sent."""
    numbers = _SEQUENCE.findall(last)
    error = error_object(refusal)
    data = {
        "type": "error",
        "code": error["code"],
        "message": refusal.message,
        "param": None,
        "sequence_number": int(numbers[-1]) + 1 if numbers else 0,
    }
    return b"event: error\ndata: " + msgspec.json.encode(data) + b"\n\n"


def usage(data: bytes, first: bytes = b"") -> Usage | None:
    """The tokens an answer, or the data of a stream's event, states. `first`: what began it (USAGE_BEGUN)."""
    answer = _answer.decode(data)
    found = answer.usage or (answer.response and answer.response.usage)
    if not found:
        return None
    given, made = found.input_tokens_details or _Details(), found.output_tokens_details or _Details()
    return Usage(
        found.input_tokens or 0, found.output_tokens or 0, given.cached_tokens or 0, made.reasoning_tokens or 0
    )


def model_list(listed: Iterable[Listed]) -> dict[str, Any]:
    """The list Codex asks for: an empty one leaves it with its own catalogue, and any other must hold its prompts."""
    return {"models": []}
