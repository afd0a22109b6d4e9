"""The output items of a stream as blocks of events (`stream_in`)."""

from __future__ import annotations

from typing import Final, Literal

from vaultd.wire.ir import Citation, Close, Delta, End, Event, Open, Part, Text, Thinking
from vaultd.wire.names import Names
from vaultd.wire.openai_responses.answer_in import (
    CALLS,
    Said,
    array,
    call_of,
    citation_of,
    citations_of,
    mapping,
    mappings,
    other_of,
    placeholder,
    reason_of,
    text,
    thinking_of,
    usage_of,
)

Kind = Literal["text", "refusal", "summary", "thought", "function", "custom"]

DELTAS: Final[dict[str, Kind]] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "summary",
    "response.reasoning_text.delta": "thought",
    "response.function_call_arguments.delta": "function",
    "response.custom_tool_call_input.delta": "custom",
}
#: Events that repeat what the deltas said: what of, and in which member.
_REPEATED: Final[dict[str, tuple[Kind, str]]] = {
    "output_text.done": ("text", "text"),
    "refusal.done": ("refusal", "refusal"),
    "reasoning_summary_text.done": ("summary", "text"),
    "reasoning_text.done": ("thought", "text"),
    "function_call_arguments.done": ("function", "arguments"),
    "custom_tool_call_input.done": ("custom", "input"),
}
_THOUGHTS: Final = frozenset({"summary", "thought"})
_ITEMS: Final[dict[Kind, tuple[str, ...]]] = {
    "text": ("message",),
    "refusal": ("message",),
    "summary": ("reasoning",),
    "thought": ("reasoning",),
    "function": ("function_call", "custom_tool_call"),
    "custom": ("custom_tool_call", "function_call"),
}


class _Block:
    """`number` is -1 while a call's name is not known."""

    __slots__ = ("citations", "closed", "number", "pieces", "size")

    def __init__(self, number: int) -> None:
        self.number = number
        self.pieces: list[str] = []
        self.size = 0
        self.closed = False
        self.citations: list[Citation] = []

    def add(self, said: str) -> None:
        self.pieces.append(said)
        self.size += len(said)

    def rest(self, whole: str) -> str:
        """What of `whole` no delta brought: all, its end, or nothing where the two have nothing in common."""
        if len(whole) <= self.size:
            return ""
        return whole[self.size :] if not self.size or whole.startswith("".join(self.pieces)) else ""


class _Item:
    """One output item. A message has a block for each content part; reasoning and calls have one at 0."""

    __slots__ = ("blocks", "done", "kind", "number", "said", "shown")

    def __init__(self, number: int, said: Said) -> None:
        self.number = number
        self.kind = text(said, "type")
        self.said = said
        self.blocks: dict[int, _Block] = {}
        #: Of reasoning: the part of summary or thoughts that is being told, and what of it was.
        self.shown: tuple[tuple[Kind, int], _Block] | None = None
        self.done = False


