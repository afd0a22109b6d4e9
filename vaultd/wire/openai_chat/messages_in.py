"""A client's `messages` as turns. Contents and tool calls may have the shapes that real clients give them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire import expected
from vaultd.wire.ir import Call, Media, Opaque, Part, Request, Result, Text, Thinking, Turn
from vaultd.wire.media import audio_mime, mime_of
from vaultd.wire.openai_chat.face import NAME
from vaultd.wire.openai_chat.parts import image_of, located, signature_of
from vaultd.wire.refusal import Refusal

_SYSTEM: Final = frozenset({"system", "developer"})
#: `function` is the older one.
_RESULTS: Final = frozenset({"tool", "function"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
_IMAGES: Final = frozenset({"image_url", "input_image"})


def read_messages(messages: Any, request: Request) -> None:
    """Fills `request.system` and `request.turns`, not yet settled. Raises Refusal 400."""
    if messages is None:
        raise Refusal(400, "bad-request", "'messages' is missing")
    reading = _Reading(request)
    for at, said in enumerate(expected.array(messages, "messages")):
        reading.message(expected.mapping(said, f"messages[{at}]"), f"messages[{at}]")


class _Reading:
    def __init__(self, request: Request) -> None:
        self._request = request

    def message(self, said: dict[str, Any], name: str) -> None:
        role = expected.text(said.get("role"), f"{name}.role")
        if role == "user":
            self._turn(Turn("user", self._content(said, name)))
        elif role == "assistant":
            self._turn(Turn("assistant", self._assistant(said, name)))
        elif role in _RESULTS:
            result = self._result(said, name)
            result.name = expected.text(said.get("name"), f"{name}.name")
            self._turn(Turn("user", [result]))
        elif role in _SYSTEM:
            self._system(self._content(said, name))
        else:
            raise Refusal(400, "bad-request", f"'{name}.role' is none of system, developer, user, assistant and tool")
        if said.get("name") and role not in _RESULTS:
            self._request.unread.append("name")

    def _turn(self, turn: Turn) -> None:
        self._request.turns.append(turn)

    def _system(self, parts: list[Part]) -> None:
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) < len(parts):
            self._request.unread.append("system.content")
        if self._request.turns:
            self._turn(Turn("system", [*texts]))
        else:
            self._request.system += texts

    def _assistant(self, said: dict[str, Any], name: str) -> list[Part]:
        parts: list[Part] = []
        thought = said.get("reasoning_content") or said.get("reasoning")
        if thought and isinstance(thought, str):
            parts.append(Thinking(thought))
        parts += self._content(said, name)
        refusal = expected.text(said.get("refusal"), f"{name}.refusal")
        if refusal:
            parts.append(Text(refusal, refusal=True))
        for item in expected.array(said.get("images"), f"{name}.images"):
            image = image_of(item)
            if image is not None:
                parts.append(image)
        for at, call in enumerate(expected.array(said.get("tool_calls"), f"{name}.tool_calls")):
            parts.append(_call(expected.mapping(call, f"{name}.tool_calls[{at}]"), f"{name}.tool_calls[{at}]"))
        legacy = expected.mapping(said.get("function_call"), f"{name}.function_call")
        if legacy.get("name"):
            parts.append(_call({"function": legacy}, f"{name}.function_call"))
        if said.get("audio"):
            self._request.unread.append("audio")
        return parts

    def _result(self, said: dict[str, Any], name: str) -> Result:
        content = {key: value for key, value in said.items() if key != "cache_control"}
        parts: list[Text | Media] = []
        for part in self._content(content, name):
            if isinstance(part, Text | Media):
                parts.append(part)
            else:
                self._request.unread.append("tool.content")
        ident = expected.text(said.get("tool_call_id"), f"{name}.tool_call_id")
        return Result(ident, parts=parts, cache=said.get("cache_control"))

    def _content(self, said: dict[str, Any], name: str) -> list[Part]:
        content = said.get("content")
        if content is None:
            return []
        if isinstance(content, str):
            parts: list[Part] = [Text(content)] if content else []
        elif isinstance(content, list):
            parts = []
            for at, item in enumerate(content):
                if isinstance(item, str):
                    parts += [Text(item)] if item else []
                else:
                    self._part(expected.mapping(item, f"{name}.content[{at}]"), f"{name}.content[{at}]", parts)
        else:
            raise expected.wrong(f"{name}.content", "a string or an array")
        cache = said.get("cache_control")  # some clients mark the message, not its last part
        if cache is not None and parts and isinstance(last := parts[-1], Text | Media):
            last.cache = last.cache or cache
        return parts

    def _part(self, said: dict[str, Any], name: str, parts: list[Part]) -> None:
        kind = expected.text(said.get("type"), f"{name}.type")
        cache = said.get("cache_control")
        if kind in _TEXTS:
            text = expected.text(said.get("text"), f"{name}.text")
            if text:
                parts.append(Text(text, cache=cache))
        elif kind == "refusal":
            parts.append(Text(expected.text(said.get("refusal"), f"{name}.refusal"), refusal=True))
        elif kind in _IMAGES:
            image = image_of(said)
            if image is None:
                raise expected.wrong(f"{name}.image_url", "an object with a URL")
            image.cache = cache
            parts.append(image)
        elif (media := _media(kind, said, name)) is not None:
            media.cache = cache
            parts.append(media)
        elif kind == "thinking":
            parts.append(Opaque(NAME, "thinking", said))  # Mistral's, whose content holds its thinking
        else:
            self._request.unread.append(kind or f"{name}.type")


def _media(kind: str, said: dict[str, Any], name: str) -> Media | None:
    """Sound, film or document; `audio_url` and `video_url` are vLLM's."""
    if kind == "input_audio":
        audio = expected.mapping(said.get("input_audio"), f"{name}.input_audio")
        data = expected.text(audio.get("data"), f"{name}.input_audio.data")
        mime = audio_mime(expected.text(audio.get("format"), f"{name}.input_audio.format") or "wav")
        media = Media(kind="audio", mime=mime)
        return located(media, data) if data.startswith("data:") else msgspec.structs.replace(media, data=data)
    if kind in {"audio_url", "video_url"}:
        inner = said.get(kind)
        url = inner.get("url") if isinstance(inner, dict) else inner
        return located(Media(kind="audio" if kind == "audio_url" else "video"), expected.text(url, f"{name}.{kind}"))
    if kind in {"file", "input_file"}:
        return _file(expected.mapping(said.get("file") or said, f"{name}.file"), f"{name}.file")
    return None


