"""Quota windows as vendors' answers tell them in their heads: how much is used, and when it begins anew. Pure.

`wire.hints` reads the same heads for another question: of a refusal, when to come back. Here any answer counts, a good
one too, and nothing is decided by it: it is for people to look at. What makes no sense (no limit, more than all, the
past as a reset, or years ahead) says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from vaultd.wire.hints import instant, length, number

#: The longest window anybody has is a month. A calendar ends too, and who writes the moment down fails there.
_FARTHEST: Final = 366 * 86400.0


class Window(NamedTuple):
    """One window of a vendor's limits. `name` as people say it: `5 hours`, `7 days`, `requests`, `tokens`.

    `used`: 0.0 to 1.0. `resets_at`: unix seconds, None where the vendor did not say. `noted_at`: when we heard.
    """

    name: str
    used: float
    resets_at: float | None
    noted_at: float


_Said = Iterator[tuple[str, float | None, float | None]]

_UNIFIED: Final = re.compile(r"anthropic-ratelimit-unified-(\d{1,3})([hd])(?:_([a-z0-9_]{1,20}))?-utilization")
_UNITS: Final = {"h": "hour", "d": "day"}


def windows(headers: Mapping[str, str], now: float) -> list[Window]:
    """What this head says, in its own order. `headers` finds names in any case; one look tells whether there is
    anything to read, for this is asked of each answer."""
    for mark, read in _READERS:
        if mark in headers:
            return [
                Window(
                    name, min(used, 1.0), resets if resets is not None and 0 < resets - now < _FARTHEST else None, now
                )
                for name, used, resets in read(headers, now)
                if used is not None and used >= 0
            ]
    return []


def _unified(headers: Mapping[str, str], now: float) -> _Said:
    """A Claude subscription: for each window `-utilization`, a fraction, and `-reset`, unix seconds (seen as RFC 3339
    too). `7d_opus` and its like are windows of one family of models.

    Source: heads that users of Claude Code published, anthropics/claude-code#12829 and anomalyco/opencode#49499.
    """
    for given in headers:
        name = given.lower()
        if (found := _UNIFIED.fullmatch(name)) is not None:
            count, unit, family = found.groups()
            words = _counted(int(count), _UNITS[unit]) + (f", {family.replace('_', ' ')}" if family else "")
            yield words, number(headers[name]), _moment(headers.get(name.removesuffix("utilization") + "reset"), now)


def _anthropic_key(headers: Mapping[str, str], now: float) -> _Said:
    """A key of Anthropic's API: `-limit`, `-remaining` and `-reset` (RFC 3339) of requests and of tokens, by the
    minute. Source: its page on rate limits, "Response headers"."""
    for what in ("requests", "tokens", "input-tokens", "output-tokens"):
        prefix = f"anthropic-ratelimit-{what}"
        used = _used(headers.get(f"{prefix}-limit"), headers.get(f"{prefix}-remaining"))
        yield what.replace("-", " "), used, _moment(headers.get(f"{prefix}-reset"), now)


def _codex(headers: Mapping[str, str], now: float) -> _Said:
    """A ChatGPT plan: `primary` and `secondary`, each with `-used-percent`, `-window-minutes`, and when it begins anew
    as `-reset-after-seconds` or, later, `-reset-at`. Source: what codex-rs (openai/codex) reads of its answers."""
    for which in ("primary", "secondary"):
        prefix = f"x-codex-{which}"
        percent = number(headers.get(f"{prefix}-used-percent"))
        minutes = number(headers.get(f"{prefix}-window-minutes"))
        if percent is None or minutes == 0:  # a plan without this window
            continue
        resets = number(headers.get(f"{prefix}-reset-at"))
        after = number(headers.get(f"{prefix}-reset-after-seconds"))
        if resets is None and after is not None:
            resets = now + after
        yield _of_minutes(minutes) or which, percent / 100, resets


def _openai(headers: Mapping[str, str], now: float) -> _Said:
    """OpenAI and those that answer like it: `x-ratelimit-limit-`, `-remaining-` and `-reset-` of requests and of
    tokens, the reset a duration in Go's spelling (`6m0s`). Source: its guide to rate limits, "Rate limits in headers";
    Groq's page has the same names. Azure has seconds for the reset, and -1 where it counts nothing."""
    for what in ("requests", "tokens"):
        used = _used(headers.get(f"x-ratelimit-limit-{what}"), headers.get(f"x-ratelimit-remaining-{what}"))
        reset = headers.get(f"x-ratelimit-reset-{what}", "")
        after = number(reset) if reset.isdigit() else length(reset)
        yield what, used, None if after is None else now + after


def _mistral(headers: Mapping[str, str], _now: float) -> _Said:
    """Mistral: by the minute, which the names say; no reset. Source: heads of its recorded answers."""
    for what, name in (("req", "requests"), ("tokens", "tokens")):
        limit, remaining = (headers.get(f"x-ratelimit-{part}-{what}-minute") for part in ("limit", "remaining"))
        yield f"{name} a minute", _used(limit, remaining), None


#: The header that tells each from the others, and who reads it. A login's windows before a key's.
_READERS: Final[tuple[tuple[str, Callable[[Mapping[str, str], float], _Said]], ...]] = (
    ("anthropic-ratelimit-unified-status", _unified),
    ("x-codex-primary-used-percent", _codex),
    ("x-ratelimit-limit-requests", _openai),
    ("anthropic-ratelimit-requests-limit", _anthropic_key),
    ("x-ratelimit-limit-req-minute", _mistral),
)


def _used(limit: str | None, remaining: str | None) -> float | None:
    most, left = number(limit), number(remaining)
    return None if most is None or left is None or most <= 0 or left < 0 else max(0.0, 1 - left / most)


def _moment(value: str | None, now: float) -> float | None:
    seconds = number(value)
    if seconds is not None:
        return seconds
    after = instant(value, now)
    return None if after is None else now + after


def _of_minutes(minutes: float | None) -> str:
    if minutes is None or not 1 <= minutes <= _FARTHEST / 60:
        return ""
    for size, unit in ((1440, "day"), (60, "hour")):
        if minutes % size == 0:
            return _counted(int(minutes // size), unit)
    return _counted(int(minutes), "minute")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"
