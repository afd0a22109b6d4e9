"""One answer out of a stream: for a client that asked for a whole answer and a vendor that only streams.

The vendor repeats the whole answer in its last event; that is taken as it stands, not put together again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import data_of, frames_of

_FINAL: Final = frozenset({"response.completed", "response.incomplete"})
#: What a failure's code or type says of its status; anything else is the vendor's own trouble.
_STATUS: Final = {
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "usage_limit_reached": 429,
}


class _Error(msgspec.Struct):
    message: str | None = None
    code: str | None = None
    type: str | None = None


class _Item(msgspec.Struct):
    response: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    message: str | None = None
    code: str | None = None
    type: str = ""


class _Failed(msgspec.Struct):
    error: _Error | None = None


_item: Final = msgspec.json.Decoder(_Item)
_object: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Fold:
    """Fed whole frames. Raises Refusal where the vendor reports a failure."""

    def __init__(self) -> None:
        self._items: list[msgspec.Raw] = []

    def feed(self, frames: bytes) -> bytes | None:
        """The finished answer, once it has come."""
        for frame in frames_of(frames):
            data = data_of(frame)
            try:
                if data.startswith(b"{") and (answer := self._take(data)) is not None:
                    return answer
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise Refusal(502, "upstream", "the vendor sent an event that is not as documented") from None
        return None

    def _take(self, data: bytes) -> bytes | None:
        event = _item.decode(data)
        if event.type == "response.output_item.done":
            self._items.append(event.item)
        elif event.type in _FINAL:
            return self._whole(event.response)
        elif event.type == "response.failed":
            raise _failure(msgspec.json.decode(event.response, type=_Failed).error)
        elif event.type == "error":
            raise _failure(event.error or _Error(event.message, event.code))
        return None

    def _whole(self, response: msgspec.Raw) -> bytes:
        """The answer; its `output` filled in from the items where the vendor left it empty."""
        members = _object.decode(response)
        if not self._items:
            return bytes(response)
        if bytes(members.get("output", b"[]")).strip() not in {b"[]", b"null"}:
            return bytes(response)
        members["output"] = msgspec.Raw(b"[" + b",".join(bytes(item) for item in self._items) + b"]")
        return msgspec.json.encode(members)


def _failure(error: _Error | None) -> Refusal:
    error = error or _Error()
    status = _STATUS.get(error.code or "") or _STATUS.get(error.type or "", 502)
    return Refusal(status, "upstream", error.message or "the vendor failed and gave no reason")
