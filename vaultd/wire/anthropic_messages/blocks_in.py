"""A client's content blocks as parts of a turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from vaultd.wire import signature
from vaultd.wire.anthropic_messages.answer_in import cited, found, query, searches
from vaultd.wire.anthropic_messages.face import NAME
from vaultd.wire.ir import Call, Media, Opaque, Part, Result, Search, Text, Thinking
from vaultd.wire.media import mime_of

_OTHERS: Final = ("openai-responses", "gemini")
#: Claude Code's account of itself to Anthropic: it changes with every prompt, and no other vendor has any use for it.
_BILLING: Final = "x-anthropic-billing-header:"


class Misread(ValueError):
    """A member of the wrong type; the message is its path."""


def text_of(said: dict[str, Any], name: str, path: str = "") -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Misread(path or name)
    return value


def object_of(said: dict[str, Any], name: str, path: str = "") -> dict[str, Any] | None:
    value = said.get(name)
    if value is None or isinstance(value, dict):
        return value
    raise Misread(path or name)


def system_texts(content: Any, where: str) -> list[Text]:
    """A text, or blocks of it."""
    if content is None:
        return []
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise Misread(where)
    texts: list[Text] = []
    for at, block in enumerate(content):
        if not isinstance(block, dict) or block.get("type") != "text":
            raise Misread(f"{where}.{at}.type")
        text = text_of(block, "text", f"{where}.{at}.text")
        if text.strip() and not text.startswith(_BILLING):
            texts.append(Text(text, block.get("cache_control")))
    return texts


def block_in(block: Any, parts: list[Part], unread: list[str]) -> None:
    """Adds what `block` says to `parts`, and to `unread` what of it no part can hold. Raises Misread."""
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        raise Misread("type")
    known = _BLOCKS.get(kind)
    if known is not None:
        known(block, parts, unread)
    else:
        parts.append(Opaque(NAME, kind, block))


def _text(block: dict[str, Any], parts: list[Part], _: list[str]) -> None:
    text = text_of(block, "text")
    if not text or text.isspace():
        return
    citations = block.get("citations")
    told = [cited(one) for one in citations if isinstance(one, dict)] if isinstance(citations, list) else []
    parts.append(Text(text, block.get("cache_control"), told))


def _thinking(block: dict[str, Any], parts: list[Part], _: list[str]) -> None:
    parts.append(Thinking(text_of(block, "thinking"), _sealed(text_of(block, "signature"))))


def _redacted(block: dict[str, Any], parts: list[Part], _: list[str]) -> None:
    parts.append(Thinking("", _sealed(text_of(block, "data")), redacted=True))


def _sealed(text: str) -> str:
    """What nobody else has sealed a vendor of this format has, whose answer was passed on as it came."""
    return text if any(signature.own(text, fmt) for fmt in _OTHERS) else signature.carry(text, NAME)


def _call(block: dict[str, Any], parts: list[Part], _: list[str]) -> None:
    given = block.get("input")
    call = Call(
        text_of(block, "id"),
        text_of(block, "name"),
        msgspec.json.encode(given).decode() if given is not None else "{}",
        cache=block.get("cache_control"),
    )
    if "caller" in block:
        call.extra = {NAME: {"caller": block["caller"]}}
    last = parts[-1] if parts else None
    # A seal that `answer_out` put before the call.
    if isinstance(last, Thinking) and not last.text and signature.own(last.signature, "gemini"):
        call.signature = last.signature
        parts.pop()
    parts.append(call)


def _result(block: dict[str, Any], parts: list[Part], unread: list[str]) -> None:
    content = block.get("content")
    told: list[Part] = []
    if isinstance(content, str):
        told = [Text(content)] if content else []
    elif isinstance(content, list):
        for at, inner in enumerate(content):
            try:
                _inside(inner, told, unread)
            except Misread as wrong:
                raise Misread(f"content.{at}.{wrong}") from None
    elif content is not None:
        raise Misread("content")
    kept: list[Text | Media] = []
    for part in told:
        if isinstance(part, Text | Media):
            kept.append(part)
        elif isinstance(part, Opaque):
            unread.append(f"tool_result.{part.kind}")
    failed = block.get("is_error") is True
    parts.append(Result(text_of(block, "tool_use_id"), parts=kept, is_error=failed, cache=block.get("cache_control")))


def _inside(block: Any, told: list[Part], unread: list[str]) -> None:
    """A block of a tool's result. A tool that was found by a search is told by its name."""
    if isinstance(block, dict) and block.get("type") == "tool_reference":
        told.append(Text(text_of(block, "tool_name"), extra={NAME: block}))
    elif isinstance(block, dict) and block.get("type") == "text":
        text = text_of(block, "text")
        if text:
            told.append(Text(text, block.get("cache_control")))
    else:
        block_in(block, told, unread)


