"""Chat Completions both ways (`wire.formats.Grammar`)."""

from __future__ import annotations

from vaultd.wire.openai_chat import stream_in, stream_out
from vaultd.wire.openai_chat.answer_in import read_answer
from vaultd.wire.openai_chat.answer_out import write_answer
from vaultd.wire.openai_chat.request_in import read_request
from vaultd.wire.openai_chat.request_out import write_request

__all__ = ["read_answer", "read_request", "reader", "write_answer", "write_request", "writer"]

reader = stream_in.Reader
writer = stream_out.Writer
