"""Whose request it is: the session a client names, else the conversation it goes on with. Pure.

Every known client names its session in a header or in the body. Where none does, a request that holds an answer already
goes on with a conversation, which is known by how it began; one that holds none may be the beginning of such a one.
Only a hash of it leaves this file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from vaultd.catalog.manifest import FormatName
from vaultd.wire.members import Members

#: Claude Code; Codex, of which older ones write an underscore (a proxy may refuse it); opencode; and those of the API's
#: own clients that name a conversation.
_HEADERS: Final = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "conversation-id",
    "conversation_id",
    "x-session-id",
    "x-session-affinity",
)
#: `user_<hash>_account_<uuid>_session_<uuid>`: Claude Code before it wrote JSON there.
_IN_USER: Final = re.compile(r"_session_([0-9A-Za-z-]{8,64})\Z")
_CONVERSATION: Final[dict[FormatName, str]] = {
    "openai-chat": "messages",
    "anthropic-messages": "messages",
    "openai-responses": "input",
    "gemini": "contents",
}
#: What stands apart from the conversation and begins the vendor's prompt cache all the same: agents that differ in it
#: alone, and always ask the same first, are not one.
_SYSTEM: Final = ("system", "instructions", "systemInstruction", "system_instruction")
#: The model's first word. Within a text the quotes would be escaped.
_ANSWERED: Final = re.compile(rb'"role"[ \t\r\n]*:[ \t\r\n]*"(?:assistant|model)"')
_ANSWERED_ITEM: Final = re.compile(
    rb'"(?:role"[ \t\r\n]*:[ \t\r\n]*"assistant|'
    rb'type"[ \t\r\n]*:[ \t\r\n]*"(?:reasoning|function_call|custom_tool_call))"'
)
#: It is looked for in the beginning alone: 64 KiB take 30 µs at worst, and who begins with more names a session.
_BEGINNING: Final = 64 * 1024
#: Of what comes before it both ends are enough: hashing all of it would cost more than choosing.
_END: Final = 2048
#: Clients that mark what is to be cached move the mark on with each turn. The pattern begins with a fixed text and not
#: with the comma and white space before it: a search would begin anew at each of the 64 KiB that a client may send.
_MARK: Final = re.compile(rb'"cache_control"[ \t\r\n]*:[ \t\r\n]*\{[^{}]*\}')
_BEFORE_MARK: Final = b" \t\r\n,"
#: What parts the last item from the next, or ends the list.
_BETWEEN: Final = b" \t\r\n,{]"
#: A name longer than this is none.
_LONGEST: Final = 1024


class Session(NamedTuple):
    """`begins`: it is not to be looked for, only to be found again: two who ask the same are not one conversation."""

    key: str
    begins: bool = False


def session_of(fmt: FormatName, headers: Mapping[str, str], body: Members) -> Session | None:
    """None where nobody can tell."""
    for kind, name in _named(headers, body):
        if name and isinstance(name, str) and len(name) <= _LONGEST:
            return Session(_hashed(f"{kind}\0{name}".encode("utf-8", "replace")))
    return _conversation(fmt, body)


def _named(headers: Mapping[str, str], body: Members) -> Iterator[tuple[str, Any]]:
    """Names by the client, the surest first; one and the same session may come by either of the first two."""
    for header in _HEADERS:
        if header in headers:  # nearly always not: it costs less than a step of this generator
            yield "session", headers.get(header)
    if "prompt_cache_key" in body:
        yield "session", body.get("prompt_cache_key")
    if "metadata" in body:
        yield from _in_metadata(body.get("metadata"))
    if "conversation" in body:
        said = body.get("conversation")
        yield "conversation", said.get("id") if isinstance(said, dict) else said
    if "session_id" in body:  # Gemini CLI, within Code Assist's envelope
        yield "session", body.get("session_id")


def _in_metadata(said: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(said, dict):
        return
    user = said.get("user_id")
    if isinstance(user, str) and user:
        found = _IN_USER.search(user)
        named = found[1] if found else _in_json(user)
        yield ("session", named) if named else ("user", user)
    yield "session", said.get("session_id") or said.get("sessionId")


def _in_json(user: str) -> str:
    if not user.startswith("{"):
        return ""
    try:
        said = msgspec.json.decode(user)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    found = said.get("session_id") if isinstance(said, dict) else None
    return found if isinstance(found, str) else ""


def _conversation(fmt: FormatName, body: Members) -> Session | None:
    """By what stands before the model's first word, as far as it tells conversations apart."""
    where = body.span(_CONVERSATION[fmt])
    if where is None:
        return None
    start, end = where
    pattern = _ANSWERED_ITEM if fmt == "openai-responses" else _ANSWERED
    answered = pattern.search(body.body, start, min(end, start + _BEGINNING))
    if answered is None and end - start > _BEGINNING:
        return None
    said = _ends(body.body, start, answered.start() if answered else end)
    for name in _SYSTEM:
        if (where := body.span(name)) is not None:
            said += b"\0" + _ends(body.body, *where)
    return Session(_hashed(b"conversation\0" + said), begins=answered is None)


def _ends(body: bytes, start: int, end: int) -> bytes:
    """What is said there, without the marks that move; of much, its two ends."""
    said = body[start:end].rstrip(_BETWEEN)
    if b'"cache_control"' in said:
        said = b"".join([piece.rstrip(_BEFORE_MARK) for piece in _MARK.split(said)])
    return said if len(said) <= 2 * _END else b"%b\0%d\0%b" % (said[:_END], len(said), said[-_END:])


def _hashed(what: bytes) -> str:
    """96 bits keep some thousand sessions apart, and do not tell what was said."""
    return hashlib.sha256(what).hexdigest()[:24]
