"""A vendor's stream as events. Each frame is decoded once, into the members that a delta has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from vaultd.wire import failing
from vaultd.wire.anthropic_messages.answer_in import Piece, Told
from vaultd.wire.ir import Event, Fail
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import Frames, TooLong


class _Said(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: Piece | None = None
    content_block: Any = None
    message: Any = None
    usage: Any = None
    error: Any = None


_said: Final = msgspec.json.Decoder(_Said)
_PIECE: Final = {field.name: field for field in msgspec.structs.fields(Piece)}
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Reader:
    """Fed bytes as they come; `wire.formats.Reading`."""

    __slots__ = ("_frames", "_over", "_told", "_unwrap")

    def __init__(self, names: Names, unwrap: Callable[[bytes], bytes] | None = None) -> None:
        self._frames = Frames()
        self._told = Told(names)
        self._unwrap = unwrap
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            whole = self._frames.feed(chunk)
        except TooLong:
            return self._failed(Refusal(502, "upstream", "the vendor sent an event that is too long"))
        return self._read(whole) if whole else []

    def end(self) -> list[Event]:
        if self._over:
            return []
        out = self._read(self._frames.rest() + b"\n\n")
        if self._over:
            return out
        if not self._told.reason:
            return out + self._failed(Refusal(502, "upstream", "the vendor ended its answer in the middle"))
        self._over = True
        self._told.end(out)
        return out

    def _read(self, whole: bytes) -> list[Event]:
        out: list[Event] = []
        for data in _datas(whole):
            self._event(data, out)
            if self._over:
                break
        return out

    def _event(self, data: bytes, out: list[Event]) -> None:
        if self._unwrap is not None:
            data = self._unwrap(data)
        try:
            said = _said.decode(data)
        except msgspec.ValidationError:
            said = _tolerated(data)
        except _NOT_JSON:
            if data.strip() != b"[DONE]":
                out += self._failed(Refusal(502, "upstream", "the vendor sent an event that is not JSON"))
            return
        if said.type == "content_block_delta" and said.delta is not None:
            self._told.more(said.index, said.delta, out)
        else:
            self._other(said, data, out)

    def _other(self, said: _Said, data: bytes, out: list[Event]) -> None:
        kind = said.type
        if kind == "content_block_start" and isinstance(said.content_block, dict):
            self._told.open(said.index, said.content_block, out)
        elif kind == "content_block_stop":
            self._told.close(said.index, out)
        elif kind == "message_start":
            self._told.begin(said.message, out)
        elif kind == "message_delta":
            self._told.used(said.usage)
            if said.delta is not None:
                self._told.stopped(said.delta)
        elif kind == "message_stop" and self._told.over():
            self._over = True
            self._told.end(out)
        elif kind == "error" or (not kind and said.error):
            out += self._failed(failing.refused(data))

    def _failed(self, refusal: Refusal) -> list[Event]:
        self._over = True
        return [Fail(refusal)]


def _datas(whole: bytes) -> Iterator[bytes]:
    """The data of each frame. JSON does not mind the blank before it, nor a carriage return behind."""
    data: bytes | None = None
    for line in whole.split(b"\n"):
        if line[:5] == b"data:":
            data = line[5:] if data is None else data + b"\n" + line[5:]
        elif data is not None and line in (b"", b"\r"):
            yield data
            data = None


def _tolerated(data: bytes) -> _Said:
    """An event some of whose members are of another type than they should be: those are absent."""
    try:
        event = msgspec.json.decode(data)
    except _NOT_JSON:
        return _Said()
    if not isinstance(event, dict):
        return _Said()
    kind, index, delta = event.get("type"), event.get("index"), event.get("delta")
    return _Said(
        kind if isinstance(kind, str) else "",
        index if type(index) is int else 0,
        _piece(delta) if isinstance(delta, dict) else None,
        event.get("content_block"),
        event.get("message"),
        event.get("usage"),
        event.get("error"),
    )


def _piece(delta: dict[str, Any]) -> Piece:
    sound: dict[str, Any] = {}
    for name, field in _PIECE.items():
        value = delta.get(name)
        if field.type is Any or isinstance(value, str):
            sound[name] = value
    return Piece(**sound)
