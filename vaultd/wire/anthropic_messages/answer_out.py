"""A whole answer for a client, and the pieces that its stream is made of too."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from vaultd.wire import custom
from vaultd.wire.anthropic_messages.face import NAME
from vaultd.wire.ir import (
    Answer,
    Call,
    Citation,
    Media,
    Opaque,
    Part,
    Reason,
    Request,
    Search,
    Stamp,
    Text,
    Thinking,
)
from vaultd.wire.loss import Loss
from vaultd.wire.usage import Usage

_STOPS: Final[dict[Reason, str]] = {
    "stop": "end_turn",
    "stop-sequence": "stop_sequence",
    "tool": "tool_use",
    "length": "max_tokens",
    "filter": "refusal",
    "pause": "pause_turn",
    "malformed": "end_turn",
    "other": "other",
}
_TIERS: Final = {"default": "standard", "priority": "priority", "batch": "batch"}
_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_-]")


def write_answer(answer: Answer, request: Request, stamp: Stamp, lost: Loss) -> bytes:
    content: list[dict[str, Any]] = []
    for part in answer.parts:
        content += blocks(part, lost)
    if answer.others:
        lost.add("choices")
    message = opening(answer.id, answer.model or request.model, stamp) | ended(answer.reason, answer.stop)
    message |= {"content": content, "usage": usage(answer.usage, answer.tier, lost)}
    return msgspec.json.encode(message)


def opening(name: str, model: str, stamp: Stamp) -> dict[str, Any]:
    """A message of which nothing is known but its id and model."""
    name = identifier(name or stamp.token)
    return {
        "id": name if name.startswith("msg_") else "msg_" + name,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def ended(reason: Reason, stop: str) -> dict[str, Any]:
    return {"stop_reason": _STOPS[reason], "stop_sequence": stop if reason == "stop-sequence" and stop else None}


def usage(told: Usage | None, tier: str, lost: Loss) -> dict[str, Any]:
    """Anthropic's `input_tokens` leaves out what was read from or written to the cache."""
    told = told or Usage()
    counts: dict[str, Any] = {
        "input_tokens": max(0, told.input - told.cached - told.written),
        "cache_creation_input_tokens": told.written,
        "cache_read_input_tokens": told.cached,
        "output_tokens": told.output,
    }
    if told.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": told.reasoning}
    if tier in _TIERS:
        counts["service_tier"] = _TIERS[tier]
    elif tier:
        lost.add("service_tier")
    return counts


def identifier(name: str) -> str:
    """`^[a-zA-Z0-9_-]+$`, or Anthropic refuses it when it comes back."""
    return _FOREIGN.sub("_", name) or "_"


def blocks(part: Part, lost: Loss) -> list[dict[str, Any]]:
    """The blocks that say `part`; what cannot be said is lost."""
    match part:
        case Text():
            if not part.text and not part.citations:
                return []
            cited = citations(part.citations, lost)
            return [{"type": "text", "text": part.text} | ({"citations": cited} if cited else {})]
        case Thinking(redacted=True):
            return [{"type": "redacted_thinking", "data": part.signature}] if part.signature else []
        case Thinking():
            if not part.text and not part.signature:
                return []
            return [{"type": "thinking", "thinking": part.text, "signature": part.signature}]
        case Call():
            return [*seal(part), {"type": "tool_use", "id": identifier(part.id), "name": part.name}
                    | {"input": given(part, lost)}]  # fmt: skip
        case Search():
            return searched(part)
        case Opaque(format="anthropic-messages") if isinstance(part.value, dict):
            return [part.value]
        case Media() | Opaque():
            lost.add(part.kind)
        case _:
            lost.add(type(part).__name__.lower())
    return []


def seal(call: Call) -> list[dict[str, Any]]:
    """A call's own signature (Gemini's) stands before it as thinking that shows nothing: clients send it back as it
    is, and `request_in` knows it again."""
    return [{"type": "thinking", "thinking": "", "signature": call.signature}] if call.signature else []


def given(call: Call, lost: Loss) -> Any:
    """A call's input: an object, whatever the model wrote."""
    text = custom.wrapped(call.arguments) if call.kind == "custom" else call.arguments
    if not text.strip():
        return {}
    try:
        sound = isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        sound = False
    if sound:
        return msgspec.Raw(text.encode())
    lost.add("tool_use.input")
    return {}


def searched(search: Search) -> list[dict[str, Any]]:
    name = identifier(search.id)
    asked = {"query": search.query} if search.query else {}
    pages = [
        {"type": "web_search_result", "url": page.url, "title": page.title, "encrypted_content": "", "page_age": None}
        for page in search.found
    ]
    return [
        {"type": "server_tool_use", "id": name, "name": "web_search", "input": asked},
        {"type": "web_search_tool_result", "tool_use_id": name, "content": search.extra.get(NAME, pages)},
    ]


def citations(cited: list[Citation], lost: Loss) -> list[dict[str, Any]]:
    """Of the kinds of citation, the one that needs no document in the request."""
    if any(not citation.url for citation in cited):
        lost.add("citations")
    return [
        {
            "type": "web_search_result_location",
            "url": citation.url,
            "title": citation.title,
            "cited_text": citation.quote,
            "encrypted_index": "",
        }
        for citation in cited
        if citation.url
    ]
