"""Gemini, both ways (`wire.formats.Grammar`): what it has to read and to write, by name."""

from __future__ import annotations

from vaultd.wire.gemini.answer_in import read_answer
from vaultd.wire.gemini.answer_out import write_answer
from vaultd.wire.gemini.counting import count_members, read_count, write_count
from vaultd.wire.gemini.request_in import read_request
from vaultd.wire.gemini.request_out import write_request
from vaultd.wire.gemini.stream_in import Reading as reader  # noqa: N813
from vaultd.wire.gemini.stream_out import Writing as writer  # noqa: N813

__all__ = [
    "count_members",
    "read_answer",
    "read_count",
    "read_request",
    "reader",
    "write_answer",
    "write_count",
    "write_request",
    "writer",
]
