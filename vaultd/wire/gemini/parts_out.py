"""An answer's parts as a Gemini client is told them, and what stands around them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from vaultd.wire import signature
from vaultd.wire.ir import Call, Media, Opaque, Part, Reason, Stamp, Text, Thinking
from vaultd.wire.loss import Loss
from vaultd.wire.usage import Usage

Raw = dict[str, Any]
#: Calls are a stop here, and so is a stop sequence.
_REASONS: Final[dict[Reason, str]] = {
    "length": "MAX_TOKENS",
    "filter": "SAFETY",
    "malformed": "MALFORMED_FUNCTION_CALL",
    "other": "OTHER",
}
#: Ends in the middle of whatever was being said.
_CUT: Final = frozenset({"length", "filter", "other"})


def finish_reason(reason: Reason) -> str:
    return _REASONS.get(reason, "STOP")


def part_of(part: Part, lost: Loss) -> Raw | None:
    """None for what a Gemini client cannot be told."""
    match part:
        case Text():
            return _sealed({"text": part.text}, part.signature)
        case Thinking():
            seal = signature.redacted(part.signature) if part.redacted else part.signature
            return _sealed({"text": part.text, "thought": True}, seal)
        case Call():
            call: Raw = {"id": part.id} if part.id else {}
            # A custom tool's text is nothing that a Gemini client could have declared; it gets the text all the same.
            custom = part.kind == "custom"
            args = {"input": part.arguments} if custom else arguments_of(part.arguments, lost)
            call |= {"name": part.name, "args": args}
            return _sealed({"functionCall": call}, part.signature)
        case Media() if part.data:
            return {"inlineData": {"mimeType": part.mime or "application/octet-stream", "data": part.data}}
        case Media() if part.url:
            stored = {"mimeType": part.mime} if part.mime else {}
            return {"fileData": {**stored, "fileUri": part.url}}
        case Opaque() if part.format == "gemini" and isinstance(part.value, dict):
            return part.value
        case Opaque() | Media():
            lost.add(part.kind)
        case _:
            lost.add(type(part).__name__.lower())
    return None


def _sealed(raw: Raw, seal: str) -> Raw:
    if seal:
        raw["thoughtSignature"] = seal
    return raw


def cut_off(call: Call, reason: Reason) -> bool:
    """Whether the answer ended within this call. It is not told: calls come whole to a Gemini client, which would run
    this one without its arguments."""
    return reason in _CUT and call.kind == "function" and not _sound(call.arguments)


def _sound(text: str) -> bool:
    try:
        return not text or isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def arguments_of(text: str, lost: Loss) -> Any:
    """The object that clients demand; an empty one where the model wrote none."""
    if not text:
        return {}
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    lost.add("functionCall.args")
    return {}


def usage_of(usage: Usage) -> Raw:
    """Thoughts are counted apart from what was said."""
    counted: Raw = {"promptTokenCount": usage.input}
    if usage.cached:
        counted["cachedContentTokenCount"] = usage.cached
    counted["candidatesTokenCount"] = max(usage.output - usage.reasoning, 0)
    if usage.reasoning:
        counted["thoughtsTokenCount"] = usage.reasoning
    counted["totalTokenCount"] = usage.input + usage.output
    return counted


def named(answer_id: str, model: str, created: int, stamp: Stamp) -> Raw:
    """The members that every chunk ends with."""
    members: Raw = {"modelVersion": model}
    if created:
        try:
            members["createTime"] = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            members.pop("createTime", None)
    members["responseId"] = answer_id or stamp.token
    return members
