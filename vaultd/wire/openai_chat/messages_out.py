"""Turns as a vendor's `messages`.

An assistant's text, reasoning and calls are one message, each result one of its own. Content is a plain string wherever
it can be: many vendors of this format take no other.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from vaultd.wire import custom, signature
from vaultd.wire.ir import Call, Compaction, Media, Opaque, Part, Request, Result, Search, Text, Turn
from vaultd.wire.loss import Loss
from vaultd.wire.media import audio_format, data_url
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.face import NAME
from vaultd.wire.openai_chat.parts import image_told, signature_told, spread, url_of
from vaultd.wire.refusal import Refusal
from vaultd.wire.turns import plain_text

Message = dict[str, Any]

#: What a part has that may as well be a string.
_BARE: Final = {"type", "text"}


def write_messages(request: Request, names: Names, lost: Loss) -> list[Message]:
    """Raises Refusal 400 for media that the grammar has no place for."""
    messages: list[Message] = []
    if request.system:
        messages.append({"role": "system", "content": _content([*request.system], lost)})
    for turn in request.turns:
        if (text := plain_text(turn)) is not None:
            messages.append({"role": turn.role, "content": text})
        elif turn.role == "assistant":
            messages += _assistant(turn, names, lost)
        elif turn.role == "user":
            messages += _user(turn, lost)
        elif content := _content(turn.parts, lost):
            messages.append({"role": "system", "content": content})
    return messages


def _user(turn: Turn, lost: Loss) -> list[Message]:
    messages = [_result(part, lost) for part in turn.parts if isinstance(part, Result)]
    content = _content([part for part in turn.parts if not isinstance(part, Result)], lost)
    if content:
        messages.append({"role": "user", "content": content})
    return messages


def _result(result: Result, lost: Loss) -> Message:
    if result.is_error:
        lost.add("tool_result.is_error")
    content = _content([*result.parts], lost, keep_blank=True)
    message: Message = {"role": "tool", "tool_call_id": result.call_id, "content": content}
    if result.cache is not None:
        message["cache_control"] = result.cache
    return message


def _assistant(turn: Turn, names: Names, lost: Loss) -> list[Message]:
    said = spread(turn.parts)
    for part in said.content:
        if isinstance(part, Text) and part.citations:
            lost.add("citations")
    content = _content(said.content, lost)
    # Only beside calls may it be null.
    message: Message = {"role": "assistant", "content": content or (None if said.tool_calls else "")}
    if thought := "\n\n".join([thinking.text for thinking in said.reasoning if thinking.text]):
        message["reasoning_content"] = thought
    if said.refusal:
        message["refusal"] = "".join([text.text for text in said.refusal])
    if said.images:
        message["images"] = [image_told(image) for image in said.images]
    if said.tool_calls:
        message["tool_calls"] = [_call(call, names) for call in said.tool_calls]
    return [message] if content or len(message) > 2 else []


def _call(call: Call, names: Names) -> Message:
    arguments = custom.wrapped(call.arguments) if call.kind == "custom" else call.arguments
    message: Message = {
        "id": call.id,
        "type": "function",
        # Some vendors parse what they are sent, and an empty text is no JSON.
        "function": {"name": names.send(call.name), "arguments": arguments or "{}"},
    }
    if sealed := signature.own(call.signature, "gemini"):
        message["extra_content"] = signature_told(sealed)
    if call.cache is not None:
        message["cache_control"] = call.cache
    return message


def _content(parts: list[Part], lost: Loss, *, keep_blank: bool = False) -> str | list[Message]:
    """A string for one text, else parts. Text that is nothing but white space is no message, only a result."""
    if len(parts) == 1 and isinstance(alone := parts[0], Text) and alone.cache is None:
        return "" if alone.text.isspace() and not keep_blank else alone.text
    written = [item for part in parts for item in _part(part, lost)]
    blank = all(item.get("type") == "text" and item["text"].isspace() for item in written)
    if not written or (blank and not keep_blank):
        return ""
    return str(written[0]["text"]) if len(written) == 1 and written[0].keys() == _BARE else written


def _part(part: Part, lost: Loss) -> list[Message]:
    if isinstance(part, Text):
        return _marked({"type": "text", "text": part.text}, part.cache) if part.text else []
    if isinstance(part, Media):
        return _marked(_media(part, lost), part.cache)
    if isinstance(part, Opaque) and part.format == NAME:
        return [part.value]
    if isinstance(part, Compaction) and part.summary:
        return [{"type": "text", "text": part.summary}]
    if isinstance(part, Opaque):
        lost.add(part.kind)
    elif isinstance(part, Search):
        lost.add("web_search")
    elif isinstance(part, Compaction):
        lost.add("compaction")
    return []


def _marked(item: Message, cache: Any) -> list[Message]:
    if cache is not None:
        item["cache_control"] = cache
    return [item]


def _media(media: Media, lost: Loss) -> Message:
    if media.kind == "file":
        return _file(media, lost)
    if media.file_id or not (media.data or media.url):
        raise Refusal(400, "bad-request", f"the vendor's format takes no {media.kind} by a file's id")
    if media.kind == "image":
        return image_told(media)
    if media.kind == "video":  # not OpenAI's own, but of those who take films in this format
        return {"type": "video_url", "video_url": {"url": url_of(media)}}
    if not media.data:
        raise Refusal(400, "bad-request", "the vendor's format takes no audio by URL")
    return {"type": "input_audio", "input_audio": {"data": media.data, "format": audio_format(media.mime)}}


def _file(media: Media, lost: Loss) -> Message:
    if media.text and not media.data:
        # The only documents OpenAI takes as files here are PDF.
        if media.name:
            lost.add("document.title")
        return {"type": "text", "text": media.text}
    said: Message = {}
    if media.file_id:
        said["file_id"] = media.file_id
    elif media.data:
        if media.mime.startswith("text/"):
            return _as_text(media, lost)
        said["file_data"] = data_url(media)
    else:
        raise Refusal(400, "bad-request", "the vendor's format takes no document by URL")
    if media.name:
        said["filename"] = media.name
    return {"type": "file", "file": said}


def _as_text(media: Media, lost: Loss) -> Message:
    try:
        text = base64.b64decode(media.data, validate=True).decode()
    except ValueError:
        return {"type": "file", "file": {"file_data": data_url(media)}}
    if media.name:
        lost.add("document.title")
    return {"type": "text", "text": text}
