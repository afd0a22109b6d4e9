"""What is left out of text that is kept: every secret that is known, whatever looks like a key, and members and headers
that are named like one. Pure.

The known ones are what matters; the rest is for those we never saw, such as a key that somebody pasted into a question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
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
#: `"api_key": "…"`, also where the object is itself a text in JSON and its quotes are escaped.
_MEMBER: Final = re.compile(
    rf'((?P<slash>\\{{0,8}})"[\w.-]{{0,40}}{_NAMES}[\w-]{{0,20}}(?P=slash)"\s{{0,8}}:\s{{0,8}}(?P=slash)")'
    rf'(?:.{{0,8192}}?)(?<!\\)(?P=slash)"',
    re.IGNORECASE | re.DOTALL,
)
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
        text = _MEMBER.sub(lambda found: f'{found[1]}{LEFT_OUT}{found["slash"]}"', text)
        return _KEYS.sub(LEFT_OUT, text)

    def headers(self, headers: Mapping[str, str]) -> Iterator[str]:
        for name, value in headers.items():
            yield f"{name}: {LEFT_OUT if _HEADER.search(name) else self.text(value)}"


def _forms(secret: str) -> Iterator[str]:
    """As it is, as JSON has it, and as an address has it."""
    if len(secret) >= _SHORTEST:
        yield from {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}
