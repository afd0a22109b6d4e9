"""What is left out of text that is kept: every secret that is known, whatever looks like a key, and members, headers
and parameters that are named like one. Pure.

The known ones are what matters; the rest is for those we never saw, such as a key that somebody pasted into a question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

LEFT_OUT: Final = "***"

#: A value shorter than this is no secret of ours, and would blank ordinary words.
_SHORTEST: Final = 8
#: As vendors make them: OpenAI, Anthropic and ours; Google's keys and access tokens; JSON web tokens (RFC 7519).
_KEYS: Final = re.compile(
    r"\b(?:(?:sk|pk|rk|vk)[-_][A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{16,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|Bearer\s+[A-Za-z0-9._~+/=-]{8,})"
)
_NAMES: Final = (
    r"(?:api[_-]?key|authorization|passw(?:or)?d|passphrase|secret|credential|private[_-]?key|cookie"
    r"|(?:access|refresh|id|auth|session|bearer|api)[_-]?token)"
)
_NAME: Final = re.compile(rf"[\w.-]{{0,40}}{_NAMES}[\w-]{{0,20}}", re.IGNORECASE)
#: Where the value of a member begins. Members are found by it and not by their names in one pattern: a search holds the
#: interpreter, and the loop with it, until it is through, and half a megabyte of quotes took it a second.
_VALUE: Final = re.compile(r':\s{0,8}(?P<slash>\\{0,8})"')
#: The longest name with its quotes, and blanks.
_NAME_REACH: Final = 100
#: More than any key has. What has no end within is left out so far.
_VALUE_REACH: Final = 8192
#: By how many slashes the quote has that ends a value.
_ENDS: Final = tuple(re.compile(r"(?<!\\)" + r"\\" * slashes + '"') for slashes in range(9))
#: A parameter of an address: `?key=…`, as Google takes it, and what is named like a member would be.
_PARAMETER: Final = re.compile(r"([?&]([\w.-]{1,76})=)[^&\s\"'<>\\]+")
#: Not `anthropic-ratelimit-tokens-limit`.
_HEADER: Final = re.compile(rf"{_NAMES}|\bauth|token(?!s)|-key\b", re.IGNORECASE)


class Redaction:
    """Against the secrets known now."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        #: Longest first: one secret may be part of another.
        self._known = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        for known in self._known:
            text = text.replace(known, LEFT_OUT)
        text = _PARAMETER.sub(_parameter, "".join(_without_members(text)))
        return _KEYS.sub(LEFT_OUT, text)

    def headers(self, headers: Mapping[str, str]) -> Iterator[str]:
        for name, value in headers.items():
            yield f"{name}: {LEFT_OUT if _HEADER.search(name) else self.text(value)}"


def _forms(secret: str) -> Iterator[str]:
    """As it is, as JSON has it, and as an address has it."""
    if len(secret) >= _SHORTEST:
        yield from {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}


def _without_members(text: str) -> Iterator[str]:
    """`"api_key": "…"`, also where the object is itself a text in JSON and its quotes are escaped."""
    done = 0
    for found in _VALUE.finditer(text):
        if found.start() < done or not _names_a_secret(text, found.start(), found["slash"]):
            continue
        yield text[done : found.end()] + LEFT_OUT
        end = _ENDS[len(found["slash"])].search(text, found.end(), found.end() + _VALUE_REACH)
        done = end.start() if end is not None else min(found.end() + _VALUE_REACH, len(text))
    yield text[done:]


def _names_a_secret(text: str, end: int, slash: str) -> bool:
    """Whether what stands in quotes before `end` does."""
    head, closing = text[max(0, end - _NAME_REACH) : end].rstrip(), f'{slash}"'
    return head.endswith(closing) and _is_secret(head.removesuffix(closing).rpartition('"')[2])


@lru_cache(4096)
def _is_secret(name: str) -> bool:
    """Kept, for the same few names stand in every body."""
    return _NAME.fullmatch(name) is not None


def _parameter(found: re.Match[str]) -> str:
    return found[1] + LEFT_OUT if found[2].lower() == "key" or _is_secret(found[2]) else found[0]
