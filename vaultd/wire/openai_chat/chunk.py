"""A chunk of a stream, or a whole answer: they differ by `delta` and `message` alone.

Decoded by type, for there is one for every few letters. Below the choices anything may stand, of any type.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.refusal import Refusal


class Said(msgspec.Struct, gc=False):
    """A `delta` or a `message`."""

    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    refusal: Any = None
    tool_calls: Any = None
    function_call: Any = None
    annotations: Any = None
    images: Any = None
    audio: Any = None


class Choice(msgspec.Struct, gc=False):
    delta: Said | None = None
    message: Said | None = None
    index: Any = 0
    finish_reason: Any = None


class Chunk(msgspec.Struct, gc=False):
    id: Any = ""
    model: Any = ""
    created: Any = 0
    choices: list[Choice] | None = None
    usage: Any = None
    service_tier: Any = None
    error: Any = None


_chunk: Final = msgspec.json.Decoder(Chunk)


def decoded(data: bytes) -> Chunk:
    """Raises Refusal 502 for what is no JSON. Members of another type than the grammar's count as absent: some
    upstreams write an empty object as `[]`."""
    try:
        return _chunk.decode(data)
    except (msgspec.ValidationError, RecursionError):
        pass
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _nonsense() from None
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _nonsense() from None
    if not isinstance(said, dict):
        return Chunk()
    choices = said.pop("choices", None)
    chunk = msgspec.convert(said, Chunk)
    if isinstance(choices, list):
        chunk.choices = [_choice(choice) for choice in choices if isinstance(choice, dict)]
    return chunk


def _choice(said: dict[str, Any]) -> Choice:
    delta, message = said.pop("delta", None), said.pop("message", None)
    choice = msgspec.convert(said, Choice)
    choice.delta = msgspec.convert(delta, Said) if isinstance(delta, dict) else None
    choice.message = msgspec.convert(message, Said) if isinstance(message, dict) else None
    return choice


def _nonsense() -> Refusal:
    return Refusal(502, "upstream", "the vendor's answer is not valid JSON")
