"""Turns as input items."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from vaultd.wire import media as naming
from vaultd.wire import signature
from vaultd.wire.ir import Call, Compaction, Media, Opaque, Part, Result, Role, Search, Text, Thinking, Turn
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names
from vaultd.wire.turns import plain_text

#: The Codex backend refuses longer ids of calls.
_LONGEST_ID: Final = 64
_KEPT: Final = 47

#: The API's default, which its types want said.
_DETAIL: Final = "auto"

Item = dict[str, Any]


def short(call_id: str) -> str:
    """An id within the limit, the same for a call and its result in every request."""
    if len(call_id) <= _LONGEST_ID:
        return call_id
    return f"{call_id[:_KEPT]}_{hashlib.sha256(call_id.encode()).hexdigest()[:16]}"


class Items:
    """`written` is the input."""

    def __init__(self, names: Names, lost: Loss) -> None:
        self._names = names
        self._lost = lost
        self.written: list[Item] = []

    def system(self, texts: list[Text]) -> None:
        """The API knows the role as `developer`, and the Codex backend no other."""
        parts = [{"type": "input_text", "text": text.text} for text in texts if text.text]
        if parts:
            self.written.append(_message("developer", parts))

    def turn(self, turn: Turn) -> None:
        if (text := plain_text(turn)) is not None:
            self.written.append(_plain(turn.role, text))
            return
        if turn.role == "system":
            self.system([part for part in turn.parts if isinstance(part, Text)])
            return
        said: list[Item] = []
        for part in turn.parts:
            if isinstance(part, Text):
                if part.text:
                    said.append(_text(part, turn.role))
            elif isinstance(part, Media) and turn.role == "user":
                if (shown := self._media(part)) is not None:
                    said.append(shown)
            elif (item := self._item(part)) is not None:
                self._said(turn, said)
                said = []
                self.written.append(item)
        self._said(turn, said)

    def _said(self, turn: Turn, said: list[Item]) -> None:
        if said:
            self.written.append(_message(turn.role, said))

    def _item(self, part: Part) -> Item | None:
        match part:
            case Call():
                return self._call(part)
            case Result():
                return self._result(part)
            case Thinking():
                # Another vendor's would be refused, and what it shows is no part of the conversation.
                sealed = signature.own(part.signature, "openai-responses")
                return _reasoning(part, sealed) if sealed else None
            case Compaction():
                if part.summary:
                    return _message("user", [{"type": "input_text", "text": part.summary}])
                return {"type": "compaction", "encrypted_content": part.content}
            case Opaque() if part.format == "openai-responses" and isinstance(part.value, dict):
                return part.value
            case Opaque():
                self._lost.add(part.kind)
            case Search():
                self._lost.add("web_search_call")  # the API looks its id up, and finds none
            case Media():
                self._lost.add(f"assistant.{part.kind}")
        return None

    def _call(self, call: Call) -> Item:
        name, call_id = self._names.send(call.name), short(call.id)
        if call.kind == "custom":
            return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": call.arguments}
        return {"type": "function_call", "call_id": call_id, "name": name, "arguments": call.arguments or "{}"}

    def _result(self, result: Result) -> Item:
        if result.is_error:
            self._lost.add("tool_result.is_error")
        output: str | list[Item]
        if not result.parts:
            output = ""
        elif len(result.parts) == 1 and isinstance(result.parts[0], Text):
            output = result.parts[0].text
        else:
            output = []
            for part in result.parts:
                shown = _text(part, "user") if isinstance(part, Text) else self._media(part)
                if shown is not None:
                    output.append(shown)
        kind = "custom_tool_call_output" if result.kind == "custom" else "function_call_output"
        return {"type": kind, "call_id": short(result.call_id), "output": output}

    def _media(self, media: Media) -> Item | None:
        if media.kind == "image":
            return _image(media)
        if media.kind == "file":
            return _file(media)
        # Sounds too: a message has no part for them, and as a file they are refused (recorded of api.openai.com).
        self._lost.add(media.kind)
        return None


def _message(role: str, content: list[Item]) -> Item:
    return {"type": "message", "role": role, "content": content}


def _plain(role: Role, text: str) -> Item:
    if role == "assistant":
        return _message(role, [{"type": "output_text", "text": text, "annotations": []}])
    return _message("user" if role == "user" else "developer", [{"type": "input_text", "text": text}])


def _reasoning(thinking: Thinking, sealed: str) -> Item:
    """As Codex sends it back: with what it showed, and without an id, which must be the one that was sealed."""
    summary = [{"type": "summary_text", "text": thinking.text}] if thinking.text else []
    return {"type": "reasoning", "summary": summary, "encrypted_content": sealed}


def _text(text: Text, role: str) -> Item:
    if role != "assistant":
        return {"type": "input_text", "text": text.text}
    if text.refusal:
        return {"type": "refusal", "refusal": text.text}
    return {"type": "output_text", "text": text.text, "annotations": []}


def _image(media: Media) -> Item:
    shown: Item = {"type": "input_image"}
    if media.file_id:
        shown["file_id"] = media.file_id
    else:
        shown["image_url"] = media.url or naming.data_url(media)
    shown["detail"] = media.detail or _DETAIL
    return shown


def _file(media: Media) -> Item:
    if media.text:
        return {"type": "input_text", "text": media.text}
    shown: Item = {"type": "input_file"}
    if media.file_id:
        shown["file_id"] = media.file_id
    elif media.url:
        shown["file_url"] = media.url
    else:
        # The API demands a name, and tells the kind of document by its ending.
        shown["filename"] = media.name or f"file.{media.mime.rpartition('/')[2] or 'bin'}"
        shown["file_data"] = naming.data_url(media)
    return shown
