"""Part of `codex-body`: the ChatGPT backend's last event may leave `response.output` empty, where the official SDKs
look for the answer. It is filled from the items that the same stream has brought; a filled one passes as it is."""

from __future__ import annotations

from typing import Final

import msgspec

#: As JSON has them: inside a text the quotes would be escaped.
_DONE: Final = b'"response.output_item.done"'
_LAST: Final = (b'"response.completed"', b'"response.incomplete"')
_EMPTY: Final = frozenset({b"[]", b"null"})


class _Event(msgspec.Struct):
    type: str = ""
    item: msgspec.Raw = msgspec.Raw()


_event: Final = msgspec.json.Decoder(_Event)
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Hydrated:
    """Called with each piece of one stream, whole frames in their order."""

    __slots__ = ("_items",)

    def __init__(self) -> None:
        self._items: list[bytes] = []

    def __call__(self, frames: bytes) -> bytes:
        at = frames.find(_DONE)
        while at >= 0:
            start, end = _line(frames, at)
            self._keep(frames[start:end])
            at = frames.find(_DONE, end)
        for mark in _LAST if self._items else ():
            if (at := frames.rfind(mark)) >= 0:
                start, end = _line(frames, at)
                return frames[:start] + self._filled(frames[start:end]) + frames[end:]
        return frames

    def _keep(self, data: bytes) -> None:
        try:
            event = _event.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if event.type == "response.output_item.done" and event.item:
            self._items.append(bytes(event.item))

    def _filled(self, data: bytes) -> bytes:
        """The last event with its output, or as it is where that is not empty or not as documented."""
        try:
            event = _members.decode(data)
            response = _members.decode(event["response"])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            return data
        if bytes(response.get("output", b"null")).strip() not in _EMPTY:
            return data
        response["output"] = msgspec.Raw(b"[" + b",".join(self._items) + b"]")
        event["response"] = msgspec.Raw(msgspec.json.encode(response))
        return msgspec.json.encode(event)


def _line(frames: bytes, at: int) -> tuple[int, int]:
    """Where the JSON of the data line starts and ends that `at` is in. Every vendor writes an event's data in one."""
    start = frames.find(b"{", frames.rfind(b"\n", 0, at) + 1, at)
    end = frames.find(b"\n", at)
    end = len(frames) if end < 0 else end
    return start, end - frames.endswith(b"\r", start, end)
