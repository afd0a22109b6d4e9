"""The parts of a content, read: of a client's history and of a vendor's answer alike.

They differ in whose words a signature is in, so the caller says how one is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from vaultd.wire import media, signature
from vaultd.wire.gemini.spelling import camel, snake
from vaultd.wire.ir import Call, Media, Opaque, Part, Result, Text, Thinking

#: Of a part's members, what says more about it than which kind it is.
_BESIDE: Final = frozenset({"thought", "thoughtSignature"})
#: Google's own tools at work: nobody else can read them.
_OWN: Final = frozenset({"executableCode", "codeExecutionResult", "toolCall", "toolResponse"})

Seal = Callable[[Any], str]


def part_of(given: dict[str, Any], seal: Seal, unread: list[str]) -> Part | None:
    """None where the part says nothing. Members that nobody else knows go to `unread` by name."""
    raw = camel(given)
    sealed = seal(raw["thoughtSignature"]) if "thoughtSignature" in raw else ""
    words = raw.get("text")
    if isinstance(words, str):
        if len(raw) > 1:
            unread += [name for name in raw if name not in _BESIDE and name != "text"]
        if raw.get("thought") is True:
            sealed, redacted = signature.unredacted(sealed)
            return Thinking(words, sealed, redacted)
        return Text(words, signature=sealed)
    part: Part | None = None
    for name, value in raw.items():
        if name in _OWN:
            part = Opaque("gemini", snake(name), given)
        elif name in _KINDS and isinstance(value, dict):
            part = _KINDS[name](camel(value))
        elif name not in _BESIDE and value is not None:
            unread.append(name)
    if isinstance(part, Call):
        part.signature = sealed
    elif part is None and sealed:
        return Text("", signature=sealed)
    return part


def _call(raw: dict[str, Any]) -> Call:
    args = raw.get("args")
    arguments = msgspec.json.encode(args).decode() if isinstance(args, dict) else "{}"
    return Call(_id(raw), _name(raw), arguments)


def _id(raw: dict[str, Any]) -> str:
    found = raw.get("id") or raw.get("callId")
    return found if isinstance(found, str) else ""


def _name(raw: dict[str, Any]) -> str:
    found = raw.get("name")
    return found if isinstance(found, str) else ""


def _result(raw: dict[str, Any]) -> Result:
    words, is_error = _told(raw.get("response"))
    parts: list[Text | Media] = [Text(words)] if words else []
    more = raw.get("parts")
    for given in more if isinstance(more, list) else []:
        found = part_of(given, _unsealed, []) if isinstance(given, dict) else None
        if isinstance(found, Text | Media):
            parts.append(found)
    return Result(_id(raw), _name(raw), parts, is_error)


def _unsealed(value: Any) -> str:
    return ""


def _told(response: Any) -> tuple[str, bool]:
    """The text in an answer, and whether it tells of an error. Google's documentation names `output` and `error`;
    `result` is what most clients write. Any other object is its own text."""
    if isinstance(response, dict):
        for key in ("result", "output", "error"):
            if key in response and response.keys() <= {key, "is_error"}:
                return _text(response[key]), key == "error" or response.get("is_error") is True
    return _text(response), False


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _inline(raw: dict[str, Any]) -> Media | None:
    data = raw.get("data")
    if not isinstance(data, str) or not data:
        return None
    mime = raw.get("mimeType")
    kind = mime if isinstance(mime, str) else ""
    return Media(kind=_kind(kind), mime=kind, data=data, name=_shown(raw))


def _stored(raw: dict[str, Any]) -> Media | None:
    uri = raw.get("fileUri")
    if not isinstance(uri, str) or not uri:
        return None
    mime = raw.get("mimeType")
    kind = mime if isinstance(mime, str) and mime else media.mime_of(uri)
    return Media(kind=_kind(kind), mime=kind, url=uri, name=_shown(raw))


def _shown(raw: dict[str, Any]) -> str:
    name = raw.get("displayName")
    return name if isinstance(name, str) else ""


def _kind(mime: str) -> Any:
    family = mime.partition("/")[0].lower()
    return family if family in ("image", "audio", "video") else "file"


_KINDS: Final[dict[str, Callable[[dict[str, Any]], Part | None]]] = {
    "functionCall": _call,
    "functionResponse": _result,
    "inlineData": _inline,
    "fileData": _stored,
}
