"""Input items as turns. A conversation is a flat list here; neighbours of one side become one turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Literal

import msgspec

from vaultd.wire import expected, signature
from vaultd.wire.ir import Call, CallKind, Compaction, Media, Part, Request, Result, Role, Search, Text, Thinking, Turn
from vaultd.wire.media import audio_mime, mime_of, split_data_url
from vaultd.wire.openai_responses.tools_in import Tools

#: A tuple, for what is asked whether it is one of them may be of any type.
_TEXTS: Final = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_ROLES: Final[dict[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}


class Items:
    """Appends to `request.turns`; what other formats cannot stand in for goes to `request.rest` or `.unread`."""

    def __init__(self, request: Request, tools: Tools) -> None:
        self._request = request
        self._tools = tools
        self._parts: list[Part] = []
        self._role: Role | None = None
        #: Google's seal of the call or text that follows (`stream_out` sends it ahead, for a call has no place for it).
        self._seal = ""

    def read(self, items: list[Any]) -> None:
        # Tools first: a late declaration tells what the calls before it were named.
        for at, item in enumerate(items):
            if isinstance(item, dict) and item.get("type") in ("additional_tools", "tool_search_output"):
                self._tools.declare(expected.array(item.get("tools"), f"input[{at}].tools"), f"input[{at}].tools")
        done = 0
        try:
            for item in items:
                self._item(expected.mapping(item, ""))
                done += 1
        except expected.Wrong as wrong:
            raise wrong.within(f"input[{done}]") from None

    def _item(self, item: dict[str, Any]) -> None:
        kind = item.get("type")
        if kind is None or kind == "message":
            self._message(item)
        elif isinstance(kind, str) and (reads := self._READS.get(kind)) is not None:
            reads(self, item)
        elif kind != "additional_tools":
            self._request.unread.append(expected.text(kind, "type"))

    def _say(self, role: Role, part: Part) -> None:
        if role != self._role:
            self._role, self._parts = role, []
            self._request.turns.append(Turn(role, self._parts))
        self._parts.append(part)

    def _message(self, item: dict[str, Any]) -> None:
        role = _ROLES.get(expected.text(item.get("role"), "role"))
        if role is None:
            raise expected.wrong("role", "user, assistant, system or developer")
        for part in self._content(item.get("content"), "content"):
            if role == "assistant":
                self._say(role, self._sealed(part))
            elif role == "user":
                self._say(role, part)
            elif not isinstance(part, Text):
                self._request.unread.append(f"system.{part.kind}")
            elif self._request.turns:
                self._say(role, part)
            else:
                self._request.system.append(part)

    def _content(self, content: Any, name: str) -> list[Text | Media]:
        if isinstance(content, str):
            return [Text(content)] if content else []
        parts: list[Text | Media] = []
        for said in expected.array(content, name):
            # A turn of 170 kB is texts, nearly all of it.
            if type(said) is dict and said.get("type") in _TEXTS and type(text := said.get("text")) is str and text:
                parts.append(Text(text))
            elif (part := self._part(expected.mapping(said, name))) is not None:
                parts.append(part)
        return parts

    def _part(self, said: dict[str, Any]) -> Text | Media | None:
        kind = expected.text(said.get("type"), "content.type")
        if kind in _TEXTS:
            text = expected.text(said.get("text"), "content.text")
            return Text(text) if text else None
        if kind == "refusal":
            text = expected.text(said.get("refusal"), "refusal")
            return Text(text, refusal=True) if text else None
        if kind == "input_image":
            return _image(said)
        if kind == "input_file":
            return _file(said)
        if kind == "input_audio":
            sound = expected.mapping(said.get("input_audio"), "input_audio")
            form = expected.text(sound.get("format"), "input_audio.format") or "wav"
            data = expected.text(sound.get("data"), "input_audio.data")
            return Media(kind="audio", mime=audio_mime(form), data=data)
        self._request.unread.append(kind)
        return None

    def _sealed(self, part: Text | Media | Call) -> Text | Media | Call:
        if self._seal and not isinstance(part, Media):
            part.signature, self._seal = self._seal, ""
        return part

    def _call(self, item: dict[str, Any], kind: CallKind, said: str) -> None:
        name = expected.text(item.get("name"), "name")
        namespace = expected.text(item.get("namespace"), "namespace")
        arguments = item.get(said)
        if isinstance(arguments, dict):
            arguments = msgspec.json.encode(arguments).decode()
        call = Call(
            _call_id(item),
            self._tools.called(name, namespace),
            expected.text(arguments, said),
            kind,
        )
        self._sealed(call)
        self._say("assistant", call)

    def _function_call(self, item: dict[str, Any]) -> None:
        self._call(item, "function", "arguments")

    def _custom_call(self, item: dict[str, Any]) -> None:
        self._call(item, "custom", "input")

    def _shell_call(self, item: dict[str, Any]) -> None:
        action = msgspec.json.encode(item.get("action")).decode()
        self._say("assistant", Call(_call_id(item), "local_shell", action))

    def _output(self, item: dict[str, Any]) -> None:
        kind: CallKind = "custom" if item["type"] == "custom_tool_call_output" else "function"
        parts = self._content(item.get("output"), "output")
        self._say("user", Result(_call_id(item), parts=parts, kind=kind))

    def _reasoning(self, item: dict[str, Any]) -> None:
        texts = _texts(item.get("summary")) + _texts(item.get("content"))
        sealed = expected.text(item.get("encrypted_content"), "encrypted_content")
        sealed = signature.returned(sealed, "openai-responses")
        if not texts and signature.own(sealed, "gemini"):
            self._seal = sealed
            return
        if texts or sealed:
            sealed, redacted = signature.unredacted(sealed)
            self._say("assistant", Thinking("\n\n".join(texts), sealed, redacted))

    def _search(self, item: dict[str, Any]) -> None:
        action = item.get("action")
        query = action.get("query") if isinstance(action, dict) else None
        given = expected.text(item.get("id"), "id")
        self._say("assistant", Search(given, query if isinstance(query, str) else ""))

    def _image_made(self, item: dict[str, Any]) -> None:
        data = expected.text(item.get("result"), "result")
        if data:
            form = item.get("output_format")
            mime = f"image/{form if isinstance(form, str) else 'png'}"
            self._say("assistant", Media(kind="image", mime=mime, data=data))

    def _compaction(self, item: dict[str, Any]) -> None:
        content = expected.text(item.get("encrypted_content"), "encrypted_content")
        given = expected.text(item.get("id"), "id")
        self._say("user", Compaction(content, id=given))

    def _trigger(self, item: dict[str, Any]) -> None:
        self._request.rest["compaction_trigger"] = True

    def _reference(self, item: dict[str, Any]) -> None:
        self._request.rest["item_reference"] = True

    _READS: ClassVar[dict[str, Callable[[Items, dict[str, Any]], None]]] = {
        "function_call": _function_call,
        "custom_tool_call": _custom_call,
        "local_shell_call": _shell_call,
        "function_call_output": _output,
        "custom_tool_call_output": _output,
        "local_shell_call_output": _output,
        "reasoning": _reasoning,
        "web_search_call": _search,
        "image_generation_call": _image_made,
        "compaction": _compaction,
        "compaction_summary": _compaction,
        "compaction_trigger": _trigger,
        "item_reference": _reference,
    }


def _call_id(item: dict[str, Any]) -> str:
    return expected.text(item.get("call_id") or item.get("id"), "call_id")


def _texts(parts: Any) -> list[str]:
    found = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return [text for text in found if isinstance(text, str) and text]


def _image(said: dict[str, Any]) -> Media:
    url = said.get("image_url")
    if isinstance(url, dict):  # chat's shape
        url = url.get("url")
    media = _located("image", expected.text(url, "image_url"), said)
    detail = expected.text(said.get("detail"), "detail")
    media.detail = "" if detail == "auto" else detail  # the default is nothing said
    return media


def _file(said: dict[str, Any]) -> Media:
    name = expected.text(said.get("filename"), "filename")
    data = expected.text(said.get("file_data"), "file_data")
    if not data:
        url = expected.text(said.get("file_url"), "file_url")
        media = _located("file", url, said)
        media.mime = media.mime or mime_of(name)
    elif (split := split_data_url(data)) is not None:
        media = Media(kind="file", mime=split[0], data=split[1])
    else:  # bare base64, as the API takes it too
        media = Media(kind="file", mime=mime_of(name), data=data)
    media.name = name
    return media


def _located(kind: Literal["image", "file"], url: str, said: dict[str, Any]) -> Media:
    file_id = expected.text(said.get("file_id"), "file_id")
    split = split_data_url(url) if url else None
    if split is not None:
        return Media(kind=kind, mime=split[0], data=split[1])
    if url:
        return Media(kind=kind, mime=mime_of(url), url=url)
    if file_id:
        return Media(kind=kind, file_id=file_id)
    raise expected.wrong("", "an image or a file")
