"""A whole answer as a chat client is told it."""

from __future__ import annotations

from typing import Any

import msgspec

from vaultd.wire.ir import (
    Answer,
    Call,
    Compaction,
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
from vaultd.wire.openai_chat.face import NAME
from vaultd.wire.openai_chat.parts import citation_told, image_told, signature_told, spread
from vaultd.wire.openai_chat.tally import usage_told, word_of


def write_answer(answer: Answer, request: Request, stamp: Stamp, lost: Loss) -> bytes:
    if answer.stop:
        lost.add("stop_sequence")
    variants = [(answer.parts, answer.reason), *((variant.parts, variant.reason) for variant in answer.others)]
    body: dict[str, Any] = {
        "id": answer.id or f"chatcmpl-{stamp.token}",
        "object": "chat.completion",
        "created": answer.created or stamp.now,
        "model": answer.model or request.model,
        "choices": [_choice(at, parts, reason, lost) for at, (parts, reason) in enumerate(variants)],
    }
    if answer.usage is not None:
        body["usage"] = usage_told(answer.usage)
    if answer.tier:
        body["service_tier"] = answer.tier
    return msgspec.json.encode(body)


def _choice(index: int, parts: list[Part], reason: Reason, lost: Loss) -> dict[str, Any]:
    message = _message(parts, lost)
    return {"index": index, "message": message, "logprobs": None, "finish_reason": word_of(reason)}


def _message(parts: list[Part], lost: Loss) -> dict[str, Any]:
    said = spread(parts)
    content, annotations = _content(said.content, lost)
    message: dict[str, Any] = {"role": "assistant", "content": content}
    message["refusal"] = "".join([text.text for text in said.refusal]) or None
    for thinking in said.reasoning:
        missed(thinking, lost)
    if thought := "".join([thinking.text for thinking in said.reasoning]):
        message["reasoning_content"] = thought
    if annotations:
        message["annotations"] = annotations
    if said.images:
        message["images"] = [{"index": at, **image_told(image)} for at, image in enumerate(said.images)]
    if said.tool_calls:
        message["tool_calls"] = [call_told(call) for call in said.tool_calls]
    return message


def _content(parts: list[Part], lost: Loss) -> tuple[Any, list[dict[str, Any]]]:
    """The content, and the annotations of it."""
    texts: list[str] = []
    own: list[Any] = []
    annotations: list[dict[str, Any]] = []
    length = 0
    for part in parts:
        if isinstance(part, Text):
            annotations += annotations_of(part, length, length + len(part.text), lost)
            texts.append(part.text)
            length += len(part.text)
        elif isinstance(part, Opaque) and part.format == NAME:
            own.append(part.value)
        else:
            missed(part, lost)
    if own:
        return [*own, *({"type": "text", "text": text} for text in texts)], annotations
    return "".join(texts) or None, annotations


def call_told(call: Call) -> dict[str, Any]:
    """A function without arguments has an empty object of them: clients parse the text."""
    if call.kind == "custom":
        said: dict[str, Any] = {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        said = {"type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
    said = {"id": call.id, **said}
    if call.signature:
        said["extra_content"] = signature_told(call.signature)
    return said


def annotations_of(text: Text, start: int, end: int, lost: Loss) -> list[dict[str, Any]]:
    """`start` and `end`: where the text stands in the content. Only web pages can be cited here."""
    missed(text, lost)
    return [citation_told(citation, start, end) for citation in text.citations if citation.url]


def missed(part: Part, lost: Loss) -> None:
    """Says what of an answer's part has no place in the grammar."""
    match part:
        case Text():
            if any(not citation.url for citation in part.citations):
                lost.add("citations")
            if part.signature:
                lost.add("text.signature")
        case Thinking():
            if part.signature or part.redacted:
                lost.add("thinking.signature")
        case Media():
            lost.add(part.kind)
        case Opaque():
            lost.add(part.kind)
        case Search():
            lost.add("web_search")
        case Compaction():
            lost.add("compaction")
