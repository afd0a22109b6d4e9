"""A vendor's whole answer."""

from __future__ import annotations

from typing import Final

import msgspec

from vaultd.wire.folding import fold
from vaultd.wire.ir import Answer, Text
from vaultd.wire.names import Names
from vaultd.wire.openai_chat.stream_in import Reader
from vaultd.wire.openai_chat.tally import reason_of, usage_of


class _Message(msgspec.Struct, gc=False):
    """Of `chunk.Said` all but the content is absent or empty."""

    content: str
    reasoning_content: None = None
    reasoning: None = None
    refusal: None = None
    tool_calls: tuple[()] | None = None
    function_call: None = None
    annotations: tuple[()] | None = None
    images: tuple[()] | None = None
    audio: None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str
    index: int = 0


class _Plain(msgspec.Struct, gc=False):
    """An answer that is one text, as most whole ones are: read as the stream of one chunk would be, for a quarter."""

    choices: tuple[_Choice]
    id: str = ""
    model: str = ""
    created: int = 0
    usage: dict[str, object] | None = None
    service_tier: str | None = None
    error: None = None


_plain: Final = msgspec.json.Decoder(_Plain)


def read_answer(body: bytes, names: Names) -> Answer:
    """Raises Refusal: what the vendor says went wrong, or 502 for what is no answer."""
    try:
        said = _plain.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return fold(Reader(names).whole(body))
    choice = said.choices[0]
    text = choice.message.content
    if not text or choice.index or choice.finish_reason == "error":
        return fold(Reader(names).whole(body))
    return Answer(
        id=said.id,
        model=said.model,
        created=max(said.created, 0),
        parts=[Text(text)],
        reason=reason_of(choice.finish_reason, called=False),
        usage=usage_of(said.usage),
        tier=said.service_tier or "",
    )
