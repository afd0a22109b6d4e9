"""A vendor's answer, whole or piece by piece, as events: one machine for both, so that they cannot disagree (R6).

What vendors of this grammar were seen to do against it: text, thinking and a call's whole input in
`content_block_start`; blocks without deltas; `message_delta` that repeats usage in part; further messages in the stream
where tools that the vendor runs take turns with the client's (recorded November 2025).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire import failing, signature
from vaultd.wire.anthropic_messages.face import NAME
from vaultd.wire.folding import fold
from vaultd.wire.ir import (
    Answer,
    Begin,
    Call,
    Citation,
    Close,
    Delta,
    End,
    Event,
    Extra,
    Opaque,
    Open,
    Part,
    Reason,
    Search,
    Text,
    Thinking,
)
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

_REASONS: Final[dict[str, Reason]] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "stop-sequence",
    "tool_use": "tool",
    "pause_turn": "pause",
    "refusal": "filter",
    "sensitive": "filter",
}
_TIERS: Final = {"standard": "default"}
_COUNTS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class Piece(msgspec.Struct):
    """The `delta` of any event. What is of another type than these is absent."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    signature: str = ""
    content: str | None = None
    citation: Any = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Block:
    """A block of the vendor's that is open. `number` is -1 until it is told as open: an empty one never is."""

    __slots__ = ("citations", "number", "part", "pieces", "seal", "spoke", "value")

    def __init__(self, part: Part | None, value: dict[str, Any]) -> None:
        #: What opens the block; None where it can only be told once it is whole.
        self.part = part
        self.value = value
        self.number = -1
        #: Whether anything was told of its text.
        self.spoke = False
        #: The text of what can only be told whole.
        self.pieces: list[str] = []
        self.seal = ""
        self.citations: list[Citation] = []


class Told:
    """What the vendor has told of one message; each method adds the events that follow from it to `out`."""

    __slots__ = ("_begun", "_blocks", "_calls", "_counts", "_hosted", "_id", "_made", "_names", "_searches", "_tier",
                 "reason", "stop")  # fmt: skip

    def __init__(self, names: Names) -> None:
        self._names = names
        self._begun = False
        self._id = ""
        self._blocks: dict[int, _Block] = {}
        self._made = 0
        self._calls = 0
        self._searches: dict[str, str] = {}
        self._counts: dict[str, int] | None = None
        self._tier = ""
        self._hosted = False
        #: The vendor's word for why it stopped; "" as long as it has not.
        self.reason = ""
        self.stop = ""

    def begin(self, message: Any, out: list[Event]) -> None:
        """`message_start`. A further one goes on with the same answer, and its usage counts."""
        message = message if isinstance(message, dict) else {}
        for index in list(self._blocks):
            self.close(index, out)
        self._counts = None
        self.used(message.get("usage"))
        if not self._begun:
            self._begun = True
            self._id = _text(message.get("id"))
            out.append(Begin(self._id, _text(message.get("model")), 0, self._usage()))

    def open(self, index: int, block: dict[str, Any], out: list[Event]) -> None:
        """`content_block_start`, which may hold what should come in deltas."""
        if not self._begun:
            self.begin(None, out)
        if index in self._blocks:
            self.close(index, out)
        kind = block.get("type")
        opened = self._blocks[index] = _Block(None, block)
        if kind == "text":
            opened.part = Text("")
            self._cite(opened, block.get("citations"))
            self._said(opened, _text(block.get("text")), out)
        elif kind == "thinking":
            opened.part = Thinking("")
            opened.seal = _text(block.get("signature"))
            self._said(opened, _text(block.get("thinking")), out)
        elif kind == "redacted_thinking":
            opened.part = Thinking("", signature.carry(_text(block.get("data")), NAME), redacted=True)
            self._told(opened, out)
        elif kind == "tool_use":
            self._calls += 1
            name = _text(block.get("name")) or f"tool_{self._calls - 1}"
            opened.part = Call(_text(block.get("id")) or f"toolu_{self._id}_{self._calls}", self._names.restore(name))
            self._told(opened, out)

    def more(self, index: int, piece: Piece, out: list[Event]) -> None:
        """`content_block_delta`. One for a block that nobody opened opens it."""
        block = self._blocks.get(index)
        if block is None:
            self.open(index, {"type": "thinking" if piece.thinking or piece.signature else "text"}, out)
            block = self._blocks[index]
        text = piece.text or piece.thinking or piece.partial_json
        if text:
            if block.part is None:
                block.pieces.append(text)
            else:
                self._said(block, text, out)
        elif piece.signature:
            block.seal += piece.signature
        elif piece.citation is not None:
            self._cite(block, [piece.citation])
        elif piece.content:
            block.value["content"] = _text(block.value.get("content")) + piece.content

    def close(self, index: int, out: list[Event]) -> None:
        """`content_block_stop`."""
        block = self._blocks.pop(index, None)
        if block is None:
            return
        last: Part | None = None
        match block.part:
            case None:
                self._whole(block, out)
                return
            case Call():
                if not block.spoke:
                    self._said(block, _json(block.value.get("input")), out)
            case Thinking(redacted=False):
                if block.seal:
                    self._told(block, out)
                    last = Thinking("", signature.carry(block.seal, NAME))
            case Text() if block.citations:
                self._told(block, out)
                last = Text("", citations=block.citations)
        if block.number >= 0:
            out.append(Close(block.number, last))

    def used(self, usage: Any) -> None:
        """Counts are running totals; one that is missing, or an input of 0 in the end, leaves what was told before."""
        if not isinstance(usage, dict):
            return
        counts = self._counts if self._counts is not None else {}
        for name in _COUNTS:
            value = usage.get(name)
            if type(value) is int and (value or name not in counts or name != "input_tokens"):
                counts[name] = value
        details = usage.get("output_tokens_details")
        thought = details.get("thinking_tokens") if isinstance(details, dict) else None
        if type(thought) is int:
            counts["thinking_tokens"] = thought
        tier = _text(usage.get("service_tier"))
        self._tier = _TIERS.get(tier, tier) or self._tier
        self._counts = counts

    def stopped(self, piece: Piece) -> None:
        """What `message_delta` says beside its usage."""
        self.reason = piece.stop_reason or self.reason
        self.stop = piece.stop_sequence or self.stop

    def over(self) -> bool:
        """Whether `message_stop` ends the answer: calls beside the vendor's own tools may be followed by a message
        more."""
        return not (self._hosted and self.reason == "tool_use")

    def end(self, out: list[Event]) -> None:
        if not self._begun:
            self.begin(None, out)
        for index in list(self._blocks):
            self.close(index, out)
        for name, query in self._searches.items():
            self._one(Search(name, query), out)
        reason = _REASONS.get(self.reason, "other") if self.reason else "stop"
        if reason == "tool" and not self._calls:
            reason = "stop"
        elif reason in ("stop", "other") and self._calls:
            reason = "tool"
        stop = self.stop if reason == "stop-sequence" else ""
        out.append(End(reason, self._usage(), stop, tier=self._tier))

    def _said(self, block: _Block, text: str, out: list[Event]) -> None:
        if not text:
            return
        if block.number < 0:
            self._told(block, out)
        block.spoke = True
        out.append(Delta(block.number, text))

    def _told(self, block: _Block, out: list[Event]) -> None:
        if block.number < 0 and block.part is not None:
            block.number = self._made
            self._made += 1
            out.append(Open(block.number, block.part))

    def _one(self, part: Part, out: list[Event]) -> None:
        out += (Open(self._made, part), Close(self._made))
        self._made += 1

    def _cite(self, block: _Block, citations: Any) -> None:
        if isinstance(citations, list):
            block.citations += [cited(citation) for citation in citations if isinstance(citation, dict)]

    def _whole(self, block: _Block, out: list[Event]) -> None:
        value = block.value
        self._hosted = True
        if block.pieces:
            value["input"] = _decoded("".join(block.pieces))
        if searches(value):
            self._searches[_text(value.get("id"))] = query(value)
        elif value.get("type") == "web_search_tool_result":
            name = _text(value.get("tool_use_id"))
            self._one(found(name, self._searches.pop(name, ""), value.get("content")), out)
        elif kind := _text(value.get("type")):
            self._one(Opaque(NAME, kind, value), out)

    def _usage(self) -> Usage | None:
        counts = self._counts
        if not counts:
            return None
        given, output, cached, written = (counts.get(name, 0) for name in _COUNTS)
        return Usage(given + cached + written, output, cached, counts.get("thinking_tokens", 0), written)


