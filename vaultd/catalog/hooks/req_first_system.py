"""`api.first-system`: for an endpoint that refuses a request without a fixed first system block.

Off unless an operator writes the text. It goes before the client's own system text, of which nothing is taken away;
where the client's own begins with it, nothing is done. The refusal of such an endpoint names the option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from vaultd.catalog.hooks.shape import Asked, Body, RequestHook, Row
from vaultd.catalog.manifest import FormatName, Provider

#: How a vendor refuses: as a bad request, or as one that this credential may not make.
_REFUSED: Final = frozenset({400, 401, 403})

_items: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _Item(msgspec.Struct):
    """A block, a part or a message, as far as its text."""

    text: Any = None
    role: Any = None
    content: Any = None


_item: Final = msgspec.json.Decoder(_Item)


def first_system(text: str) -> RequestHook:
    """The hook that puts `text` first."""

    def edit(body: Body, asked: Asked) -> None:
        _PREPEND[asked.format](body, asked, text)

    return RequestHook(tuple(ROWS.values()), edit=edit)


def explained(provider: Provider, status: int, body: bytes) -> bytes | None:
    """A vendor's refusal with the option's name after its own words; None where it refuses for another reason."""
    api = provider.api
    if status not in _REFUSED or not any(words.encode() in body for words in api.first_system_refusals):
        return None
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    place = said.get("error") if isinstance(said, dict) and isinstance(said.get("error"), dict) else said
    option = f"`providers.{provider.id}.api.first-system`"
    how = f"{option} holds another text than this endpoint asks for" if api.first_system else f"see {option}"
    for name in ("message", "detail", "error"):
        if isinstance(place, dict) and isinstance(place.get(name), str):
            place[name] += f" ({how})"
            return msgspec.json.encode(said)
    return None


# --- by format: the client's own text stays as it stands, byte for byte where it is an array --------------------------


def _messages(body: Body, _asked: Asked, text: str) -> None:
    block = msgspec.json.encode({"type": "text", "text": text})
    own = body.raw("system")
    if own in {None, b"null", b'""'}:
        body.set_raw("system", b"[" + block + b"]")
    elif own.startswith(b'"'):
        if body.get("system") != text:
            body.set_raw("system", b"[" + block + b',{"type":"text","text":' + own + b"}]")
    else:
        _before(body, "system", block, text)


def _chat(body: Body, _asked: Asked, text: str) -> None:
    _before(body, "messages", msgspec.json.encode({"role": "system", "content": text}), text)


def _responses(body: Body, _asked: Asked, text: str) -> None:
    """`instructions` is one text: two line ends are what separates paragraphs in it."""
    own = body.get("instructions") or ""
    if isinstance(own, str) and own != text and not own.startswith(text + "\n\n"):
        body.set("instructions", f"{text}\n\n{own}" if own else text)


def _gemini(body: Body, asked: Asked, text: str) -> None:
    if asked.action == "count":
        return  # countTokens takes no system instruction
    name = "system_instruction" if "system_instruction" in body else "systemInstruction"
    own = body.get(name)
    content = own if isinstance(own, dict) else {}
    parts = [{"text": own}] if isinstance(own, str) and own else content.get("parts") or []
    parts = parts if isinstance(parts, list) else [parts]
    if not (parts and isinstance(parts[0], dict) and parts[0].get("text") == text):
        body.set(name, content | {"parts": [{"text": text}, *parts]})


def _before(body: Body, name: str, block: bytes, text: str) -> None:
    """`block` before the items of an array, unless the first of them says `text`."""
    own = body.raw(name) or b""
    try:
        items = _items.decode(own)
        first = _item.decode(items[0]) if items else _Item()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the vendor says what is wrong with it
    content = first.content
    if first.role in {"system", "developer"} and isinstance(content, list) and content and isinstance(content[0], dict):
        content = content[0].get("text")
    if first.text != text and not (first.role in {"system", "developer"} and content == text):
        body.set_raw(name, b"[" + block + (b"," if items else b"") + own[1:])


_PREPEND: Final[Mapping[FormatName, Callable[[Body, Asked, str], None]]] = {
    "anthropic-messages": _messages,
    "openai-chat": _chat,
    "openai-responses": _responses,
    "gemini": _gemini,
}
_WHY: Final = "the endpoint refuses a request without it"
#: One for each format; the test takes the one that applies.
ROWS: Final[Mapping[FormatName, Row]] = {
    "anthropic-messages": Row("system", "set", "a text block of its own, before the client's", _WHY),
    "openai-chat": Row("messages", "changed", "a system message of its own, before the client's", _WHY),
    "openai-responses": Row("instructions", "set", "the text, an empty line, then the client's", _WHY),
    "gemini": Row("systemInstruction", "set", "a part of its own, before the client's", _WHY),
}
