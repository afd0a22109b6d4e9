"""`gemini-fixes`: most Gemini models refuse a conversation that does not begin with the user."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.catalog.hooks.shape import Asked, Body, RequestHook, Row


class _Turn(msgspec.Struct):
    role: Any = ""


_turns: Final = msgspec.json.Decoder(list[msgspec.Raw])
_turn: Final = msgspec.json.Decoder(_Turn)
_EMPTY: Final = b'{"role":"user","parts":[{"text":""}]}'


def _edit(body: Body, asked: Asked) -> None:
    """An empty user turn goes before a leading model turn; the client's own turns stay as they stand."""
    contents = body.raw("contents")
    if contents is None:
        return
    try:
        turns = _turns.decode(contents)
        first = _turn.decode(turns[0]).role if turns else ""
    except (msgspec.DecodeError, RecursionError):
        return  # the vendor says what is wrong with it
    if first == "model":
        body.set_raw("contents", contents.replace(b"[", b"[" + _EMPTY + b",", 1))


_ROWS: Final = (
    Row("contents", "changed", "an empty user turn goes before a leading model turn", "most models refuse the latter"),
)
HOOK: Final = RequestHook(_ROWS, edit=_edit)
