"""Events as a chat client's stream.

Calls have numbers and mix freely; everything else of a choice is one after another, for a delta does not say which of
two texts it belongs to. What comes before and after a delta's text is made once for each block: a text is one in a
thousand of its kind.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.ir import (
    Begin,
    Call,
    Close,
    Delta,
    End,
    Event,
    Fail,
    Media,
    Opaque,
    Open,
    Part,
    Request,
    Stamp,
    Text,
    Thinking,
)
from vaultd.wire.loss import Loss
from vaultd.wire.openai_chat.answer_out import annotations_of, call_told, missed
from vaultd.wire.openai_chat.face import NAME, error_event
from vaultd.wire.openai_chat.parts import image_told, signature_told
from vaultd.wire.openai_chat.tally import usage_told, word_of

_encode: Final = msgspec.json.Encoder().encode
_DONE: Final = b"data: [DONE]\n\n"


class _Block:
    """An open block: what stands around its text, how much of it came, and where it began in its choice's content."""

    __slots__ = ("after", "before", "choice", "closing", "held", "length", "number", "part", "start")

    def __init__(self, part: Part, choice: int, held: list[bytes] | None) -> None:
        self.part = part
        self.choice = choice
        self.before = b""
        self.after = b""
        self.length = 0
        self.start = 0
        #: Of a call, among those of its choice.
        self.number = 0
        #: What it said while it waits for its turn; None when it has it.
        self.held = held
        self.closing: Close | None = None


