"""Events as a stream for a client of this format.

The frames of a delta are the heaviest of all formats, so all of one but the text and its number is made once for a
block. An item that has closed is only told to be done with the next event: not before that is known whether the answer
was cut off in it, and clients run a call that is `completed`.

A failure is the `error` event, which all SDKs know. `response.failed`, which Codex reads better, is taken for no error
at all by some (ai-sdk until 2025), and Codex tries again after either.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.ir import Begin, Call, Close, Delta, End, Event, Fail, Open, Part, Request, Stamp, Text, Thinking
from vaultd.wire.loss import Loss
from vaultd.wire.openai_responses.answer_out import Envelope, Item, Items, encode
from vaultd.wire.openai_responses.face import error_event
from vaultd.wire.refusal import Refusal

#: The events of a part whose text comes in deltas: the delta, what repeats it, and the member that does.
_TOLD: Final = {
    "message": ("response.output_text.delta", "response.output_text.done", "text"),
    "refusal": ("response.refusal.delta", "response.refusal.done", "refusal"),
    "reasoning": ("response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "text"),
    "function_call": ("response.function_call_arguments.delta", "response.function_call_arguments.done", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input"),
}
#: What an item that comes whole goes through.
_STEPS: Final = {
    "web_search_call": ("in_progress", "searching", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
}


class _Block:
    """One item of the output, while it is told. `head` and `tail` are a delta's frame around its text."""

    __slots__ = ("head", "index", "item_id", "part", "pieces", "shown", "tail", "told")

    def __init__(self, index: int, part: Part, item: Item) -> None:
        self.index = index
        self.part = part
        self.item_id: str = item["id"]
        self.told = "refusal" if isinstance(part, Text) and part.refusal else item["type"]
        self.pieces: list[str] = []
        #: Reasoning has a part of its summary once it shows anything.
        self.shown = self.told != "reasoning"
        kind = _TOLD[self.told][0] if self.told in _TOLD else ""
        data = encode({"type": kind, **self.place()})[:-1]
        self.head = b'event: %b\ndata: %b,"delta":' % (kind.encode(), data)
        self.tail = b',"logprobs":[],"sequence_number":' if self.told == "message" else b',"sequence_number":'

    def place(self) -> Item:
        place: Item = {"item_id": self.item_id, "output_index": self.index}
        if self.told in ("message", "refusal"):
            place["content_index"] = 0
        elif self.told == "reasoning":
            place["summary_index"] = 0
        return place


