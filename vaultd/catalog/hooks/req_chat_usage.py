"""`chat-stream-usage`: a chat stream states its tokens only when asked; we ask where we count, and take out what the
client did not ask for."""

from __future__ import annotations

from typing import Final

import msgspec

from vaultd.catalog.hooks.shape import Asked, Body, Change, RequestHook, Row


class _Chunk(msgspec.Struct):
    choices: list[msgspec.Raw] = []
    usage: msgspec.Raw = msgspec.Raw(b"null")


_chunk: Final = msgspec.json.Decoder(_Chunk)


def _counting(asked: Asked) -> bool:
    """A vendor may speak another format beside chat, which states its tokens unasked; so do the clients' formats that a
    translated answer is written in."""
    if asked.format != "openai-chat" or asked.action != "stream":
        return False
    return asked.translated or (asked.accounting and not asked.usage_asked)


def _edit(body: Body, asked: Asked) -> None:
    if not _counting(asked):
        return
    options = body.get("stream_options")
    body.set("stream_options", (options if isinstance(options, dict) else {}) | {"include_usage": True})


def _answer(asked: Asked) -> Change | None:
    if asked.translated or not _counting(asked):
        return None
    # Not `"choices":[]`: JSON written by Python's own library has a space there.
    return Change(_without_usage, mark=b"[]")


def _without_usage(data: bytes) -> bytes | None:
    """The chunk that `include_usage` adds has usage and no choices; every other chunk passes as it is."""
    try:
        chunk = _chunk.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data
    return None if not chunk.choices and bytes(chunk.usage) != b"null" else data


_ROWS: Final = (
    Row(
        "stream_options",
        "set",
        "`include_usage: true` in streams, where usage is counted or the answer translated",
        "a stream states its tokens only when asked; off with `usage-statistics-enabled: false`",
    ),
    Row("usage", "answer", "the chunk that has it and no choices is taken out", "the client did not ask for it"),
)
HOOK: Final = RequestHook(_ROWS, edit=_edit, answer=_answer)
