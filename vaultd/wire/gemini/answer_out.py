"""A whole answer, written for a Gemini client."""

from __future__ import annotations

from typing import Any

import msgspec

from vaultd.wire.gemini.grounding import grounding_of
from vaultd.wire.gemini.parts_out import Raw, cut_off, finish_reason, named, part_of, usage_of
from vaultd.wire.ir import Answer, Call, Citation, Part, Reason, Request, Search, Stamp, Text, Variant
from vaultd.wire.loss import Loss


def write_answer(answer: Answer, request: Request, stamp: Stamp, lost: Loss) -> bytes:
    variants = [Variant(answer.parts, answer.reason), *answer.others]
    members: Raw = {
        "candidates": [_candidate(at, one.parts, one.reason, lost) for at, one in enumerate(variants)],
    }
    if answer.usage is not None:
        members["usageMetadata"] = usage_of(answer.usage)
    members |= named(answer.id, answer.model or request.model, answer.created, stamp)
    return msgspec.json.encode(members)


def _candidate(index: int, parts: list[Part], reason: Reason, lost: Loss) -> dict[str, Any]:
    told: list[Raw] = []
    searches: list[Search] = []
    cited: list[tuple[int, str, list[Citation]]] = []
    size = 0
    for part in parts:
        if isinstance(part, Search):
            searches.append(part)
            continue
        if isinstance(part, Call) and cut_off(part, reason):
            lost.add("functionCall")
            continue
        raw = part_of(part, lost)
        if raw is not None:
            told.append(raw)
        if isinstance(part, Text):
            if part.citations:
                cited.append((size, part.text, part.citations))
            size += len(part.text.encode())
    candidate: Raw = {
        "content": {"parts": told or [{"text": ""}], "role": "model"},
        "finishReason": finish_reason(reason),
        "index": index,
    }
    if searches or cited:
        candidate["groundingMetadata"] = grounding_of(searches, cited)
    return candidate