class Output:
    """Appends to `events`, which the reader exchanges."""

    def __init__(self, names: Names) -> None:
        self.events: list[Event] = []
        self.answer_id = ""
        self._names = names
        self._blocks = 0
        self._called = False
        self._items: list[_Item] = []
        self._by_id: dict[str, _Item] = {}
        self._by_index: dict[int, _Item] = {}
        #: Content parts of messages that have begun and said nothing yet: their place, and whether they are refusals.
        self._announced: list[tuple[_Item, int, bool]] = []
        #: Where the last delta went: the next one mostly goes there too.
        self._last: tuple[Kind, str, int | None, int] | None = None
        self._block: _Block | None = None

    def more(self, kind: Kind, item_id: str, index: int | None, part: int, said: str) -> None:
        """A delta; `index` is the item's, `part` of its content or summary."""
        at = (kind, item_id, index, part)
        if at == self._last and (block := self._block) is not None and not block.closed:
            block.add(said)
            self.events.append(Delta(block.number, said))
            return
        item = self._find(kind, item_id, index)
        if item.done:
            return
        block = self._say(item, kind, part, said)
        # A call that waits for its name and a part of a summary have more to them than a delta.
        direct = block is not None and block.number >= 0 and kind not in _THOUGHTS
        self._last, self._block = (at, block) if direct else (None, None)

    def told(self, kind: str, event: Said) -> None:
        """Any other event; `kind` without `response.`."""
        index = event.get("output_index")
        index = index if type(index) is int else None
        if kind == "output_item.added":
            self._add(mapping(event, "item"), index)
        elif kind == "output_item.done":
            self._finish(mapping(event, "item"), index)
        elif (repeated := _REPEATED.get(kind)) is not None:
            of, member = repeated
            part = event.get("summary_index" if of == "summary" else "content_index")
            item = self._find(of, text(event, "item_id"), index)
            if not item.said.get("name") and text(event, "name"):
                item.said = {**item.said, "name": text(event, "name")}
            self._fill(item, of, part if type(part) is int else 0, text(event, member))
        elif kind == "output_text.annotation.added":
            self._annotate(event, index)
        elif kind == "content_part.added":
            self._announce(event, index)
        elif kind == "content_part.done":
            self._part_done(event, index)

    def end(self, response: Said, status: str) -> None:
        """The last event: `response` may repeat the whole answer."""
        for at, said in enumerate(array(response, "output")):
            if isinstance(said, dict):
                self._finish(said, at)
        for item in self._items:
            if not item.done:
                self._close(item, item.said)
        self.events.append(
            End(
                reason_of(response, status, called=self._called),
                usage_of(response),
                tier=text(response, "service_tier"),
            )
        )

    def _add(self, said: Said, index: int | None) -> _Item:
        item = _Item(len(self._items), said)
        self._items.append(item)
        if text(said, "id"):
            self._by_id[text(said, "id")] = item
        self._by_index[len(self._by_index) if index is None else index] = item
        if item.kind in CALLS:
            self._open_call(item, said)
        return item

    def _find(self, kind: Kind, item_id: str, index: int | None) -> _Item:
        """By id, then by place, then the one of its kind that is in progress; else one that nobody announced."""
        wanted = _ITEMS[kind]
        item = self._by_id.get(item_id) if item_id else None
        if item is None and index is not None:
            item = self._by_index.get(index)
        if item is None or item.kind not in wanted:
            item = next((item for item in reversed(self._items) if item.kind in wanted and not item.done), None)
        return item or self._add({"type": wanted[0], "id": item_id}, index)

    def _say(self, item: _Item, kind: Kind, part: int, said: str) -> _Block | None:
        if kind in _THOUGHTS:
            return self._think(item, kind, part, said)
        at = part if item.kind == "message" else 0
        block = item.blocks.get(at)
        if block is None:
            if item.kind in CALLS:
                block = item.blocks[at] = _Block(-1)
            else:
                self._announced = [one for one in self._announced if one[:2] != (item, at)]
                block = item.blocks[at] = self._open(Text("", refusal=kind == "refusal"))
        if not block.closed:
            block.add(said)
            if block.number >= 0:
                self.events.append(Delta(block.number, said))
        return block

    def _think(self, item: _Item, kind: Kind, part: int, said: str) -> _Block:
        block = item.blocks.get(0)
        if block is None:
            block = item.blocks[0] = self._open(Thinking(""))
        between = ""
        if item.shown is None or item.shown[0] != (kind, part):
            between = "\n\n" if item.shown is not None else ""
            item.shown = ((kind, part), _Block(block.number))
        item.shown[1].add(said)
        self.events.append(Delta(block.number, between + said))
        return block

    def _fill(self, item: _Item, kind: Kind, part: int, whole: str) -> None:
        """What `whole` adds. Of reasoning, a part that others have followed is left as it is."""
        if item.done or not whole:
            return
        if kind in _THOUGHTS:
            shown = item.shown
            if shown is not None and shown[0] == (kind, part):
                whole = shown[1].rest(whole)
            elif shown is not None and not _after((kind, part), shown[0]):
                return
        elif (block := item.blocks.get(part if item.kind == "message" else 0)) is not None:
            whole = block.rest(whole)
        if whole:
            self._say(item, kind, part, whole)

    def _annotate(self, event: Said, index: int | None) -> None:
        part = event.get("content_index")
        block = self._find("text", text(event, "item_id"), index).blocks.get(part if type(part) is int else 0)
        citation = citation_of(mapping(event, "annotation"))
        if block is not None and citation is not None:
            block.citations.append(citation)

    def _announce(self, event: Said, index: int | None) -> None:
        part, at = mapping(event, "part"), event.get("content_index")
        if text(part, "type") in ("output_text", "refusal"):
            item = self._find("text", text(event, "item_id"), index)
            self._announced.append((item, at if type(at) is int else 0, text(part, "type") == "refusal"))

    def _part_done(self, event: Said, index: int | None) -> None:
        part, at = mapping(event, "part"), event.get("content_index")
        at = at if type(at) is int else 0
        kind = text(part, "type")
        if kind == "reasoning_text":
            self._fill(self._find("thought", text(event, "item_id"), index), "thought", at, text(part, "text"))
            return
        item = self._find("text", text(event, "item_id"), index)
        if not item.done:
            self._content(item, at, part)

    def _content(self, item: _Item, at: int, part: Said) -> None:
        """A content part of a message that is whole: its block closes."""
        refusal = text(part, "type") == "refusal"
        self._fill(item, "refusal" if refusal else "text", at, text(part, "refusal" if refusal else "text"))
        block = item.blocks.get(at)
        if block is not None and not block.closed:
            block.citations = citations_of(part) or block.citations
            self._close_text(block, refusal=refusal)

    def _finish(self, said: Said, index: int | None) -> None:
        """An item that is whole."""
        kind = text(said, "type")
        item = self._by_id.get(text(said, "id"))
        if item is None and index is not None and (placed := self._by_index.get(index)) and placed.kind == kind:
            item = placed
        item = item or self._add(said, index)
        if item.done:
            return
        if kind == "message":
            for at, part in enumerate(mappings(said, "content")):
                self._content(item, at, part)
        elif kind == "reasoning":
            for at, part in enumerate(mappings(said, "summary")):
                self._fill(item, "summary", at, text(part, "text"))
            for at, part in enumerate(mappings(said, "content")):
                self._fill(item, "thought", at, text(part, "text"))
        elif kind in CALLS:
            self._open_call(item, said)
            self._fill(item, "custom" if kind == "custom_tool_call" else "function", 0, text(said, CALLS[kind]))
        self._close(item, said)

    def _close(self, item: _Item, said: Said) -> None:
        item.done = True
        if item.kind == "message":
            for block in item.blocks.values():
                if not block.closed:
                    self._close_text(block)
        elif item.kind == "reasoning":
            self._close_thinking(item, said)
        elif item.kind in CALLS:
            self._close_call(item)
        elif (part := other_of(said, item.kind)) is not None:
            self._end_block(self._open(part))

    def _close_text(self, block: _Block, *, refusal: bool = False) -> None:
        part = Text("", citations=block.citations, refusal=refusal) if block.citations else None
        self._end_block(block, part)

    def _close_thinking(self, item: _Item, said: Said) -> None:
        thinking = thinking_of(said)
        thinking.text = ""
        block = item.blocks.get(0)
        if block is None and thinking.signature:
            block = self._open(Thinking(""))
        if block is not None:
            self._end_block(block, thinking)

    def _open_call(self, item: _Item, said: Said, name: str = "") -> None:
        """Once its name is known, with what was said to it till then. `name`: for one that nobody named."""
        held = item.blocks.get(0)
        if held is not None and held.number >= 0:
            return
        call = call_of({**item.said, **said}, self._names, self.answer_id, item.number)
        call.name = call.name or name
        if not call.name:
            return
        call.arguments = ""
        item.blocks[0] = self._open(call)
        self._called = True
        if held is not None and held.size:
            self._say(item, "function", 0, "".join(held.pieces))

    def _close_call(self, item: _Item) -> None:
        if 0 in item.blocks:
            self._open_call(item, {}, placeholder(item.number))
            self._end_block(item.blocks[0])

    def _open(self, part: Part) -> _Block:
        """Texts that have been announced open first: blocks count in the order of the items."""
        while self._announced:
            item, at, refusal = self._announced.pop(0)
            if at not in item.blocks and not item.done:
                item.blocks[at] = self._open(Text("", refusal=refusal))
        block = _Block(self._blocks)
        self._blocks += 1
        self.events.append(Open(block.number, part))
        return block

    def _end_block(self, block: _Block, part: Part | None = None) -> None:
        block.closed = True
        self.events.append(Close(block.number, part))


def _after(part: tuple[Kind, int], other: tuple[Kind, int]) -> bool:
    """Thoughts follow the summary."""
    return (part[0] == "thought", part[1]) > (other[0] == "thought", other[1])