def read_answer(body: bytes, names: Names) -> Answer:
    """Raises Refusal 502 for what is no message, and the vendor's own refusal where it says one."""
    try:
        message = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        message = None
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise failing.failure(body) or Refusal(502, "upstream", "the vendor's answer is no message")
    told, events = Told(names), list[Event]()
    told.begin(message, events)
    for index, block in enumerate(message["content"]):
        if isinstance(block, dict):
            told.open(index, block, events)
            told.close(index, events)
    told.stopped(
        Piece(stop_reason=_text(message.get("stop_reason")), stop_sequence=_text(message.get("stop_sequence")))
    )
    told.end(events)
    return fold(events)


def cited(citation: dict[str, Any]) -> Citation:
    """Any of the five kinds of citation; where in a document it stands is not kept."""
    return Citation(
        url=_text(citation.get("url")) or _text(citation.get("source")),
        title=_text(citation.get("title")) or _text(citation.get("document_title")),
        quote=_text(citation.get("cited_text")),
    )


def searches(block: dict[str, Any]) -> bool:
    """Whether it is the first half of a web search, whose second is `web_search_tool_result`."""
    return block.get("type") == "server_tool_use" and block.get("name") == "web_search"


def query(block: dict[str, Any]) -> str:
    given = block.get("input")
    return _text(given.get("query")) if isinstance(given, dict) else ""


def found(name: str, asked: str, content: Any) -> Search:
    """The search that `content` answers: pages, or an error. What only Anthropic can read back is kept for it."""
    pages = [page for page in content if isinstance(page, dict)] if isinstance(content, list) else []
    sealed = not isinstance(content, list) or any(page.get("encrypted_content") for page in pages)
    extra: Extra = {NAME: content} if sealed else {}
    told = [Citation(url=_text(page.get("url")), title=_text(page.get("title"))) for page in pages]
    return Search(name, asked, told, extra)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else "{}"


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
