"""Counting tokens, as Google's `countTokens` is asked and answered."""

from __future__ import annotations

from typing import Any

import msgspec

from vaultd.wire.refusal import Refusal


class _Counted(msgspec.Struct):
    total_tokens: int = msgspec.field(name="totalTokens")


def count_members(members: dict[str, Any]) -> dict[str, Any]:
    """Of a written request what may be counted: its contents, to which the system instruction is put as a first turn.

    Google's own API takes `contents` and nothing beside them but a whole request; its code-assist API takes no more.
    """
    contents = members.get("contents", [])
    system = members.get("systemInstruction")
    if system:
        contents = [{"role": "user", "parts": system["parts"]}, *contents]
    return {"contents": contents}


def read_count(body: bytes) -> int:
    """Raises Refusal 502 where no count is in it."""
    try:
        return msgspec.json.decode(body, type=_Counted, strict=False).total_tokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(502, "upstream", "the vendor's answer holds no count of tokens") from None


def write_count(tokens: int) -> bytes:
    details = [{"modality": "TEXT", "tokenCount": tokens}]
    return msgspec.json.encode({"totalTokens": tokens, "promptTokensDetails": details})
