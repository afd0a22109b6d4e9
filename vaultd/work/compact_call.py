"""`POST /responses/compact` for vendors that have no such call: the same summary, in the call's own shape. Pure.

The call differs from a conversation's own compaction (`work.compacting`) in its frame alone: nothing in its input says
what is wanted, and its answer is what the next request begins with, the user's messages and one item for all else.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.members import Members
from vaultd.wire.refusal import Refusal
from vaultd.work.compacting import TRIGGER

_encode: Final = msgspec.json.Encoder().encode


class _Response(msgspec.Struct):
    id: str
    created_at: int
    output: list[msgspec.Raw]
    usage: msgspec.Raw


_response: Final = msgspec.json.Decoder(_Response)


class CompactCall:
    """One call: what to ask instead, and what its answer is then."""

    __slots__ = ("_items", "asked")

    def __init__(self, body: Members) -> None:
        """Raises Refusal 400 where there is nothing to compact."""
        said = body.get("input")
        if isinstance(said, str):
            said = [_message(said)]
        if not isinstance(said, list) or not said:
            raise Refusal(400, "bad-request", "`input` is missing: it is the conversation to compact, whole")
        self._items: list[Any] = said
        #: The body of a POST to `/responses` that is answered with one `compaction` item.
        self.asked = Members(body.splice({"input": _encode([*said, {"type": TRIGGER}])}))

    def told(self, answer: bytes) -> bytes:
        """The answer to `asked` as this call has it. Raises Refusal 502."""
        try:
            said = _response.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refusal(502, "upstream", "the vendor gave no answer that can be told as a compaction") from None
        token = said.id.removeprefix("resp_")
        kept = [_complete(item, f"msg_{token}_u{at}") for at, item in enumerate(self._items) if _of_the_user(item)]
        return _encode(
            {
                "id": said.id,
                "object": "response.compaction",
                "created_at": said.created_at,
                "output": [*kept, *said.output],
                "usage": said.usage,
            }
        )


def _of_the_user(item: Any) -> bool:
    return isinstance(item, dict) and item.get("role") == "user" and item.get("type", "message") == "message"


def _complete(item: dict[str, Any], id_: str) -> dict[str, Any]:
    """The client's own message, with what an item of an output has besides."""
    content = item.get("content")
    parts = _message(content)["content"] if isinstance(content, str) else content
    return {"id": id_, "type": "message", "status": "completed", **item, "content": parts}


def _message(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
