"""A Gemini vendor's whole answer, read as what it is: a stream of one chunk."""

from __future__ import annotations

from typing import Any

import msgspec

from vaultd.wire.failing import failure
from vaultd.wire.folding import fold
from vaultd.wire.gemini.chunk import decoded
from vaultd.wire.gemini.stream_in import Reading
from vaultd.wire.ir import Answer, Event
from vaultd.wire.names import Names
from vaultd.wire.refusal import Refusal


def read_answer(body: bytes, names: Names) -> Answer:
    """Also a stream told as one JSON array. Raises Refusal: the vendor's own error, or 502 for what is no answer."""
    reading = Reading(names)
    events: list[Event] = []
    for data in _chunks(body):
        chunk = decoded(data)
        if chunk is None:
            raise Refusal(502, "upstream", "the vendor's answer is no JSON object")
        if chunk.error is not None:
            raise failure(data) or Refusal(502, "upstream", "the vendor failed and gave no reason")
        reading.take(chunk, events)
    reading.finish(events, cut=None)
    return fold(events)


def _chunks(body: bytes) -> list[Any]:
    if body.lstrip()[:1] != b"[":
        return [body]
    try:
        return [bytes(chunk) for chunk in msgspec.json.decode(body, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [body]
