"""Responses over a websocket: a request is a message, and each event of its answer is one. No connection in here.

What a message has beside the body of a POST is taken off it, so that any vendor can be asked with a POST: the `type`,
the lane, `generate`, and `previous_response_id`, which names items that only this connection knows.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from vaultd.wire import failing
from vaultd.wire.members import DELETE, Members
from vaultd.wire.openai_error import error_object
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import data_of, frames_of

#: Codex cannot set headers per request here, so it puts them into `client_metadata`.
_HEADER: Final = "ws_request_header_"
#: What may become a header's name: the words are the client's.
_NAMED: Final = re.compile(_HEADER + "[A-Za-z0-9_-]{1,100}")
_TERMINAL: Final = frozenset({"response.completed", "response.incomplete"})
_WHITE: Final = b" \t\n\r"


class Create(msgspec.Struct, frozen=True):
    """One `response.create`. `headers` are those a POST would have had beside the connection's own."""

    members: Members
    model: str
    #: The response it goes on from, "" where it stands alone.
    previous: str
    #: `stream_id` as JSON text, b"" where the client gave none: it comes back in every event.
    lane: bytes
    #: False for a warm-up: nothing is asked of any vendor.
    generate: bool
    headers: dict[str, str]

    def items(self, before: bytes = b"[]") -> bytes:
        """`input` as the text of an array, after the items `before` it. Raises Refusal where it is neither array nor
        text."""
        own = (self.members.raw("input") or b"[]").strip(_WHITE)
        if own.startswith(b'"'):
            own = b'[{"type":"message","role":"user","content":' + own + b"}]"
        elif own == b"null":
            own = b"[]"
        elif not own.startswith(b"["):
            raise Refusal(400, "bad-request", "`input` is neither an array nor a text")
        return joined(before, own)

    def body(self, items: bytes) -> bytes:
        """The body of a POST that asks the same; `items`: the whole input, where it goes on from a response."""
        edits: dict[str, bytes | None] = dict.fromkeys(_OF_THE_SOCKET, DELETE)
        edits["stream"] = b"true"
        if self.previous:
            edits["input"] = items
        if self.headers:
            metadata = self.members.get("client_metadata")
            kept = {name: value for name, value in metadata.items() if not name.startswith(_HEADER)}
            edits["client_metadata"] = msgspec.json.encode(kept)
        return self.members.splice(edits)


_OF_THE_SOCKET: Final = ("type", "generate", "stream_id", "previous_response_id")


def read(message: bytes) -> Create | None:
    """None for what asks for no answer. Raises Refusal for what cannot be understood."""
    members = Members(message)
    kind = members.get("type")
    if kind == "response.processed":  # Codex says that it has an answer
        return None
    if kind != "response.create":
        raise Refusal(400, "bad-request", f"`type`: {str(kind)[:60]!r} is not served here: `response.create` is")
    model, previous = members.get("model"), members.get("previous_response_id")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "bad-request", "`model` is missing: name one of GET /v1/models")
    if previous is not None and not isinstance(previous, str):
        raise Refusal(400, "bad-request", "`previous_response_id` is not a text")
    metadata = members.get("client_metadata")
    headers: dict[str, str] = {}
    if isinstance(metadata, dict):
        headers = {
            name.removeprefix(_HEADER).replace("_", "-"): value
            for name, value in metadata.items()
            if _NAMED.fullmatch(name) and isinstance(value, str) and value.isprintable()
        }
    return Create(members, model, previous or "", lane_of(members), members.raw("generate") != b"false", headers)


def lane_of(members: Members) -> bytes:
    lane = members.raw("stream_id") or b""
    return lane if lane.startswith(b'"') else b""


def joined(before: bytes, after: bytes) -> bytes:
    """Two JSON arrays as one. Their elements are not looked at."""
    first, second = before.strip(_WHITE)[1:-1].strip(_WHITE), after.strip(_WHITE)[1:-1].strip(_WHITE)
    return b"[" + first + (b"," if first and second else b"") + second + b"]"


def unknown(previous: str) -> Refusal:
    """The one refusal that makes Codex send its conversation whole."""
    message = f"Previous response with id '{previous[:80]}' not found: this connection does not know it (any more)"
    return Refusal(400, "bad-request", message, code="previous_response_not_found")


