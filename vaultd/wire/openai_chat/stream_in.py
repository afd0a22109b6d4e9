"""A vendor's Chat Completions stream as events. A whole answer is read as a stream of one chunk, so that both agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from vaultd.wire.failing import refused
from vaultd.wire.ir import Begin, Citation, Close, Delta, End, Event, Fail, Opaque, Open, Part, Reason, Text, Thinking
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.calls_in import Calls
from vaultd.wire.openai_chat.chunk import Chunk, Said, decoded
from vaultd.wire.openai_chat.face import NAME
from vaultd.wire.openai_chat.parts import citations_of, image_of
from vaultd.wire.openai_chat.tally import reason_of, usage_of
from vaultd.wire.refusal import Refusal
from vaultd.wire.sse import Frames, TooLong, data_of, frames_of
from vaultd.wire.usage import Usage

#: OpenAI's limit of `n`; a higher index is no choice's.
_CHOICES: Final = 128


class Reader:
    """One stream. Each choice has at most one text or thinking open; its calls stay open to the end, for upstreams go
    back to them."""

    def __init__(self, names: Names, unwrap: Callable[[bytes], bytes] | None = None) -> None:
        self._names = names
        self._unwrap = unwrap
        self._frames = Frames()
        self._choices: dict[int, _Choice] = {}
        self._ids: set[str] = set()
        self._blocks = 0
        self._id = self._model = self._tier = ""
        self._created = 0
        self._usage: Usage | None = None
        self._begun = self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        try:
            whole = self._frames.feed(chunk)
        except TooLong:
            self._fail(Refusal(502, "upstream", "an event of the vendor's answer is too large"), events)
            return events
        # A vendor that drips gives one frame a read.
        for frame in (whole,) if whole.count(b"\n") == 2 else frames_of(whole):
            self._frame(frame, events)
            if self._over:
                break
        return events

    def end(self) -> list[Event]:
        """A finish reason is an end, for `[DONE]` is forgotten by some."""
        events: list[Event] = []
        if not self._over and (rest := self._frames.rest().strip()):
            self._frame(rest, events)
        if not self._over:
            if any(choice.word for choice in self._choices.values()):
                self._end(events)
            else:
                self._fail(Refusal(502, "upstream", "the vendor ended its answer in the middle"), events)
        return events

    def whole(self, body: bytes) -> list[Event]:
        """A whole answer."""
        events: list[Event] = []
        try:
            chunk = decoded(body)
        except Refusal as refusal:
            self._fail(refusal, events)
            return events
        if chunk.error:
            self._fail(refused(body), events)
        elif not chunk.choices:
            self._fail(Refusal(502, "upstream", "the vendor's answer holds no answer"), events)
        else:
            for choice in chunk.choices:
                # Perplexity has an empty `delta` beside the message.
                choice.delta, choice.message = choice.message, choice.delta
                _numbered(choice.delta)
            self._take(chunk, body, events)
            if not self._over:
                self._end(events)
        return events

    def _frame(self, frame: bytes, events: list[Event]) -> None:
        if frame.startswith(b"data: ") and frame.count(b"\n") == 2:  # as nearly all are: no lines to join
            data = frame[6:]
        else:
            data = data_of(frame) or (frame if frame[:1] == b"{" else b"")
        if not data:
            return
        if data.startswith(b"[DONE]"):
            self._end(events)
            return
        try:
            if self._unwrap is not None:
                data = self._unwrap(data)
            chunk = decoded(data)
        except Refusal as refusal:
            self._fail(refusal, events)
            return
        self._take(chunk, data, events)

    def _take(self, chunk: Chunk, data: bytes, events: list[Event]) -> None:
        if chunk.error:
            self._fail(refused(data), events)
            return
        if not self._begun:
            self._begin(chunk, events)
        for place, said in enumerate(chunk.choices or ()):
            choice = self._choice(said.index if type(said.index) is int else place)
            if choice is None:
                continue
            delta = said.delta or said.message
            if delta is not None:
                choice.take(delta, events)
            word = said.finish_reason
            if word == "error":  # OpenRouter
                self._fail(refused(data), events)
                return
            if word and isinstance(word, str):
                choice.word = choice.word or word
        if chunk.usage is not None:
            self._usage = usage_of(chunk.usage) or self._usage
        if isinstance(chunk.service_tier, str):
            self._tier = chunk.service_tier

    def _choice(self, index: int) -> _Choice | None:
        choice = self._choices.get(index)
        if choice is None and 0 <= index < _CHOICES:
            choice = self._choices[index] = _Choice(index, self)
        return choice

    def _begin(self, chunk: Chunk, events: list[Event]) -> None:
        """Azure's first chunk has no choices and an empty id: what is known is kept until there is one."""
        if isinstance(chunk.id, str):
            self._id = chunk.id or self._id
        if isinstance(chunk.model, str):
            self._model = chunk.model or self._model
        if type(chunk.created) is int:
            self._created = max(chunk.created, 0) or self._created
        if chunk.choices:
            self._begun = True
            events.append(Begin(self._id, self._model, self._created))

    def _end(self, events: list[Event]) -> None:
        self._over = True
        if not self._begun:
            events.append(Begin(self._id, self._model, self._created))
        reasons: dict[int, Reason] = {}
        for index, choice in self._choices.items():
            choice.close(events)
            reasons[index] = reason_of(choice.word, bool(choice.calls))
        self._choices = {}  # each knows its reader: with them the whole would wait for the search for cycles
        others: list[Reason] = [reasons.get(index, "stop") for index in range(1, max(reasons, default=0) + 1)]
        events.append(End(reasons.get(0, "stop"), self._usage, others=others, tier=self._tier))

    def _fail(self, refusal: Refusal, events: list[Event]) -> None:
        self._over = True
        self._choices = {}
        events.append(Fail(refusal))

    def opened(self) -> int:
        """The next block's number."""
        self._blocks += 1
        return self._blocks - 1

    def calls(self, index: int) -> Calls:
        calls = Calls(index, self._names, self.opened, self._ids)
        calls.answer = self._id or str(self._created)
        return calls


