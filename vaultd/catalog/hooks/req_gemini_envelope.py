"""`gemini-envelope`: Code Assist (`/v1internal`) is Gemini in an envelope, `{model, project, request}` there and
`{response}` back. A client that speaks with the envelope gets it; any other gets plain Gemini."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from vaultd.catalog.hooks.shape import Asked, Change, RequestHook, Row


class _Answer(msgspec.Struct):
    #: Empty where there is none. Not `Raw | None`: msgspec decodes that to None, always (0.22).
    response: msgspec.Raw = msgspec.Raw()


#: Google's errors have one member.
_ERROR: Final = re.compile(rb'\s*\{\s*"error"\s*:')
_answer_decoder: Final = msgspec.json.Decoder(_Answer)


def _wrap(body: bytes, asked: Asked) -> bytes:
    """The client's own envelope with model and project set, or a new one. Counting takes neither (Gemini CLI)."""
    edits: dict[str, bytes | None] = {"request": body}
    if asked.action != "count":
        edits["model"] = msgspec.json.encode(asked.model)
        if asked.project:
            edits["project"] = msgspec.json.encode(asked.project)
    if asked.envelope is not None:
        return asked.envelope.splice(edits)
    members = b",".join(msgspec.json.encode(name) + b":" + text for name, text in edits.items() if text is not None)
    return b"{" + members + b"}"


def _answer(asked: Asked) -> Change | None:
    return None if asked.envelope is not None else Change(unwrapped)


def unwrapped(data: bytes) -> bytes:
    """What is in the envelope; anything else (an error, a count) as it is."""
    try:
        inner = bytes(_answer_decoder.decode(data).response)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data
    return inner or data


def wrapped(data: bytes) -> bytes:
    """For a client that speaks with the envelope, the answer of a vendor that does not. An error stands in none."""
    return data if _ERROR.match(data) else b'{"response":' + data + b"}"


_ROWS: Final = (
    Row(
        "request",
        "wrapped",
        "the body goes into `{model, project, request}`; a client's own is kept, its `model` and `project` set",
        "the Code Assist API",
    ),
    Row("response", "answer", "is taken out of its envelope", "the client sent none"),
)
HOOK: Final = RequestHook(_ROWS, wrap=_wrap, answer=_answer)
