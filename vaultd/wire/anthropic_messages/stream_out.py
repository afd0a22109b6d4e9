"""An answer for a client as it comes, in Anthropic's strict sequence: one block at a time, numbered without a gap.

The block that was opened first is written as it comes; those opened meanwhile wait until it is closed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.anthropic_messages import answer_out, face
from vaultd.wire.ir import Begin, Call, Close, Delta, End, Event, Fail, Open, Part, Request, Stamp, Text, Thinking
from vaultd.wire.loss import Loss
from vaultd.wire.usage import Usage

_encode: Final = msgspec.json.Encoder().encode
_CALLS: Final = frozenset({"tool_use", "server_tool_use"})
_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class _Block:
    """A block in line. `texts` came while it waited."""

    __slots__ = ("closed", "part", "texts")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.texts: list[str] = []
        self.closed = False


class Writer:
    """`wire.formats.Writing`."""

    __slots__ = ("_first", "_head", "_index", "_line", "_lost", "_over", "_prefix", "_request", "_stamp")

    def __init__(self, request: Request, stamp: Stamp, lost: Loss) -> None:
        self._request = request
        self._stamp = stamp
        self._lost = lost
        self._line: dict[int, _Block] = {}
        #: The block that is being written, -1 where none is.
        self._first = -1
        #: What opens it; empty once that is out. A block that stays empty is never begun.
        self._head = b""
        self._prefix = b""
        self._index = 0
        self._over = False

    def feed(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is not Delta:
                self._event(event, out)
            elif event.block == self._first:
                if self._head:
                    self._begin_block(out)
                out += (self._prefix, _encode(event.text), b"}}\n\n")
            elif (waiting := self._line.get(event.block)) is not None:
                waiting.texts.append(event.text)
        return b"".join(out)

    def _event(self, event: Event, out: list[bytes]) -> None:
        if self._over:
            return
        match event:
            case Open():
                self._open(event, out)
            case Close():
                self._close(event, out)
            case Begin():
                out.append(self._begin(event))
            case End():
                self._end(event, out)
            case Fail():
                self._over, self._first = True, -1
                self._line.clear()
                out.append(face.error_event(event.refusal))

    def _begin(self, event: Begin) -> bytes:
        message = answer_out.opening(event.id, event.model or self._request.model, self._stamp)
        message["usage"] = answer_out.usage(event.usage or Usage(), "", self._lost)
        return _frame({"type": "message_start", "message": message})

    def _open(self, event: Open, out: list[bytes]) -> None:
        if event.choice:
            self._lost.add("choices")
            return
        self._line[event.block] = _Block(event.part)
        if len(self._line) == 1:
            self._advance(out)

    def _close(self, event: Close, out: list[bytes]) -> None:
        block = self._line.get(event.block)
        if block is None:
            return
        block.closed = True
        block.part = event.part or block.part
        if event.block == next(iter(self._line)):
            self._advance(out)

    def _end(self, event: End, out: list[bytes]) -> None:
        for block in self._line.values():
            block.closed = True
        self._advance(out)
        used = answer_out.usage(event.usage, event.tier, self._lost)
        delta = answer_out.ended(event.reason, event.stop)
        out += (_frame({"type": "message_delta", "delta": delta, "usage": used}), _STOP)
        self._over = True

    def _advance(self, out: list[bytes]) -> None:
        """Writes what is at the head of the line, as far as it is there."""
        while self._line:
            number, block = next(iter(self._line.items()))
            if number != self._first:
                if not _streams(block.part):
                    if not block.closed:
                        return
                    self._whole(block, out)
                    del self._line[number]
                    continue
                self._start(number, block, out)
            if not block.closed:
                return
            self._stop(block, out)
            del self._line[number]

    def _start(self, number: int, block: _Block, out: list[bytes]) -> None:
        part = block.part
        opened: dict[str, Any]
        if isinstance(part, Call):
            for sealed in answer_out.seal(part):
                self._write(sealed, out)
            opened = {"type": "tool_use", "id": answer_out.identifier(part.id), "name": part.name, "input": {}}
            kind, spoken = b"input_json_delta", b"partial_json"
        elif isinstance(part, Thinking):
            opened, kind, spoken = {"type": "thinking", "thinking": "", "signature": ""}, b"thinking_delta", b"thinking"
        else:
            opened, kind, spoken = {"type": "text", "text": ""}, b"text_delta", b"text"
        self._first = number
        self._head = _frame({"type": "content_block_start", "index": self._index, "content_block": opened})
        self._prefix = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":' % self._index
        )
        self._prefix += b'{"type":"%b","%b":' % (kind, spoken)
        if isinstance(part, Call) or block.texts:
            self._begin_block(out)
        if block.texts:
            out += (self._prefix, _encode("".join(block.texts)), b"}}\n\n")
            block.texts = []

    def _begin_block(self, out: list[bytes]) -> None:
        out.append(self._head)
        self._head = b""

    def _stop(self, block: _Block, out: list[bytes]) -> None:
        deltas: list[dict[str, Any]] = []
        if isinstance(block.part, Thinking) and block.part.signature:
            deltas.append({"type": "signature_delta", "signature": block.part.signature})
        elif isinstance(block.part, Text) and block.part.citations:
            cited = answer_out.citations(block.part.citations, self._lost)
            deltas += [{"type": "citations_delta", "citation": citation} for citation in cited]
        if deltas and self._head:
            self._begin_block(out)
        out += [_frame({"type": "content_block_delta", "index": self._index, "delta": delta}) for delta in deltas]
        if not self._head:
            out.append(_frame({"type": "content_block_stop", "index": self._index}))
            self._index += 1
        self._first, self._head = -1, b""

    def _whole(self, block: _Block, out: list[bytes]) -> None:
        part = block.part
        if isinstance(part, Call):
            part = msgspec.structs.replace(part, arguments="".join(block.texts))
        for value in answer_out.blocks(part, self._lost):
            self._write(value, out)

    def _write(self, value: dict[str, Any], out: list[bytes]) -> None:
        """A whole block; what the grammar tells in a delta comes in one."""
        index = self._index
        self._index += 1
        delta: dict[str, Any] = {}
        if value["type"] == "thinking":
            delta = {"type": "signature_delta", "signature": value["signature"]}
            value = value | {"signature": ""}
        elif value["type"] in _CALLS and "input" in value:
            delta = {"type": "input_json_delta", "partial_json": _encode(value["input"]).decode()}
            value = value | {"input": {}}
        out.append(_frame({"type": "content_block_start", "index": index, "content_block": value}))
        if delta:
            out.append(_frame({"type": "content_block_delta", "index": index, "delta": delta}))
        out.append(_frame({"type": "content_block_stop", "index": index}))


def _streams(part: Part) -> bool:
    """Whether the block can be written before it is whole."""
    if isinstance(part, Call):
        return part.kind == "function"
    return isinstance(part, Text) or (isinstance(part, Thinking) and not part.redacted)


def _frame(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _encode(event))
