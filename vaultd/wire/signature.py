"""Whose a sealed piece of reasoning is, while it travels through a client of another format.

A vendor's signature or encrypted text is worth something to that vendor alone, and every other refuses it. Where its
shape tells its maker it travels as it is; else a mark of eight letters names the format. Clients only echo it, but
some decode and encode it again (Google's Python SDK holds bytes): the mark is whole base64, free of the four
characters in which the two alphabets differ, and a signature that is no base64 is made so.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

_MARKS: Final = {
    "anthropic-messages": "vaultdA0",
    "openai-responses": "vaultdR0",
    "gemini": "vaultdG0",
}
#: What follows is the signature in base64.
_PACKED: Final = {
    "anthropic-messages": "vaultdA1",
    "openai-responses": "vaultdR1",
    "gemini": "vaultdG1",
}
_ANY_MARK: Final = frozenset((*_MARKS.values(), *_PACKED.values()))
#: Before all else: the thinking is redacted, which only Anthropic tells apart from thinking that shows no text.
_REDACTED: Final = "vaultdX0"
_MARK_SIZE: Final = 8

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
#: A Fernet token: version 0x80 and a time whose first bytes are zero until 2106, then 16 of IV, the ciphertext in
#: blocks of 16, 32 of HMAC (github.com/fernet/spec).
_FERNET: Final = "gAAAA"
_FERNET_FRAME: Final = 1 + 8 + 16 + 32
_FERNET_LEAST: Final = _FERNET_FRAME + 16
#: Anthropic's protobuf (recorded in 2025 and 2026): field 2, in it field 1, in that a version number and field 3.
#: Google's also begins with the first two, but no number and field 3 follow.
_ANTHROPIC: Final = re.compile(
    rb"(?:\x08.)?\x12[\x80-\xff]*[\x00-\x7f]\x0a[\x80-\xff]*[\x00-\x7f]\x08.(?:\x10.)?\x18", re.DOTALL
)
_HEAD: Final = 32
_STANDARD: Final = str.maketrans("-_", "+/")
_URLSAFE: Final = str.maketrans("+/", "-_")


def carry(signature: str, minted: str) -> str:
    """The words in which a signature of format `minted` travels; once in them it stays as it is, and so does ""."""
    if not signature or _marked(signature) or _shaped(signature) == minted:
        return signature
    if minted not in _MARKS:
        return ""
    if len(signature) % 4 == 0 and _BASE64.fullmatch(signature):
        return _MARKS[minted] + signature
    return _PACKED[minted] + base64.b64encode(signature.encode()).decode()


def returned(text: str, fmt: str) -> str:
    """What a client of format `fmt` sends back, in the words in which it travels: what shows no maker was given it by
    a vendor of its own format, for a conversation that passed here untranslated."""
    bare, _ = unredacted(text)
    return text if _marked(bare) or _shaped(bare) else carry(text, fmt)


def own(travelling: str, fmt: str) -> str:
    """What travelled, as its maker wrote it, where the maker is a vendor of format `fmt`; else ""."""
    travelling, _ = unredacted(travelling)
    if _marked(travelling):
        mark, kept = travelling[:_MARK_SIZE], travelling[_MARK_SIZE:]
        if mark == _MARKS.get(fmt):
            return kept
        return _decoded(kept).decode(errors="replace") if mark == _PACKED.get(fmt) else ""
    if _shaped(travelling) != fmt:
        return ""
    return travelling.translate(_URLSAFE if fmt == "openai-responses" else _STANDARD)


def minted(travelling: str) -> str:
    """The format whose vendor made it; "" where nothing tells."""
    bare, _ = unredacted(travelling)
    mark = bare[:_MARK_SIZE]
    return next((fmt for fmt in _MARKS if mark in (_MARKS[fmt], _PACKED[fmt])), "") or _shaped(bare)


def redacted(travelling: str) -> str:
    """For clients whose format cannot say that thinking is redacted; `own` needs no `unredacted` first."""
    return _REDACTED + travelling if travelling and not travelling.startswith(_REDACTED) else travelling


def unredacted(text: str) -> tuple[str, bool]:
    """What travels, and whether it was marked as redacted."""
    found = text.startswith(_REDACTED)
    return (text[_MARK_SIZE:] if found else text), found


def _marked(text: str) -> bool:
    return text[:_MARK_SIZE] in _ANY_MARK


def _shaped(text: str) -> str:
    """The format whose vendor alone writes such text; "" where the shape does not tell."""
    if text.startswith(_FERNET):
        return "openai-responses" if _is_fernet(text) else ""
    if text[:1] == "E" or text.startswith("CAIS"):
        return "anthropic-messages" if _ANTHROPIC.match(_decoded(text[:_HEAD])) else ""
    if text[:1] == "R":
        inner = _decoded(text[: _HEAD * 2])
        return "anthropic-messages" if _ANTHROPIC.match(_decoded(inner[:_HEAD].decode("latin-1"))) else ""
    return ""


def _is_fernet(text: str) -> bool:
    if len(text) % 4 or not _BASE64.fullmatch(text):
        return False
    size = len(text.rstrip("=")) * 3 // 4
    return size >= _FERNET_LEAST and (size - _FERNET_FRAME) % 16 == 0


def _decoded(text: str) -> bytes:
    """The bytes of a head of base64, in either alphabet; b"" of what is none."""
    try:
        return binascii.a2b_base64(text.translate(_STANDARD)[: len(text) // 4 * 4], strict_mode=True)
    except (binascii.Error, ValueError):
        return b""