class _Choice:
    """One choice of a stream."""

    __slots__ = ("_block", "_cited", "_index", "_kind", "_length", "_reader", "_sealed", "_start", "calls", "word")

    def __init__(self, index: int, reader: Reader) -> None:
        self._index = index
        self._reader = reader
        #: What is open: a text, a refusal, a thinking, or nothing.
        self._kind = ""
        self._block = -1
        #: Characters of `content` so far, and where the open text began in it: citations count from the former's start.
        self._length = self._start = 0
        self._cited: list[Citation] = []
        #: Mistral's thinking, a part of `content`.
        self._sealed: list[Any] = []
        self.calls = reader.calls(index)
        #: The finish reason.
        self.word = ""

    def take(self, said: Said, events: list[Event]) -> None:
        thought = said.reasoning_content or said.reasoning
        if thought:
            self._say("thinking", thought if type(thought) is str else _joined(thought), events)
        content = said.content
        if content:
            if type(content) is str:
                self._text(content, events)
            else:
                self._parts(content, events)
        if said.annotations:
            self._cited += citations_of(said.annotations, self._start)
        if said.refusal and type(said.refusal) is str:
            self._say("refusal", said.refusal, events)
        if said.audio is not None and isinstance(said.audio, dict):
            # The sound has no place in other formats' answers; what is said in it has.
            transcript = said.audio.get("transcript")
            self._text(transcript if isinstance(transcript, str) else "", events)
        if said.images:
            self._images(said.images, events)
        if said.tool_calls or said.function_call:
            self._rest(events)
            self.calls.feed(said.tool_calls, events)
            self.calls.legacy(said.function_call, events)

    def close(self, events: list[Event]) -> None:
        self._rest(events)
        self.calls.close(events)

    def _text(self, text: str, events: list[Event]) -> None:
        self._say("text", text, events)
        self._length += len(text)

    def _say(self, kind: str, text: str, events: list[Event]) -> None:
        if not text:
            return
        if kind != self._kind:
            self._rest(events)
            self._kind = kind
            self._block = self._reader.opened()
            if kind == "text":
                self._start = self._length
            events.append(Open(self._block, _begun(kind), self._index))
        events.append(Delta(self._block, text))

    def _rest(self, events: list[Event]) -> None:
        """Closes what is open."""
        if self._sealed:
            value = {"type": "thinking", "thinking": self._sealed}
            self._whole(Opaque(NAME, "thinking", value), events)
            self._sealed = []
        if self._kind:
            part = None
            if self._kind == "text" and self._cited:
                part = Text("", citations=self._cited)
                self._cited = []
            events.append(Close(self._block, part))
            self._kind = ""

    def _whole(self, part: Part, events: list[Event]) -> None:
        block = self._reader.opened()
        events += (Open(block, part, self._index), Close(block))

    def _images(self, images: Any, events: list[Event]) -> None:
        for item in images if isinstance(images, list) else ():
            image = image_of(item)
            if image is not None:
                self._rest(events)
                self._whole(image, events)

    def _parts(self, parts: Any, events: list[Event]) -> None:
        """Mistral's `content` is an array where its model thinks."""
        for part in parts if isinstance(parts, list) else ():
            kind = part.get("type", "text") if isinstance(part, dict) else "text"
            if kind == "text":
                text = part if isinstance(part, str) else part.get("text") if isinstance(part, dict) else ""
                self._text(text if isinstance(text, str) else "", events)
            elif kind == "thinking":
                if self._kind:
                    self._rest(events)
                _seal(self._sealed, part.get("thinking"))
            elif kind == "image_url" and (image := image_of(part)) is not None:
                self._rest(events)
                self._whole(image, events)
            elif isinstance(kind, str):
                self._rest(events)
                self._whole(Opaque(NAME, kind, part), events)


def _numbered(message: Said | None) -> None:
    """Each call of a whole answer is one, whatever its index says."""
    calls = message.tool_calls if message is not None else None
    for place, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict):
            call["index"] = place


def _begun(kind: str) -> Part:
    return Thinking("") if kind == "thinking" else Text("", refusal=kind == "refusal")


def _joined(thought: Any) -> str:
    """Some vendors send an array of texts."""
    items = thought if isinstance(thought, list) else []
    pieces = [item.get("text") if isinstance(item, dict) else item for item in items]
    return "".join([piece for piece in pieces if isinstance(piece, str)])


def _seal(sealed: list[Any], items: Any) -> None:
    """Appends, fragments of one text as one, so that a stream says the same as a whole answer."""
    for item in items if isinstance(items, list) else ():
        if sealed and _is_text(item) and _is_text(sealed[-1]):
            sealed[-1] = {"type": "text", "text": sealed[-1]["text"] + item["text"]}
        else:
            sealed.append(item)


def _is_text(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "text" and isinstance(item.get("text"), str)
