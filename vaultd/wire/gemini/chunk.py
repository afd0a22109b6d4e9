"""One chunk of a Gemini vendor's answer, which is a whole answer in small; decoded once, and leniently: what has an
unexpected type is treated as absent."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire.ir import Reason
from vaultd.wire.usage import Usage


class Content(msgspec.Struct):
    parts: list[dict[str, Any]] = []


class Candidate(msgspec.Struct, rename="camel"):
    content: Content | None = None
    finish_reason: str | None = None
    index: int | None = 0
    grounding_metadata: dict[str, Any] | None = None
    citation_metadata: dict[str, Any] | None = None


class Tokens(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None


class Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class Chunk(msgspec.Struct, rename="camel"):
    candidates: list[Candidate] | None = None
    usage_metadata: Tokens | None = None
    prompt_feedback: Feedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: Any = None


_typed: Final = msgspec.json.Decoder(Chunk)


def decoded(data: bytes) -> Chunk | None:
    """None where it is no JSON object."""
    try:
        return _typed.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lenient(data)


def _lenient(data: bytes) -> Chunk | None:
    try:
        given = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    chunk: Chunk = _known(Chunk, given, ("model_version", "response_id", "create_time", "error"))
    candidates = given.get("candidates")
    for one in candidates if isinstance(candidates, list) else []:
        if not isinstance(one, dict):
            continue
        candidate = _known(Candidate, one, ("finish_reason", "index", "grounding_metadata", "citation_metadata"))
        content = one.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        if isinstance(parts, list):
            candidate.content = Content([part for part in parts if isinstance(part, dict)])
        chunk.candidates = [*(chunk.candidates or []), candidate]
    if isinstance(tokens := given.get("usageMetadata"), dict):
        chunk.usage_metadata = _known(Tokens, tokens, Tokens.__struct_fields__)
    if isinstance(feedback := given.get("promptFeedback"), dict):
        chunk.prompt_feedback = _known(Feedback, feedback, Feedback.__struct_fields__)
    return chunk


def _known(kind: Any, given: dict[str, Any], fields: tuple[str, ...]) -> Any:
    """A `kind` with those of the fields that have its type."""
    made = kind()
    for field in msgspec.structs.fields(kind):
        if field.name in fields and field.encode_name in given:
            try:
                setattr(made, field.name, msgspec.convert(given[field.encode_name], field.type))
            except msgspec.ValidationError:
                continue
    return made


_REASONS: Final[dict[str, Reason]] = {
    "": "stop",
    "STOP": "stop",
    "FINISH_REASON_UNSPECIFIED": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "filter",
    "RECITATION": "filter",
    "BLOCKLIST": "filter",
    "PROHIBITED_CONTENT": "filter",
    "SPII": "filter",
    "MODEL_ARMOR": "filter",
    "IMAGE_SAFETY": "filter",
    "IMAGE_PROHIBITED_CONTENT": "filter",
    "IMAGE_RECITATION": "filter",
    "MALFORMED_FUNCTION_CALL": "malformed",
    "UNEXPECTED_TOOL_CALL": "malformed",
    "TOO_MANY_TOOL_CALLS": "malformed",
}


def reason_of(said: str, called: bool) -> Reason:
    """Google has no reason for calls: they are a stop."""
    reason = _REASONS.get(said, "other")
    return "tool" if called and reason in ("stop", "malformed", "other") else reason


class Count:
    """Running totals: of each number the last one said counts."""

    __slots__ = ("_tokens",)

    def __init__(self) -> None:
        self._tokens = Tokens()

    def add(self, tokens: Tokens) -> None:
        own = self._tokens
        if tokens.prompt_token_count is not None:
            own.prompt_token_count = tokens.prompt_token_count
        if tokens.candidates_token_count is not None:
            own.candidates_token_count = tokens.candidates_token_count
        if tokens.thoughts_token_count is not None:
            own.thoughts_token_count = tokens.thoughts_token_count
        if tokens.cached_content_token_count is not None:
            own.cached_content_token_count = tokens.cached_content_token_count
        if tokens.tool_use_prompt_token_count is not None:
            own.tool_use_prompt_token_count = tokens.tool_use_prompt_token_count

    def usage(self) -> Usage | None:
        """None where nothing was said of tokens."""
        own = self._tokens
        if own == Tokens():
            return None
        thoughts = own.thoughts_token_count or 0
        return Usage(
            (own.prompt_token_count or 0) + (own.tool_use_prompt_token_count or 0),
            (own.candidates_token_count or 0) + thoughts,
            own.cached_content_token_count or 0,
            thoughts,
        )
