"""What other vendors sealed, taken out of a request that is passed on as it is.

A client keeps what it was told, and whoever serves its next turn is sent all of it. In a translation the writer leaves
out what its vendor cannot open (`wire.signature`); where nothing is translated, the vendor would refuse the whole
conversation for one piece of reasoning that was made elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from vaultd.wire import signature

_items: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SPACE: Final = b" \t\r\n"
#: Of the searches that Anthropic made itself; it refuses any other, for it has not sealed what was found.
_OWN_SEARCH: Final = "srvtoolu_"
#: What OpenAI's clients were told of searches that Anthropic and Google made (`answer_out` of Responses).
_OTHERS_SEARCHES: Final = ("ws_srvtoolu_", "ws_search_")


class _Place(NamedTuple):
    """Where a format's requests hold what is sealed."""

    member: str
    #: The end of the names of what seals.
    key: bytes
    #: What stands in items that may be foreign for another reason.
    mark: bytes
    #: An item of `member` without what is foreign in it; None where nothing is left of it.
    cleaned: Callable[[dict[str, Any]], Any]


def member_of(fmt: str) -> str:
    """Of a request's members the one that `without` is about; "" where the format seals nothing."""
    place = _PLACES.get(fmt)
    return place.member if place else ""


def without(fmt: str, items: bytes) -> bytes:
    """The text of a request's `member_of(fmt)`; the very same bytes where all in it is the vendor's own. An item in
    which nothing is foreign keeps its bytes."""
    place = _PLACES[fmt]
    if not _suspect(fmt, place, items):
        return items
    try:
        raw = _items.decode(items)
        said = [bytes(item) for item in raw]
        told = [_item(fmt, place, item) for item in said]
    except _NOT_JSON:
        return items  # the vendor's to judge
    return items if told == said else b"[" + b",".join([item for item in told if item]) + b"]"


def _item(fmt: str, place: _Place, item: bytes) -> bytes:
    if not _suspect(fmt, place, item):
        return item
    said = msgspec.json.decode(item)
    if not isinstance(said, dict):
        return item
    cleaned = place.cleaned(said)
    if cleaned == said:
        return item
    return msgspec.json.encode(cleaned) if cleaned is not None else b""


def _suspect(fmt: str, place: _Place, text: bytes) -> bool:
    """Whether anything in it may be foreign, without a look at the rest: a conversation is long."""
    if place.mark and place.mark in text:
        return True
    at = text.find(place.key)
    while at >= 0:
        at += len(place.key)
        value = _value(text, at)
        if "\\" in value or _foreign(value, fmt):
            return True
        at = text.find(place.key, at)
    return False


def _value(text: bytes, at: int) -> str:
    """The text that follows a member's name, its escapes as they stand; "" where none does."""
    while at < len(text) and text[at] in _SPACE:
        at += 1
    if text[at : at + 1] != b":":
        return ""
    at += 1
    while at < len(text) and text[at] in _SPACE:
        at += 1
    if text[at : at + 1] != b'"':
        return ""
    end = text.find(b'"', at + 1)
    return text[at + 1 : end].decode("latin-1")


def _foreign(sealed: Any, fmt: str) -> bool:
    return isinstance(sealed, str) and signature.minted(sealed) not in ("", fmt)


def _message(said: dict[str, Any]) -> Any:
    """Anthropic's."""
    content = said.get("content")
    if not isinstance(content, list):
        return said
    kept = [_uncited(block) for block in content if not isinstance(block, dict) or _block(block)]
    return {**said, "content": kept} if kept else None


def _block(block: dict[str, Any]) -> bool:
    fmt = "anthropic-messages"
    match block.get("type"):
        case "thinking":
            return not _foreign(block.get("signature"), fmt)
        case "server_tool_use" if block.get("name") == "web_search":
            return str(block.get("id")).startswith(_OWN_SEARCH)
        case "web_search_tool_result":
            return str(block.get("tool_use_id")).startswith(_OWN_SEARCH)
    return True


def _uncited(block: Any) -> Any:
    """A text without citations of pages that Anthropic has not sealed."""
    citations = block.get("citations") if isinstance(block, dict) else None
    if not isinstance(citations, list):
        return block
    kept = [one for one in citations if not isinstance(one, dict) or one.get("encrypted_index") != ""]
    left = {name: value for name, value in block.items() if name != "citations"}
    return {**left, "citations": kept} if kept else left


def _input(item: dict[str, Any]) -> Any:
    """Responses'."""
    match item.get("type"):
        case "reasoning":
            foreign = _foreign(item.get("encrypted_content"), "openai-responses")
        case "web_search_call":
            foreign = str(item.get("id")).startswith(_OTHERS_SEARCHES)
        case _:
            foreign = False
    return None if foreign else item


def _calls(said: dict[str, Any]) -> Any:
    """Chat's. Google's own endpoint of this format seals calls too, but those seals bear no mark of ours."""
    calls = said.get("tool_calls")
    return {**said, "tool_calls": [_call(call) for call in calls]} if isinstance(calls, list) else said


def _call(call: Any) -> Any:
    content = call.get("extra_content") if isinstance(call, dict) else None
    google = content.get("google") if isinstance(content, dict) else None
    if not isinstance(google, dict) or not _foreign(google.get("thought_signature"), "openai-chat"):
        return call
    return {name: value for name, value in call.items() if name != "extra_content"}


def _content(said: dict[str, Any]) -> Any:
    """Gemini's."""
    parts = said.get("parts")
    if not isinstance(parts, list):
        return said
    kept = [told for part in parts if (told := _part(part)) is not None]
    return {**said, "parts": kept} if kept else None


def _part(part: Any) -> Any:
    """Thinking is nothing to Google without its seal; anything else is."""
    name = next((name for name in _SEALS if isinstance(part, dict) and _foreign(part.get(name), "gemini")), "")
    if not name:
        return part
    left = {member: value for member, value in part.items() if member != name}
    return None if left.get("thought") is True or left.get("text") == "" else left


_SEALS: Final = ("thoughtSignature", "thought_signature")
_PLACES: Final = MappingProxyType(
    {
        "anthropic-messages": _Place("messages", b'"signature"', b'"web_search_', _message),
        "openai-responses": _Place("input", b'"encrypted_content"', b'"web_search_call"', _input),
        "openai-chat": _Place("messages", b'"thought_signature"', b"", _calls),
        "gemini": _Place("contents", b'ignature"', b"", _content),
    }
)
