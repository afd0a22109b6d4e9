"""A stream, written for a Gemini client: SSE, or one JSON array where the client did not ask for `alt=sse`.

Texts go out as they come. A call is held until it is whole, for Gemini never tells one in pieces. Parts have no
numbers, so of several open blocks the first is told and the others wait. The finish reason comes once, in the last
chunk, and the tokens with it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.gemini import face
from vaultd.wire.gemini.grounding import grounding_of
from vaultd.wire.gemini.parts_out import Raw, cut_off, finish_reason, named, part_of, usage_of
from vaultd.wire.ir import (
    Begin,
    Call,
    Citation,
    Close,
    Delta,
    End,
    Event,
    Fail,
    Open,
    Part,
    Request,
    Search,
    Stamp,
    Text,
    Thinking,
)
from vaultd.wire.loss import Loss
from vaultd.wire.usage import Usage

_TEXT: Final = b'{"candidates":[{"content":{"parts":[{"text":'
_THOUGHT: Final = b',"thought":true'
_encode: Final = msgspec.json.Encoder().encode


class _Block:
    __slots__ = ("choice", "part", "pieces", "tail")

    def __init__(self, part: Part, choice: int, tail: bytes) -> None:
        self.part = part
        self.choice = choice
        #: A call's arguments; a text, because citations are counted in it.
        self.pieces: list[str] = []
        #: What ends a chunk of this block's text.
        self.tail = tail


class _Said:
    """Of one choice, what its last chunk tells."""

    __slots__ = ("cited", "searches", "size")

    def __init__(self) -> None:
        self.searches: list[Search] = []
        self.cited: list[tuple[int, str, list[Citation]]] = []
        self.size = 0


class Writing:
    __slots__ = (
        "_after",
        "_begun",
        "_blocks",
        "_held",
        "_lines",
        "_lost",
        "_model",
        "_names",
        "_over",
        "_said",
        "_sse",
        "_stamp",
        "_unsound",
        "_usage",
    )

    def __init__(self, request: Request, stamp: Stamp, lost: Loss) -> None:
        self._sse = request.sse
        self._model = request.model
        self._stamp = stamp
        self._lost = lost
        self._begun = False
        self._blocks: dict[int, _Block] = {}
        #: The open blocks of each choice: the first is told.
        self._lines: dict[int, list[int]] = {}
        #: What the others have said meanwhile.
        self._held: dict[int, list[Event]] = {}
        self._over = False
        self._said: dict[int, _Said] = {}
        #: Calls whose arguments make no object, by choice: the reason at the end tells whether they were cut off.
        self._unsound: list[tuple[int, Call]] = []
        self._usage: Usage | None = None
        self._names: Raw = {}
        self._after = b"\n\n" if self._sse else b""
        self._name("", "", 0)

    def feed(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if type(event) is Delta:
                self._delta(event, out)
            else:
                self._event(event, out)
        return b"".join(out)

    def _delta(self, event: Delta, out: list[bytes]) -> None:
        block = self._blocks.get(event.block)
        if block is None:
            if event.block in self._held:
                self._held[event.block].append(event)
            return
        if block.tail:
            out += (self._before(), _TEXT, _encode(event.text), block.tail)
        if type(block.part) is not Thinking:
            block.pieces.append(event.text)

    def _event(self, event: Event, out: list[bytes]) -> None:
        if self._over:
            return
        match event:
            case Open():
                line = self._lines.setdefault(event.choice, [])
                line.append(event.block)
                if len(line) > 1:
                    self._held[event.block] = [event]
                else:
                    self._open(event, out)
            case Close() if event.block in self._held:
                self._held[event.block].append(event)
            case Close():
                self._close(event, out)
                self._advance(event.block, out)
            case Begin():
                self._name(event.id, event.model, event.created)
                self._usage = event.usage
            case End():
                self._end(event, out)
                self._over = True
            case Fail():
                self._fail(event, out)
                self._blocks.clear()
                self._over = True

    def _advance(self, closed: int, out: list[bytes]) -> None:
        """Lets the blocks that waited for this one speak, up to the next that is still open."""
        line = next((line for line in self._lines.values() if line and line[0] == closed), None)
        while line:
            del line[0]
            if not line:
                return
            for event in self._held.pop(line[0]):
                match event:
                    case Open():
                        self._open(event, out)
                    case Delta():
                        self._delta(event, out)
                    case Close():
                        self._close(event, out)
                        closed = event.block
            if closed != line[0]:
                return

    def _name(self, answer_id: str, model: str, created: int) -> None:
        self._names = named(answer_id, model or self._model, created, self._stamp)

    def _before(self) -> bytes:
        if self._sse:
            return b"data: "
        begun, self._begun = self._begun, True
        return b",\n" if begun else b"["

    def _tail(self, choice: int, thought: bool) -> bytes:
        names = _encode(self._names)[1:]  # without its brace
        middle = b'}],"role":"model"},"index":%d}],' % choice
        return b"".join((_THOUGHT if thought else b"", middle, names, self._after))

    def _chunk(self, members: Raw, out: list[bytes]) -> None:
        out += (self._before(), _encode(members), self._after)

    def _tell(self, choice: int, raw: Raw | None, out: list[bytes]) -> None:
        if raw is not None:
            candidate = {"content": {"parts": [raw], "role": "model"}, "index": choice}
            self._chunk({"candidates": [candidate], **self._names}, out)

    def _open(self, event: Open, out: list[bytes]) -> None:
        part = event.part
        match part:
            case Text() | Thinking():
                tail = self._tail(event.choice, type(part) is Thinking)
                self._blocks[event.block] = _Block(part, event.choice, tail)
            case Call():
                self._blocks[event.block] = _Block(part, event.choice, b"")
            case Search():
                self._of(event.choice).searches.append(part)
            case _:
                self._tell(event.choice, part_of(part, self._lost), out)

    def _close(self, event: Close, out: list[bytes]) -> None:
        block = self._blocks.pop(event.block, None)
        if block is None:
            return
        part = event.part if event.part is not None else block.part
        if isinstance(part, Call):
            part = msgspec.structs.replace(part, arguments="".join(block.pieces))
            if cut_off(part, "length"):
                self._unsound.append((block.choice, part))
            else:
                self._tell(block.choice, part_of(part, self._lost), out)
        elif isinstance(part, Text):
            self._remember(block, part)
            if part.signature:
                self._tell(block.choice, part_of(Text("", signature=part.signature), self._lost), out)
        elif isinstance(part, Thinking) and part.signature:
            # On a piece of its own, as Google has it.
            self._tell(block.choice, part_of(msgspec.structs.replace(part, text=""), self._lost), out)

    def _remember(self, block: _Block, part: Text) -> None:
        said = self._of(block.choice)
        text = "".join(block.pieces)
        if part.citations:
            said.cited.append((said.size, text, part.citations))
        said.size += len(text.encode())

    def _of(self, choice: int) -> _Said:
        return self._said.setdefault(choice, _Said())

    def _end(self, event: End, out: list[bytes]) -> None:
        for line in self._lines.values():
            while line:
                self._event(Close(line[0]), out)
        candidates: list[Raw] = []
        reasons = [event.reason, *event.others]
        for choice, call in self._unsound:
            if choice < len(reasons) and cut_off(call, reasons[choice]):
                self._lost.add("functionCall")
            else:
                self._tell(choice, part_of(call, self._lost), out)
        for choice, reason in enumerate(reasons):
            candidate: dict[str, Any] = {
                "content": {"parts": [{"text": ""}], "role": "model"},
                "finishReason": finish_reason(reason),
                "index": choice,
            }
            said = self._said.get(choice)
            if said is not None and (said.searches or said.cited):
                candidate["groundingMetadata"] = grounding_of(said.searches, said.cited)
            candidates.append(candidate)
        members: Raw = {"candidates": candidates}
        usage = event.usage or self._usage
        if usage is not None:
            members["usageMetadata"] = usage_of(usage)
        self._chunk({**members, **self._names}, out)
        if not self._sse:
            out.append(b"]")

    def _fail(self, event: Fail, out: list[bytes]) -> None:
        if self._sse:
            out.append(face.error_event(event.refusal))
        else:
            out += (self._before(), face.error_body(event.refusal), b"]")
