"""`POST /v1/messages/count_tokens`: what it takes of a request, and what it answers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.refusal import Refusal

_COUNTED: Final = frozenset({"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"})


class _Count(msgspec.Struct):
    input_tokens: int


_count: Final = msgspec.json.Decoder(_Count)


def count_members(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name in _COUNTED}


def read_count(body: bytes) -> int:
    """Tokens. Raises Refusal 502."""
    try:
        return _count.decode(body).input_tokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(502, "upstream", "the vendor's answer is no count of tokens") from None


def write_count(tokens: int) -> bytes:
    return msgspec.json.encode({"input_tokens": tokens})