class Writer:
    def __init__(self, request: Request, stamp: Stamp, lost: Loss) -> None:
        self._request = request
        self._stamp = stamp
        self._lost = lost
        self._head = b""
        self._blocks: dict[int, _Block] = {}
        #: By choice: the text that is being told, and what waits for its end.
        self._telling: dict[int, _Block] = {}
        self._waiting: dict[int, list[_Block]] = {}
        #: By choice: characters of content, calls and images so far.
        self._contents: dict[int, int] = {}
        self._calls: dict[int, int] = {}
        self._images: dict[int, int] = {}
        self._choices: set[int] = set()
        self._over = False

    def feed(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in events:
            if self._over:
                break
            if type(event) is Delta:
                block = self._blocks[event.block]
                if block.before:
                    block.length += len(event.text)
                    told = out if block.held is None else block.held
                    told += (block.before, _encode(event.text), block.after)
            else:
                self._other(event, out)
        return b"".join(out)

    def _other(self, event: Event, out: list[bytes]) -> None:
        match event:
            case Open():
                self._open(event, out)
            case Close():
                self._close(event, out)
            case Begin():
                self._begin(event, out)
            case End():
                self._end(event, out)
                self._over = True
            case Fail():
                out.append(error_event(event.refusal))
                self._over = True

    def _begin(self, event: Begin, out: list[bytes]) -> None:
        head = {
            "id": event.id or f"chatcmpl-{self._stamp.token}",
            "object": "chat.completion.chunk",
            "created": event.created or self._stamp.now,
            "model": event.model or self._request.model,
        }
        self._head = b"data: " + _encode(head)[:-1]
        self._voice(0, out)

    def _voice(self, choice: int, out: list[bytes]) -> None:
        """The first chunk of a choice tells the role."""
        if choice not in self._choices:
            self._choices.add(choice)
            out.append(self._delta(choice, {"role": "assistant", "content": ""}))

    def _open(self, event: Open, out: list[bytes]) -> None:
        part, choice = event.part, event.choice
        self._voice(choice, out)
        block = self._blocks[event.block] = _Block(part, choice, [] if choice in self._telling else None)
        if block.held is not None:
            self._waiting.setdefault(choice, []).append(block)
            out = block.held
        if isinstance(part, Text | Thinking):
            member = b"content" if isinstance(part, Text) else b"reasoning_content"
            member = b"refusal" if isinstance(part, Text) and part.refusal else member
            block.before = b'%b,"choices":[{"index":%d,"delta":{"%b":' % (self._head, choice, member)
            block.after = b'},"finish_reason":null}]}\n\n'
            if block.held is None:
                self._tell(block)
        elif isinstance(part, Call):
            self._call(block, part, out)
        elif isinstance(part, Media) and part.kind == "image" and (part.data or part.url):
            number = self._images[choice] = self._images.get(choice, -1) + 1
            out.append(self._delta(choice, {"images": [{"index": number, **image_told(part)}]}))
        elif isinstance(part, Opaque) and part.format == NAME:
            out.append(self._delta(choice, {"content": [part.value]}))
        else:
            missed(part, self._lost)

    def _tell(self, block: _Block) -> None:
        self._telling[block.choice] = block
        block.start = self._contents.get(block.choice, 0)

    def _call(self, block: _Block, call: Call, out: list[bytes]) -> None:
        block.number = self._calls[block.choice] = self._calls.get(block.choice, -1) + 1
        said = {"index": block.number, **call_told(call)}
        kind, spoken = (b"custom", b"input") if call.kind == "custom" else (b"function", b"arguments")
        if call.kind == "custom":
            del said["type"]  # the official types know none in a stream but `function`
            said["custom"]["input"] = ""
        else:
            said["function"]["arguments"] = ""
        out.append(self._delta(block.choice, {"tool_calls": [said]}))
        where = (self._head, block.choice, block.number, kind, spoken)
        block.before = b'%b,"choices":[{"index":%d,"delta":{"tool_calls":[{"index":%d,"%b":{"%b":' % where
        block.after = b'}}]},"finish_reason":null}]}\n\n'

    def _close(self, event: Close, out: list[bytes]) -> None:
        block = self._blocks.pop(event.block)
        if block.held is not None:
            block.closing = event
            return
        self._closed(block, event, out)
        if self._telling.get(block.choice) is block:
            del self._telling[block.choice]
            self._release(block.choice, out)

    def _release(self, choice: int, out: list[bytes]) -> None:
        """Tells what waited, up to the next text that has not come to its end."""
        waiting = self._waiting.get(choice)
        while waiting:
            block = waiting.pop(0)
            out += block.held or ()
            block.held = None
            if isinstance(block.part, Text | Thinking):
                self._tell(block)
                if block.closing is None:
                    return
                del self._telling[choice]
            if block.closing is not None:
                self._closed(block, block.closing, out)

    def _closed(self, block: _Block, event: Close, out: list[bytes]) -> None:
        opened = block.part
        part = event.part or opened
        if isinstance(opened, Text) and isinstance(part, Text) and not opened.refusal:
            end = self._contents[block.choice] = block.start + block.length
            if annotations := annotations_of(part, block.start, end, self._lost):
                out.append(self._delta(block.choice, {"annotations": annotations}))
        elif isinstance(part, Thinking):
            missed(part, self._lost)
        elif isinstance(opened, Call) and isinstance(part, Call):
            if opened.kind == "function" and not block.length:
                out += (block.before, b'"{}"', block.after)
            if part.signature and not opened.signature:
                told = {"index": block.number, "extra_content": signature_told(part.signature)}
                out.append(self._delta(block.choice, {"tool_calls": [told]}))

    def _end(self, event: End, out: list[bytes]) -> None:
        if event.stop:
            self._lost.add("stop_sequence")
        reasons = [event.reason, *event.others]
        tier = {"service_tier": event.tier} if event.tier else {}
        usage = {"usage": usage_told(event.usage)} if event.usage is not None else {}
        # A chunk without choices breaks clients that did not ask for one; they find the tokens in the last that has.
        aside = self._request.usage_asked
        for index, reason in enumerate(reasons):
            self._voice(index, out)
            more = usage if index == len(reasons) - 1 and not aside else {}
            choice = {"index": index, "delta": {}, "finish_reason": word_of(reason)}
            out.append(self._chunk([choice], {**tier, **more}))
        if usage and aside:
            out.append(self._chunk([], usage))
        out.append(_DONE)

    def _delta(self, choice: int, delta: dict[str, Any]) -> bytes:
        return self._chunk([{"index": choice, "delta": delta, "finish_reason": None}], {})

    def _chunk(self, choices: list[dict[str, Any]], more: dict[str, Any]) -> bytes:
        return self._head + b"," + _encode({"choices": choices, **more})[1:] + b"\n\n"