def _file(said: dict[str, Any], name: str) -> Media:
    title = expected.text(said.get("filename"), f"{name}.filename")
    data = expected.text(said.get("file_data"), f"{name}.file_data")
    url = expected.text(said.get("file_url"), f"{name}.file_url")
    ident = expected.text(said.get("file_id"), f"{name}.file_id")
    media = Media(kind="file", name=title)
    if ident:
        media.file_id = ident
    elif data and ":" not in data[:8]:  # bare base64
        media.data, media.mime = data, mime_of(title)
    elif data or url:
        located(media, data or url)
    else:
        raise Refusal(400, "bad-request", f"'{name}' has neither 'file_data' nor 'file_id'")
    return media


def _call(said: dict[str, Any], name: str) -> Call:
    custom = said.get("custom")
    if isinstance(custom, dict) and not isinstance(said.get("function"), dict):
        inner, kind, spoken = custom, "custom", "input"
    else:
        inner, kind, spoken = expected.mapping(said.get("function"), f"{name}.function"), "function", "arguments"
    arguments = inner.get(spoken)
    if isinstance(arguments, dict):
        arguments = msgspec.json.encode(arguments).decode()
    return Call(
        expected.text(said.get("id"), f"{name}.id"),
        expected.text(inner.get("name"), f"{name}.{kind}.name"),
        expected.text(arguments, f"{name}.{kind}.{spoken}"),
        kind="custom" if kind == "custom" else "function",
        signature=signature_of(said),
        cache=said.get("cache_control"),
    )
