"""How Chat Completions looks from outside: errors, streams' ends, usage, model list. No translation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from vaultd.wire.listing import Listed
from vaultd.wire.openai_error import error_object
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

NAME: Final = "openai-chat"
PATH: Final = "/chat/completions"
COUNT_PATH: Final = ""
KEEPALIVE: Final = b": keep-alive\n\n"
#: `[DONE]` is forgotten by real upstreams, so a finish reason counts too; an error ends a stream as well.
ENDINGS: Final = (b"[DONE]", b'"finish_reason":"', b'"finish_reason": "', b'"error"')
USAGE_MARK: Final = b'"usage"'
USAGE_BEGUN: Final = b""


class _Details(msgspec.Struct):
    cached_tokens: int | None = 0
    reasoning_tokens: int | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Answer(msgspec.Struct):
    usage: _Usage | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


def error_body(refusal: Refusal) -> bytes:
    return msgspec.json.encode({"error": error_object(refusal)})


def error_event(refusal: Refusal, last: bytes = b"") -> bytes:
    """The end of a broken stream: no `[DONE]` after it. `last` is what was sent before."""
    return b"data: " + error_body(refusal) + b"\n\n"


def usage(data: bytes, first: bytes = b"") -> Usage | None:
    """The tokens an answer, or the data of a stream's event, states. `first`: what began it (USAGE_BEGUN)."""
    found = _answer.decode(data).usage
    if found is None:
        return None
    prompt, completion = found.prompt_tokens_details or _Details(), found.completion_tokens_details or _Details()
    return Usage(
        found.prompt_tokens or 0,
        found.completion_tokens or 0,
        prompt.cached_tokens or 0,
        completion.reasoning_tokens or 0,
    )


def model_list(listed: Iterable[Listed]) -> dict[str, Any]:
    data = [{"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner} for model in listed]
    return {"object": "list", "data": data}