def error(
    status: int,
    said: Any,
    lane: bytes = b"",
    *,
    headers: dict[str, str] | None = None,
    sequence: int | None = None,
) -> bytes:
    """An error after the upgrade: `said` is the error object that a POST would have been answered with.

    The SDK looks for `headers` in the error, Codex beside it.
    """
    message: dict[str, Any] = {"type": "error", "status": status, "error": said}
    if sequence is not None:
        message["sequence_number"] = sequence
    if headers:
        message["headers"] = headers
        if isinstance(said, dict):
            message["error"] = said | {"headers": headers}
    return _in_lane(msgspec.json.encode(message), lane)


def refused(refusal: Refusal, lane: bytes = b"", sequence: int | None = None) -> bytes:
    said = error_object(refusal)
    if refusal.code == "previous_response_not_found":
        said["param"] = "previous_response_id"
    headers = {} if refusal.retry_after is None else {"retry-after": str(math.ceil(refusal.retry_after))}
    return error(refusal.status, said, lane, headers=headers, sequence=sequence)


def warmed_up(create: Create, response: str, now: int) -> list[bytes]:
    """The events that answer a warm-up; `response` is the id that later requests may go on from."""

    def echoed(name: str, otherwise: bytes) -> msgspec.Raw:
        return msgspec.Raw(create.members.raw(name) or otherwise)

    told: dict[str, Any] = {
        "id": response,
        "object": "response",
        "created_at": now,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": echoed("instructions", b"null"),
        "model": create.model,
        "output": [],
        "parallel_tool_calls": echoed("parallel_tool_calls", b"true"),
        "previous_response_id": create.previous or None,
        "store": False,
        "tool_choice": echoed("tool_choice", b'"auto"'),
        "tools": echoed("tools", b"[]"),
        "usage": None,
    }
    begun = {"type": "response.created", "sequence_number": 0, "response": told}
    nothing = {
        "input_tokens": 0,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 0,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 0,
    }
    whole = told | {"status": "completed", "usage": nothing}
    ended = {"type": "response.completed", "sequence_number": 1, "response": whole}
    return [_in_lane(msgspec.json.encode(event), create.lane) for event in (begun, ended)]


class _Response(msgspec.Struct):
    id: str = ""
    output: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: str = ""
    item: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    sequence_number: int | None = None


_event: Final = msgspec.json.Decoder(_Event)
_response: Final = msgspec.json.Decoder(_Response)
_NOTHING: Final = _Event()


class Telling:
    """One answer's SSE frames as messages. What it said is kept: the next request may go on from it."""

    def __init__(self, lane: bytes = b"") -> None:
        self._lane = lane
        self._items: list[bytes] = []
        #: The answer's id, once it has come to its end.
        self.id = ""
        #: Its output, the text of an array.
        self.output = b"[]"

    def feed(self, frames: bytes) -> list[bytes]:
        """The messages that these whole frames are; none for comments."""
        return [self._told(data) for frame in frames_of(frames) if (data := data_of(frame))]

    def _told(self, data: bytes) -> bytes:
        if not data.isascii():
            # RFC 6455 §8.1: a text that is not sound UTF-8 costs the whole connection.
            data = data.decode(errors="replace").encode()
        try:
            event = _event.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            event = _NOTHING
        if event.type == "response.output_item.done":
            self._items.append(bytes(event.item))
        elif event.type in _TERMINAL:
            self._end(event.response)
        elif event.type == "error":
            failed = failing.refused(data)
            return refused(failed, self._lane, event.sequence_number)
        return _in_lane(data, self._lane)

    def _end(self, response: msgspec.Raw) -> None:
        try:
            whole = _response.decode(response)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        self.id = whole.id
        output = bytes(whole.output).strip(_WHITE)
        # The ChatGPT backend leaves `output` empty at the end: the items came one by one.
        self.output = b"[" + b",".join(self._items) + b"]" if self._items or output[:1] != b"[" else output


def framed(message: bytes) -> bytes:
    """A text frame as a server sends it, whole and unmasked (RFC 6455 §5.2)."""
    size = len(message)
    if size < 126:
        return b"\x81" + size.to_bytes(1, "big") + message
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + message
    return b"\x81\x7f" + size.to_bytes(8, "big") + message


def _in_lane(data: bytes, lane: bytes) -> bytes:
    return data.rstrip()[:-1] + b',"stream_id":' + lane + b"}" if lane else data