def _image(block: dict[str, Any], parts: list[Part], unread: list[str]) -> None:
    media = _source(block, "image", unread)
    if media is not None:
        parts.append(media)


def _document(block: dict[str, Any], parts: list[Part], unread: list[str]) -> None:
    media = _source(block, "file", unread)
    if media is None:
        return
    media.name = text_of(block, "title")
    extra: dict[str, Any] = {}
    for name in ("context", "citations"):
        value = block.get(name)
        if value and value != {"enabled": False}:
            extra[name] = value
            unread.append(f"document.{name}")
    media.extra = {NAME: extra} if extra else {}
    parts.append(media)


def _source(block: dict[str, Any], kind: Any, unread: list[str]) -> Media | None:
    """The image or document of `source`; None, and said so, where nobody knows what kind of source that is."""
    source = block.get("source")
    if not isinstance(source, dict):
        raise Misread("source")
    media = Media(kind=kind, mime=text_of(source, "media_type", "source.media_type"), cache=block.get("cache_control"))
    match source.get("type"):
        case "base64":
            media.data = text_of(source, "data", "source.data")
        case "url":
            media.url = text_of(source, "url", "source.url")
            media.mime = media.mime or mime_of(media.url)
        case "file":
            media.file_id = text_of(source, "file_id", "source.file_id")
        case "text":
            media.text = text_of(source, "data", "source.data")
            media.mime = media.mime or "text/plain"
        case "content":
            media.text = _joined(source.get("content"), unread)
            media.mime = "text/plain"
        case other:
            unread.append(f"{block['type']}.source.{other}")
            return None
    return media


def _joined(content: Any, unread: list[str]) -> str:
    """The texts of a document that was given in pieces."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Misread("source.content")
    texts: list[str] = []
    for piece in content:
        if not isinstance(piece, dict):
            raise Misread("source.content")
        if piece.get("type") == "text":
            texts.append(text_of(piece, "text", "source.content"))
        else:
            unread.append("document.source.content")
    return "\n".join(texts)


def _search_result(block: dict[str, Any], parts: list[Part], unread: list[str]) -> None:
    name = text_of(block, "title") or text_of(block, "source")
    text = _joined(block.get("content"), unread)
    extra = {NAME: block}
    parts.append(
        Media(kind="file", mime="text/plain", text=text, name=name, cache=block.get("cache_control"), extra=extra)
    )


def _server_call(block: dict[str, Any], parts: list[Part], _: list[str]) -> None:
    if searches(block):
        parts.append(Search(text_of(block, "id"), query(block)))
    else:
        parts.append(Opaque(NAME, "server_tool_use", block))


def _server_result(block: dict[str, Any], parts: list[Part], _: list[str]) -> None:
    """Joins the search it answers, wherever in the turn that was."""
    name = text_of(block, "tool_use_id")
    told = found(name, "", block.get("content"))
    for at, part in enumerate(parts):
        if isinstance(part, Search) and part.id == name:
            told.query = part.query
            parts[at] = told
            return
    parts.append(told)


_BLOCKS: Final[dict[str, Callable[[dict[str, Any], list[Part], list[str]], None]]] = {
    "text": _text,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _call,
    "tool_result": _result,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "server_tool_use": _server_call,
    "web_search_tool_result": _server_result,
}
