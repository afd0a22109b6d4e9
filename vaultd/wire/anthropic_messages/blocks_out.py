"""Parts of a conversation as the content blocks that an Anthropic vendor takes."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from vaultd.wire import signature
from vaultd.wire.anthropic_messages.answer_out import given, identifier, searched
from vaultd.wire.anthropic_messages.face import NAME
from vaultd.wire.ir import Call, Compaction, Media, Opaque, Part, Request, Result, Search, Text, Thinking, Turn
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal

Block = dict[str, Any]

#: What clients write for types that Anthropic knows by another name alone.
_TYPES: Final = {"": "image/png", "image/jpg": "image/jpeg"}
#: Anthropic's limit of cache marks in a request.
_MARKS: Final = 4


class Blocks:
    """Writes system texts and turns."""

    def __init__(self, names: Names, lost: Loss) -> None:
        self._names = names
        self._lost = lost

    def conversation(self, request: Request) -> tuple[list[Block], list[Block]]:
        """`system` and `messages`. Where there are system texts alone the last of them is the user's turn.

        Raises Refusal 400 where nothing is said at all, or where no block can hold what the user said last.
        """
        texts = list(request.system)
        said: list[Turn] = []
        for turn in request.turns:
            if turn.role == "system" and not turn.anchored:
                texts += [part for part in turn.parts if isinstance(part, Text)]
            else:
                said.append(turn)
        system = [block for text in texts for block in self._text(text)]
        messages: list[Block] = []
        for turn in said:
            content = self._content(turn)
            if not content and turn is said[-1] and any(isinstance(part, Media) for part in turn.parts):
                raise Refusal(400, "bad-request", f"{', '.join(self._lost)}: the vendor's format has no such input")
            if content and messages and messages[-1]["role"] == turn.role:
                messages[-1]["content"] += content
            elif content:
                messages.append({"role": turn.role, "content": content})
        if not messages and system:
            messages = [{"role": "user", "content": [system.pop()]}]
        if not messages:
            raise Refusal(400, "bad-request", "messages: there is nothing in them")
        return system, messages

    def _content(self, turn: Turn) -> list[Block]:
        content: list[Block] = []
        for part in turn.parts:
            if type(part) is Text:  # nearly all are
                content += self._text(part)
            else:
                content += self._part(part, turn)
        return content

    def _part(self, part: Part, turn: Turn) -> list[Block]:
        match part:
            case Call():
                return [self._call(part)]
            case Result():
                return [self._result(part)]
            case Thinking():
                return self._thinking(part) if turn.role == "assistant" else []
            case Media():
                return self._media(part)
            case _:
                return self._hosted(part)

    def _hosted(self, part: Part) -> list[Block]:
        """What a vendor made of itself. A search that Anthropic has not sealed it refuses."""
        match part:
            case Search() if NAME in part.extra:
                return searched(part)
            case Search():
                self._lost.add("web_search")
            case Compaction():
                if part.summary:
                    return [{"type": "text", "text": part.summary}]
                self._lost.add("compaction")
            case Opaque():
                if part.format == NAME and isinstance(part.value, dict):
                    return [dict(part.value)]
                self._lost.add(part.kind)
        return []

    def _text(self, part: Text) -> list[Block]:
        if part.citations:
            self._lost.add("citations")
        if not part.text or part.text.isspace():
            return []
        block = {"type": "text", "text": part.text}
        return [block if part.cache is None else _marked(block, part.cache)]

    def _thinking(self, part: Thinking) -> list[Block]:
        """Only what Anthropic has signed: anything else it refuses."""
        seal = signature.own(part.signature, NAME)
        if not seal:
            return []
        if part.redacted:
            return [{"type": "redacted_thinking", "data": seal}]
        return [{"type": "thinking", "thinking": part.text, "signature": seal}]

    def _call(self, part: Call) -> Block:
        block = {"type": "tool_use", "id": identifier(part.id), "name": self._names.send(part.name)}
        block["input"] = given(part, self._lost)
        return _marked(block | part.extra.get(NAME, {}), part.cache)

    def _result(self, part: Result) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": identifier(part.call_id)}
        content: list[Block] = []
        for inner in part.parts:
            if isinstance(inner, Media):
                content += self._media(inner)
            elif NAME in inner.extra:
                content.append(dict(inner.extra[NAME]))
            elif inner.text:
                content.append(_marked({"type": "text", "text": inner.text}, inner.cache))
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            block["content"] = content[0]["text"]
        elif content:
            block["content"] = content
        if part.is_error:
            block["is_error"] = True
        return _marked(block, part.cache)

    def _media(self, part: Media) -> list[Block]:
        if part.kind == "file" and part.extra.get(NAME, {}).get("type") == "search_result":
            return [dict(part.extra[NAME])]
        source = _source(part)
        if source is None:
            self._lost.add(part.mime if part.kind == "file" and part.mime else part.kind)
            return []
        if part.kind == "image":
            return [_marked({"type": "image", "source": source}, part.cache)]
        block: Block = {"type": "document", "source": source}
        if part.name:
            block["title"] = part.name
        return [_marked(block | part.extra.get(NAME, {}), part.cache)]


def _source(part: Media) -> Block | None:
    """None for what Anthropic takes in no block: sound, films, documents other than PDF and text."""
    if part.kind not in ("image", "file"):
        return None
    if part.url:
        return {"type": "url", "url": part.url}
    if part.file_id:
        return {"type": "file", "file_id": part.file_id}
    if part.kind == "image":
        return {"type": "base64", "media_type": _TYPES.get(part.mime, part.mime), "data": part.data}
    if part.mime == "application/pdf" or (part.data and not part.mime):
        return {"type": "base64", "media_type": "application/pdf", "data": part.data}
    text = part.text if not part.data else _plain(part)
    return None if text is None else {"type": "text", "media_type": "text/plain", "data": text}


def _plain(part: Media) -> str | None:
    if not part.mime.startswith("text/") and part.mime not in ("application/json", "application/xml"):
        return None
    try:
        return base64.b64decode(part.data).decode()
    except (binascii.Error, ValueError):
        return None


def _marked(block: Block, cache: Any) -> Block:
    if isinstance(cache, dict):
        block["cache_control"] = cache
    return block


def mark_few(blocks: list[Block]) -> None:
    """Keeps Anthropic's rules for cache marks in `blocks`, given in the order tools, system, messages: four at most,
    the last ones; and none that lives an hour after one that lives five minutes."""
    marked = [block for block in blocks if isinstance(block.get("cache_control"), dict)]
    for block in marked[:-_MARKS]:
        del block["cache_control"]
    short = False
    for block in marked[-_MARKS:]:
        if block["cache_control"].get("ttl") != "1h":
            short = True
        elif short:
            block["cache_control"] = block["cache_control"] | {"ttl": "5m"}
