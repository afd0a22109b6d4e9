"""Messages, both ways (`wire.formats.Grammar`)."""

from __future__ import annotations

from vaultd.wire.anthropic_messages import stream_in, stream_out
from vaultd.wire.anthropic_messages.answer_in import read_answer
from vaultd.wire.anthropic_messages.answer_out import write_answer
from vaultd.wire.anthropic_messages.counting import count_members, read_count, write_count
from vaultd.wire.anthropic_messages.request_in import read_request
from vaultd.wire.anthropic_messages.request_out import write_request

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

reader = stream_in.Reader
writer = stream_out.Writer
