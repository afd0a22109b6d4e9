"""A vendor's stream as events. Each frame is decoded once, and a delta goes straight to its block.

Vendors stream loosely: ids that differ from event to event, names that come last, text that only a `done` event holds.
So what a `done` event, an item or the last event repeats only fills in what no delta brought (`_Block.rest`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from vaultd.wire.failing import failure, refused
from vaultd.wire.ir import Begin, End, Event, Fail
from vaultd.wire.names import Names
from vaultd.wire.openai_responses.answer_in import BROKEN, ENDED, Said, mapping, number, text
from vaultd.wire.openai_responses.output_in import DELTAS, Output
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import Frames, TooLong


class _Delta(msgspec.Struct):
    """What a delta has; of any other event only its type."""

    type: str = ""
    delta: str | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None


_delta: Final = msgspec.json.Decoder(_Delta)
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Reader:
    """Fed bytes as they come; `wire.formats.Reading`."""

    __slots__ = ("_begun", "_frames", "_out", "_output", "_over", "_unwrap")

    def __init__(self, names: Names, unwrap: Callable[[bytes], bytes] | None = None) -> None:
        self._frames = Frames()
        self._unwrap = unwrap
        self._begun = self._over = False
        self._out: list[Event] = []
        self._output = Output(names)

    def feed(self, chunk: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            whole = self._frames.feed(chunk)
        except TooLong:
            return [self._failed("the vendor sent an event that is too long")]
        return self._read(whole) if whole else []

    def end(self) -> list[Event]:
        if self._over:
            return []
        out = self._read(self._frames.rest() + b"\n\n")
        if not out or not isinstance(out[-1], End | Fail):
            out.append(self._failed("the vendor ended its answer in the middle"))
        return out

    def _read(self, whole: bytes) -> list[Event]:
        self._out = self._output.events = []
        data: bytes | None = None
        for line in whole.split(b"\n"):
            if line[:5] == b"data:":
                data = line[5:] if data is None else data + b"\n" + line[5:]
            elif data is not None and line in (b"", b"\r"):
                if not self._event(data):
                    break
                data = None
        return self._out

    def _event(self, data: bytes) -> bool:
        """False: nothing may follow."""
        if self._unwrap is not None:
            data = self._unwrap(data)
        try:
            said = _delta.decode(data)
        except _NOT_JSON:  # or of other types than a delta has
            said = _Delta()
        kind = DELTAS.get(said.type)
        if kind is None:
            self._other(data)
            return not self._over
        if not self._begun:
            self._begin({})
        if said.delta:
            part = said.summary_index if kind == "summary" else said.content_index
            self._output.more(kind, said.item_id or "", said.output_index, part or 0, said.delta)
        return True

    def _other(self, data: bytes) -> None:
        try:
            event = msgspec.json.decode(data)
        except _NOT_JSON:
            event = None
        if data.strip() == b"[DONE]":
            return
        if not isinstance(event, dict):
            self._out.append(self._failed("the vendor sent an event that is not as documented"))
            return
        kind = text(event, "type")
        if kind == "error" or (not kind and event.get("error")):
            self._out.append(Fail(refused(data)))
            self._over = True
        elif kind.startswith("response."):
            response = mapping(event, "response")
            status = text(response, "status") or kind.removeprefix("response.")
            if not self._begun:
                self._begin(response)
            if status in ENDED:
                self._output.end(response, status)
                self._over = True
            elif status in BROKEN:
                refusal = failure(data)
                self._out.append(self._failed(f"the vendor's answer is {status}") if not refusal else Fail(refusal))
                self._over = True
            else:
                self._output.told(kind.removeprefix("response."), event)

    def _begin(self, response: Said) -> None:
        self._begun = True
        begin = Begin(text(response, "id"), text(response, "model"), number(response, "created_at"))
        self._output.answer_id = begin.id
        self._out.append(begin)

    def _failed(self, message: str) -> Fail:
        self._over = True
        return Fail(Refusal(502, "upstream", message))
