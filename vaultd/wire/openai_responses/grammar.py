"""Responses, both ways (`wire.formats.Grammar`)."""

from __future__ import annotations

from vaultd.wire.openai_responses import stream_in, stream_out
from vaultd.wire.openai_responses.answer_in import read_answer
from vaultd.wire.openai_responses.answer_out import write_answer
from vaultd.wire.openai_responses.request_in import cannot_translate, read_request
from vaultd.wire.openai_responses.request_out import write_request

__all__ = ["cannot_translate", "read_answer", "read_request", "reader", "write_answer", "write_request", "writer"]

reader = stream_in.Reader
writer = stream_out.Writer
