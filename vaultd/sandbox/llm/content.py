"""Reading what the grammars' requests have in common: a JSON object for a body, and text in parts or plain."""

from __future__ import annotations

from typing import Any

import msgspec

from vaultd.sandbox.call import Call
from vaultd.sandbox.refusal import llm
from vaultd.sandbox.vendors import Grammar


def body_of(call: Call, grammar: Grammar) -> dict[str, Any]:
    """The request's JSON object. Raises Refusal in the words of `grammar`."""
    try:
        body = msgspec.json.decode(call.hit.body)
    except msgspec.DecodeError:
        body = None
    if call.request.content_type != "application/json" or not isinstance(body, dict):
        raise llm(grammar, 400, "We could not parse the JSON body of your request.")
    return body


def text_of(content: Any) -> str:
    """The text of a string, a part, or parts within parts; nothing for images and the like."""
    match content:
        case str():
            return content
        case list():
            return " ".join(filter(None, map(text_of, content)))
        case {"text": str(text)}:
            return text
        case {"content": inner}:
            return text_of(inner)
        case {"parts": inner}:
            return text_of(inner)
    return ""
