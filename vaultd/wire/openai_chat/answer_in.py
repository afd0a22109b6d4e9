"""A vendor's whole answer."""

from __future__ import annotations

from vaultd.wire.folding import fold
from vaultd.wire.ir import Answer
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.stream_in import Reader


def read_answer(body: bytes, names: Names) -> Answer:
    """Raises Refusal: what the vendor says went wrong, or 502 for what is no answer."""
    return fold(Reader(names).whole(body))
