"""Does a stream begin with output, or with an error inside its 200? Decided before the client hears of it, for until
then another vendor may still be asked.

On every stream's way, so it looks no further than it must: what an event is stands in its first bytes, and only what
may be an error, or has no name, is decoded. Bytes only; what output means is the readers' affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec

from vaultd.wire.fault import LONGEST
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import data_of

Verdict = Literal["hold", "go"] | Refusal

#: What comes before output is small, but for `response.created` and `response.in_progress`, each of which repeats
#: instructions and tools: 90 kB of Claude Code's make 180. A stream that holds back more than this is passed on.
LIMIT: Final = 256 * 1024

#: Events that say that an answer has begun, or that the vendor is alive.
_SILENT: Final = frozenset(
    {
        b"message_start",
        b"ping",
        b"response.created",
        b"response.in_progress",
        b"response.queued",
        b"keepalive",
        b"codex.rate_limits",
    }
)
_FAILURES: Final = frozenset({b"error", b"response.failed"})
_BLANK: Final = re.compile(rb"\n\r?\n")
#: The name of an event: its `event` line, or the member `type` where data begins with it, as all vendors write it.
_NAME: Final = re.compile(rb'(?:event:[ ]?|data:[ ]?\{[ ]?"type":[ ]?")([\w.]+)')

#: What an error's `code`, Google's `status` or the `type` says of the HTTP status it would have had. In this order, for
#: the first is the most exact.
_STATUS: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "invalid_request": 400,
    "invalid_prompt": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "context_length_exceeded": 400,
    "context_too_large": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "not_found": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "usage_limit_reached": 429,
    "insufficient_quota": 429,
    "resource_exhausted": 429,
    "server_is_overloaded": 503,
    "unavailable": 503,
    "slow_down": 503,
    "timeout_error": 504,
    "deadline_exceeded": 504,
    "overloaded_error": 529,
}


_NULL: Final = msgspec.Raw(b"null")


class _Choice(msgspec.Struct):
    delta: dict[str, msgspec.Raw] | None = None
    #: What a whole answer has, and Completions.
    message: msgspec.Raw = msgspec.Raw()
    text: msgspec.Raw = msgspec.Raw()
    finish_reason: msgspec.Raw = _NULL


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | msgspec.UnsetType | None = msgspec.UNSET


class _Event(msgspec.Struct):
    type: str = ""


_chunk: Final = msgspec.json.Decoder(_Chunk)
_event: Final = msgspec.json.Decoder(_Event)
#: In seconds: who says so much says nothing.
_CENTURY: Final = 100 * 365 * 86400
#: An error's text is for people: what is longer is a response with all its tools, and is not judged.
_SAID: Final = 64 * 1024
#: What a member of a delta is worth when it says nothing.
_EMPTY: Final = (msgspec.Raw(b'""'), _NULL, msgspec.Raw(b"[]"), msgspec.Raw(b"{}"))


class Opening:
    """The beginning of one SSE stream in `fmt`, fed as it comes.

    "hold": nothing yet; keep the bytes and read on. "go": it has begun, or cannot be told, and all that was fed passes
    as it is. Refusal: the vendor failed, and nothing of it need be shown.
    """

    __slots__ = ("_frame", "_rest", "_size")

    def __init__(self, fmt: str) -> None:
        self._frame = _BY_FORMAT[fmt]
        self._rest = b""
        self._size = 0

    def feed(self, chunk: bytes) -> Verdict:
        self._size += len(chunk)
        # A blank line may straddle two reads: look from three bytes before the new ones (CR LF CR).
        seen = max(0, len(self._rest) - 3)
        data = self._rest + chunk if self._rest else chunk
        at = 0
        while (blank := _BLANK.search(data, max(at, seen))) is not None:
            verdict = self._frame(data[at : blank.end()])
            if verdict != "hold":
                return verdict
            at = blank.end()
        self._rest = data[at:]
        return "go" if self._size > LIMIT else "hold"

    def end(self) -> Verdict:
        """The vendor has closed while its bytes were held: never "hold"."""
        verdict = self._frame(self._rest) if self._rest.strip() else "hold"
        if verdict == "hold":
            return Refusal(502, "upstream", "the vendor ended its answer before it had begun")
        return verdict


def failure(data: bytes) -> Refusal | None:
    """The refusal in an event's data, None where it reports no error."""
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    response = said.get("response")
    error = said.get("error") or (response.get("error") if isinstance(response, dict) else None)
    if not error and said.get("type") == "error":
        error = said  # Responses: its members stand at the top
    if not error:
        return None
    return _refusal(error if isinstance(error, dict) else {"message": error}, data)


