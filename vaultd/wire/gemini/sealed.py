"""Signatures of Gemini's parts, in the words in which they travel and in Google's own.

A client of ours gets them in travelling words and sends them back so. One that comes bare was minted by Google for a
conversation that passed here untranslated.
"""

from __future__ import annotations

from typing import Any, Final

from vaultd.wire import signature

#: Google's own word for "this call was not made by me, let it pass" (its documentation of thought signatures).
SKIP: Final = "skip_thought_signature_validator"
_OTHERS: Final = ("anthropic-messages", "openai-responses")


def minted(value: Any) -> str:
    """A vendor's signature, for the way."""
    return signature.carry(value, "gemini") if isinstance(value, str) else ""


def returned(value: Any) -> str:
    """What a client sends back, or what Google gave it before."""
    if not isinstance(value, str) or value == SKIP:
        return ""
    if signature.unredacted(value)[1] or any(signature.own(value, fmt) for fmt in _OTHERS):
        return value
    return signature.carry(value, "gemini")


def own(travelling: str) -> str:
    """For Google: its own, or ""."""
    return signature.own(travelling, "gemini") if travelling else ""
