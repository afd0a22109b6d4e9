"""What a vendor's error body says, whatever its format: they differ less than their documentation does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from vaultd.wire.refusal import Refusal

#: A vendor's text goes into a client's error, and is for people.
LONGEST: Final = 4000


def told(status: int, body: bytes, retry_after: float | None = None) -> Refusal | None:
    """The refusal in the vendor's own words, None where the body is not JSON.

    Seen: `error` an object with `message` (all four), or a text; `message` or `detail` at the top (Codex, FastAPI);
    Google puts all of it into an array.
    """
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(said, list) and said:
        said = said[0]
    if not isinstance(said, dict):
        return None
    error = said.get("error")
    inner = error if isinstance(error, dict) else {}
    message = _text(inner.get("message")) or _text(error) or _text(said.get("message")) or _text(said.get("detail"))
    if not message:
        message = _json(error or said.get("detail")) or f"the vendor answered with status {status}"
    code = inner.get("code")
    return Refusal(status, "upstream", message[:LONGEST], retry_after, code if isinstance(code, str) else "")


def error_of(body: bytes) -> Mapping[str, Any]:
    """The members of the error in a body or in an event's data; {} where there is none. A text stands as `message`."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if isinstance(said, list) and said:
        said = said[0]
    if not isinstance(said, dict):
        return {}
    response = said.get("response")
    for place in (said, response if isinstance(response, dict) else {}):
        for name in ("error", "detail"):
            if isinstance(place.get(name), dict):
                return dict(place[name])
    text = _text(said.get("error")) or _text(said.get("detail"))
    return {**said, "message": text} if text else said


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode() if value else ""
