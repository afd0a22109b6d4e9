"""Tokens and reasons of an end, both ways."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

from vaultd.wire.ir import Reason
from vaultd.wire.usage import Usage

#: `model_length` is Mistral's, `eos` is Together's, `sensitive` Zhipu's.
_REASONS: Final[MappingProxyType[Any, Reason]] = MappingProxyType(
    {
        "stop": "stop",
        "eos": "stop",
        "end_turn": "stop",
        "length": "length",
        "max_tokens": "length",
        "model_length": "length",
        "tool_calls": "tool",
        "function_call": "tool",
        "content_filter": "filter",
        "sensitive": "filter",
    }
)
_WORDS: Final[MappingProxyType[Reason, str]] = MappingProxyType(
    {
        "stop": "stop",
        "stop-sequence": "stop",
        "tool": "tool_calls",
        "length": "length",
        "filter": "content_filter",
        "pause": "stop",
        "malformed": "stop",
        "other": "other",
    }
)


def reason_of(word: str, called: bool) -> Reason:
    """`called`: the answer has a call. It wins over a stop; a reason that tells of calls where there is none is one."""
    reason = _REASONS.get(word, "other") if word else "stop"
    if reason in ("stop", "other") and called:
        return "tool"
    return "stop" if reason == "tool" and not called else reason


def word_of(reason: Reason) -> str:
    return _WORDS[reason]


def usage_of(said: Any) -> Usage | None:
    """None for what states no tokens.

    A part is never more than the whole: xAI leaves the reasoning out of `completion_tokens`.
    """
    if not isinstance(said, dict) or not said:
        return None
    prompt, completion = _inner(said, "prompt_tokens_details"), _inner(said, "completion_tokens_details")
    total_in, total_out = _count(said, "prompt_tokens"), _count(said, "completion_tokens")
    # DeepSeek and Mistral have names of their own for what was cached.
    cached = (
        _count(prompt, "cached_tokens") or _count(said, "prompt_cache_hit_tokens") or _count(said, "num_cached_tokens")
    )
    cached = min(cached, total_in)
    return Usage(
        total_in,
        total_out,
        cached,
        min(_count(completion, "reasoning_tokens"), total_out),
        min(_count(prompt, "cache_write_tokens"), total_in - cached),
    )


def usage_told(usage: Usage) -> dict[str, Any]:
    prompt = {"cached_tokens": usage.cached}
    if usage.written:
        prompt["cache_write_tokens"] = usage.written
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _inner(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def _count(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    return value if type(value) is int and value > 0 else 0
