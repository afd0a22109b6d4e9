"""OpenAI Responses, both ways (`wire.formats.Grammar`)."""

from vaultd.wire.openai_responses.request_in import cannot_translate, read_request
from vaultd.wire.openai_responses.request_out import write_request

__all__ = ["cannot_translate", "read_request", "write_request"]
