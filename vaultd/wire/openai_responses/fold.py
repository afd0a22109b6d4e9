"""One answer out of a stream: for a client that asked for a whole answer and a vendor that only streams.

The vendor repeats the whole answer in its last event; that is taken as it stands, not put together again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from vaultd.wire.failing import refused
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import data_of, frames_of

#: An answer's status at its end. Vendors differ in the event's name (`response.complete` was recorded), and some leave
#: out the status.
_FINAL: Final = frozenset({"completed", "complete", "incomplete"})
_BROKEN: Final = frozenset({"failed", "cancelled"})


class _Item(msgspec.Struct):
    response: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()
    type: str = ""


class _Error(msgspec.Struct):
    message: str | None = None


class _Status(msgspec.Struct):
    status: str | None = None
    error: _Error | None = None


_item: Final = msgspec.json.Decoder(_Item)
_status: Final = msgspec.json.Decoder(_Status)
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
        elif event.type == "error":
            raise refused(data)
        elif event.type.startswith("response."):
            status = event.type.removeprefix("response.")
            if event.response or status in _FINAL | _BROKEN:
                status = _status.decode(event.response).status or status
            if status in _FINAL:
                return self._whole(event.response)
            if status in _BROKEN:
                raise refused(data)
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