def refused(data: bytes) -> Refusal:
    """The refusal in data that is known to report an error, whatever it says."""
    return failure(data) or _refusal({}, data)


def _refusal(error: Mapping[str, Any], data: bytes) -> Refusal:
    message, code = error.get("message"), error.get("code")
    message = message[:LONGEST] if isinstance(message, str) and message else "the vendor failed and gave no reason"
    named = (error.get(name) for name in ("code", "status", "type"))
    status = next((known for name in named if isinstance(name, str) and (known := _STATUS.get(name.lower()))), 0)
    if not status and isinstance(code, int) and 400 <= code < 600:
        status = code
    if not status and "at capacity" in message:  # Codex says so in words alone
        status = 429
    wait = error.get("resets_in_seconds")
    if isinstance(wait, bool) or not isinstance(wait, int | float) or not 0 <= wait < _CENTURY:
        wait = None
    retry_after = None if wait is None else float(wait)
    # As much as is read of a refusal that is no stream.
    said = bytes(data[:_SAID])
    return Refusal(status or 502, "upstream", message, retry_after, code if isinstance(code, str) else "", said)


def _named(frame: bytes) -> Verdict:
    """Messages and Responses: every event has a name."""
    found = _NAME.match(frame)
    data = b"" if found else _data(frame)
    if not found and not data:
        return "hold"
    name = found[1] if found else _type_of(data)
    if name in _SILENT:
        return "hold"
    if name not in _FAILURES:
        return (failure(data) if not found else None) or "go"
    return refused(data or data_of(frame))


def _chat(frame: bytes) -> Verdict:
    """A role alone, an empty delta and a chunk without choices are no output."""
    data = _data(frame)
    if not data:
        return "hold"
    if b'"error"' in data and (refusal := failure(data)) is not None:
        return refusal
    try:
        choices = _chunk.decode(data).choices
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "go"  # `[DONE]`, and what nobody knows
    if choices is msgspec.UNSET:
        return "go"
    for choice in choices or ():
        if choice.finish_reason != _NULL or choice.message or choice.text:
            return "go"
        for name, value in (choice.delta or {}).items():
            if name != "role" and value not in _EMPTY:
                return "go"
    return "hold"


def _gemini(frame: bytes) -> Verdict:
    """A chunk that only counts tokens is no output; nor is it an end."""
    data = _data(frame)
    if not data:
        return "hold"
    if b'"error"' in data and (refusal := failure(data)) is not None:
        return refusal
    return "hold" if data[:1] == b"{" and b'"candidates"' not in data and b'"promptFeedback"' not in data else "go"


def _type_of(data: bytes) -> bytes:
    try:
        return _event.decode(data).type.encode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""


def _data(frame: bytes) -> bytes:
    """The data of a frame, with white space after it; a vendor's bare line of JSON is taken for such."""
    if frame.startswith(b"data: ") and frame.count(b"\n") == 2:  # as nearly all are: no lines to join
        return frame[6:]
    return data_of(frame) or (frame if frame.lstrip()[:1] == b"{" else b"")


_BY_FORMAT: Final[Mapping[str, Callable[[bytes], Verdict]]] = {
    "openai-chat": _chat,
    "openai-responses": _named,
    "anthropic-messages": _named,
    "gemini": _gemini,
}