class Writer:
    """`wire.formats.Writing`."""

    __slots__ = (
        "_blocks",
        "_closed",
        "_envelope",
        "_items",
        "_lost",
        "_number",
        "_out",
        "_output",
        "_over",
        "_places",
        "_request",
        "_stamp",
    )

    def __init__(self, request: Request, stamp: Stamp, lost: Loss) -> None:
        self._request, self._stamp, self._lost = request, stamp, lost
        self._items = Items(request, stamp, lost)
        self._envelope: Envelope | None = None
        self._number = 0
        #: The open blocks by the reader's numbers; what is not written has none.
        self._blocks: dict[int, _Block] = {}
        #: Closed, and not yet told to be done, in this order.
        self._closed: list[_Block] = []
        self._places = 0
        #: The items that are done, by their place.
        self._output: dict[int, bytes] = {}
        self._out: list[bytes] = []
        self._over = False

    def feed(self, events: list[Event]) -> bytes:
        out = self._out = []
        for event in events:
            if type(event) is Delta:
                block = self._blocks.get(event.block)
                if block is not None and not self._over:
                    if self._closed or not block.shown:
                        self._ready(block)
                    out.append(self._delta(block, event.text))
            elif not self._over:
                self._other(event)
        return b"".join(out)

    def _delta(self, block: _Block, text: str) -> bytes:
        block.pieces.append(text)
        self._number += 1
        return b"%b%b%b%d}\n\n" % (block.head, encode(text), block.tail, self._number - 1)

    def _other(self, event: Event) -> None:
        match event:
            case Begin():
                self._begin(event.id, event.created)
            case Open() if event.choice:
                self._lost.add("choices")
            case Open():
                self._done_all()
                self._open(event.block, event.part)
            case Close():
                block = self._blocks.pop(event.block, None)
                if block is not None:
                    self._close(block, event.part)
            case End():
                self._end(event)
            case Fail():
                self._fail(event.refusal)

    def _say(self, kind: str, **members: Any) -> None:
        data = encode({"type": kind, **members, "sequence_number": self._number})
        self._out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), data))
        self._number += 1

    def _begin(self, answer_id: str = "", created: int = 0) -> Envelope:
        if self._envelope is None:
            self._envelope = Envelope(self._request, self._stamp, answer_id, created)
            begun = self._envelope.begun()
            for kind in (b"response.created", b"response.in_progress"):
                self._whole(kind, begun)
        return self._envelope

    def _whole(self, kind: bytes, response: bytes) -> None:
        self._out.append(
            b'event: %b\ndata: {"type":"%b","sequence_number":%d,"response":%b}\n\n'
            % (kind, kind, self._number, response)
        )
        self._number += 1

    def _open(self, number: int, part: Part) -> None:
        self._begin()
        for ahead in self._items.seal(part, self._places):
            self._say("response.output_item.added", output_index=self._places, item=ahead)
            self._done(self._places, ahead)
            self._places += 1
        item = self._items.item(part, self._places, "in_progress")
        if item is None:
            return
        block = _Block(self._places, part, item)
        self._places += 1
        if isinstance(part, Text):
            item["content"] = []
        elif block.told == "function_call":
            item["arguments"] = ""
        elif block.told in _STEPS:
            item["status"] = "in_progress"
            if "result" in item:
                item["result"] = None
        self._say("response.output_item.added", output_index=block.index, item=item)
        if isinstance(part, Text):
            self._say("response.content_part.added", **block.place(), part=self._items.content(part))
        for step in _STEPS.get(block.told, ()):
            self._say(f"response.{block.told}.{step}", **block.place())
        if block.told in _TOLD:
            self._blocks[number] = block
        else:  # it is whole
            self._finish(block, "completed")

    def _ready(self, block: _Block) -> None:
        """For a delta of it."""
        self._done_all()
        if not block.shown:
            block.shown = True
            part = {"type": "summary_text", "text": ""}
            self._say("response.reasoning_summary_part.added", **block.place(), part=part)

    def _close(self, block: _Block, part: Part | None) -> None:
        if part is not None:
            if isinstance(part, Call | Text) and part.signature and not getattr(block.part, "signature", ""):
                self._lost.add("thought_signature")  # the item that could have carried it had to stand before
            block.part = part
        self._closed.append(block)

    def _done_all(self) -> None:
        for block in self._closed:
            self._finish(block, "completed")
        self._closed = []

    def _finish(self, block: _Block, status: str) -> None:
        """The events that repeat all of a block."""
        if block.told == "function_call" and not block.pieces:  # no client takes "" for an object
            self._out.append(self._delta(block, "{}"))
        text = "".join(block.pieces)
        part = block.part
        if isinstance(part, Call):
            part = msgspec.structs.replace(part, arguments=text)
        elif isinstance(part, Text | Thinking):
            part = msgspec.structs.replace(part, text=text)
        item = self._items.item(part, block.index, status)
        if item is None:
            return
        item["id"] = block.item_id
        told = _TOLD.get(block.told)
        if told is not None and block.shown:
            more: Item = {"logprobs": []} if block.told == "message" else {}
            self._say(told[1], **block.place(), **{told[2]: text}, **more)
        if isinstance(part, Text):
            content = item["content"][0]
            for at, note in enumerate(content.get("annotations", ())):
                self._say(
                    "response.output_text.annotation.added", **block.place(), annotation_index=at, annotation=note
                )
            self._say("response.content_part.done", **block.place(), part=content)
        elif isinstance(part, Thinking) and block.shown:
            self._say("response.reasoning_summary_part.done", **block.place(), part=item["summary"][0])
        self._done(block.index, item)

    def _done(self, index: int, item: Item) -> None:
        self._output[index] = encode(item)
        self._out.append(
            b'event: response.output_item.done\ndata: {"type":"response.output_item.done","output_index":%d,'
            b'"sequence_number":%d,"item":%b}\n\n' % (index, self._number, self._output[index])
        )
        self._number += 1

    def _end(self, event: End) -> None:
        envelope = self._begin()
        self._closed += self._blocks.values()
        self._blocks = {}
        cut = event.reason in ("length", "filter", "other")
        last = max((block.index for block in self._closed), default=-1)
        for block in self._closed:
            self._finish(block, "incomplete" if cut and block.index == last else "completed")
        output = [self._output[index] for index in sorted(self._output)]
        kind = b"response.incomplete" if cut else b"response.completed"
        self._whole(kind, envelope.ended(output, event.reason, event.usage, event.tier))
        self._over = True

    def _fail(self, refusal: Refusal) -> None:
        last = b'"sequence_number":%d' % (self._number - 1) if self._number else b""
        self._out.append(error_event(refusal, last))
        self._over = True
