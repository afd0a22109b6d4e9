"""When a vendor itself says that a quota comes back: read from the headers and the body of its refusal. Pure.

Every vendor says it in a way of its own, some in three at once. What speaks of this refusal counts: `Retry-After`, the
body, and each window that is said to be used up; a window with room left says nothing, however far its reset. Of
several the longest counts, for until then something still refuses; should it be wrong, the pool's probe finds out.

What no clock can mean is no hint: nothing, the past, a century, words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from vaultd.wire import fault

#: Quotas are refused with this; other refusals know `Retry-After` alone, and an overloaded Google its RetryInfo.
_LIMITED: Final = 429
_UNAVAILABLE: Final = 503
#: In seconds: who says so much says nothing.
_CENTURY: Final = 100 * 365 * 86400.0
#: `Retry-After` is rounded up, and some vendors add a margin: within it, it speaks of the same window.
_MARGIN: Final = 60.0
#: Words are looked for in so much of a message, which may repeat what the client sent.
_WORDS: Final = 2000

#: `6m0s`, `1h2m3s`, `34.4s`, `20ms`: Go's durations, which OpenAI and Google write.
_PARTS: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[dhms])")
_DURATION: Final = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|[dhms])){1,5}")
_SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: "Your quota will reset after 1h2m3s" (Code Assist), "Please retry in 12.5s" (Gemini), "Please try again in 6m0s"
#: (OpenAI).
_SAID: Final = re.compile(r"(?:reset after|retry in|try again in) ((?:\d{1,9}(?:\.\d{1,9})?(?:ms|[dhms])){1,5})")
#: Anthropic's windows of a subscription: `5h`, `7d`, `7d_opus`. `overage` is none: its status says what may be bought.
_UNIFIED: Final = re.compile(r"anthropic-ratelimit-unified-(\d{1,3}[hd])(?:_([a-z0-9_]{1,20}))?-status")
#: Which one is not said.
_SOME_LIMIT: Final = "usage limit"
_CLAIMS: Final[Mapping[str, str]] = {"five_hour": "5-hour limit", "seven_day": "weekly limit"}


class Hint(msgspec.Struct, frozen=True):
    """Ask again in so many `seconds`. `why`: which limit, in a few words for people, where the vendor names it."""

    seconds: float
    why: str = ""


def retry_after(status: int, headers: Mapping[str, str], body: bytes, *, wall: float) -> Hint | None:
    """What a refusal says of when to come back, None where it says nothing that can be true.

    `status` is what the refusal counts as; `wall` is the time now.
    """
    named: dict[str, str] = {}
    for name, value in headers.items():
        named.setdefault(name.lower(), value)
    said = list(_plain(named, wall))
    if status == _LIMITED:
        for source in (_unified, _per_minute, _codex, _openai):
            said += source(named, wall)
        said += _told(body, wall)
    elif status == _UNAVAILABLE:
        said += _retry_info(fault.error_of(body), "")
    return _chosen(said)


def _chosen(said: list[tuple[float | None, str]]) -> Hint | None:
    hints = [Hint(seconds, why) for seconds, why in said if seconds is not None and _sound(seconds)]
    if not hints:
        return None
    longest = max(hint.seconds for hint in hints)
    same = [hint for hint in hints if hint.seconds >= longest - _MARGIN]
    name = max(same, key=lambda hint: (hint.why not in {"", _SOME_LIMIT}, hint.why != "", hint.seconds))
    return Hint(longest, name.why)


def _sound(seconds: float) -> bool:
    return 0 < seconds < _CENTURY  # a NaN is neither


# --- headers: each yields (seconds, why) for what it finds -----------------------------------------------------------


_Said = Iterator[tuple[float | None, str]]


def _plain(headers: Mapping[str, str], wall: float) -> _Said:
    """RFC 9110 §10.2.3, seconds or a date; in milliseconds as Azure and OpenAI add it."""
    value = headers.get("retry-after", "").strip()
    yield (number(value) if value[:1].isdigit() else _date(value, wall)), ""
    if (thousandths := number(headers.get("retry-after-ms"))) is not None:
        yield thousandths / 1000, ""


def _unified(headers: Mapping[str, str], wall: float) -> _Said:
    """A Claude subscription: each window's `-status` (`allowed`, `allowed_warning`, `rejected`) and `-reset`."""
    refusing = False
    prefix = "anthropic-ratelimit-unified"
    for name, value in headers.items():
        found = _UNIFIED.fullmatch(name)
        if found is None or value.startswith("allowed"):
            continue
        refusing = True
        yield _until(headers.get(name.removesuffix("status") + "reset"), wall), _window(found[1], found[2])
    if not headers.get(f"{prefix}-status", "rejected").startswith("allowed"):
        claim = headers.get(f"{prefix}-representative-claim", "")
        why = next((words for start, words in _CLAIMS.items() if claim.startswith(start)), _SOME_LIMIT)
        reset = _until(headers.get(f"{prefix}-reset"), wall)
        yield reset, "" if refusing else why


def _per_minute(headers: Mapping[str, str], wall: float) -> _Said:
    """A key of Anthropic's: the limits stand per minute (its page on rate limits), their resets in RFC 3339."""
    for what in ("requests", "tokens", "input-tokens", "output-tokens"):
        prefix = f"anthropic-ratelimit-{what}"
        if number(headers.get(f"{prefix}-remaining")) == 0:
            yield instant(headers.get(f"{prefix}-reset"), wall), f"{what.replace('-', ' ')} per minute"


def _codex(headers: Mapping[str, str], wall: float) -> _Said:
    for window in ("primary", "secondary"):
        prefix = f"x-codex-{window}"
        used = number(headers.get(f"{prefix}-used-percent"))
        if used is None or used < 100:
            continue
        why = _of_minutes(number(headers.get(f"{prefix}-window-minutes")))
        yield number(headers.get(f"{prefix}-reset-after-seconds")), why
        yield _until(headers.get(f"{prefix}-reset-at"), wall), why


def _openai(headers: Mapping[str, str], _wall: float) -> _Said:
    for what, why in (("requests", "request limit"), ("tokens", "token limit")):
        if number(headers.get(f"x-ratelimit-remaining-{what}")) == 0:
            yield length(headers.get(f"x-ratelimit-reset-{what}", "")), why


# --- body -------------------------------------------------------------------------------------------------------------


def _told(body: bytes, wall: float) -> _Said:
    """Codex's `resets_at` and `resets_in_seconds`, Google's RetryInfo, and what stands in words."""
    error = fault.error_of(body)
    why = _SOME_LIMIT if error.get("type") == "usage_limit_reached" else ""
    yield number(error.get("resets_in_seconds")), why
    yield _until(error.get("resets_at"), wall), why
    why = next((words for one in _details(error) if (words := _quota(one))), "")
    yield from _retry_info(error, why)
    message = error.get("message")
    if isinstance(message, str) and (found := _SAID.search(message[:_WORDS])) is not None:
        yield length(found[1]), why


def _retry_info(error: Mapping[str, Any], why: str) -> _Said:
    for one in _details(error):
        if "retryDelay" in one:
            yield length(one["retryDelay"]), why


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _quota(detail: Mapping[str, Any]) -> str:
    """Google's QuotaFailure names the quota: `GenerateRequestsPerMinutePerProjectPerModel-FreeTier`."""
    violations = detail.get("violations")
    for one in violations if isinstance(violations, list) else ():
        name = one.get("quotaId") if isinstance(one, dict) else None
        if not isinstance(name, str):
            continue
        what = "tokens" if "Token" in name else "requests"
        for mark, words in (("PerDay", "day"), ("PerHour", "hour"), ("PerMinute", "minute")):
            if mark in name:
                return f"{what} per {words}"
    return ""


# --- values -----------------------------------------------------------------------------------------------------------


def number(value: Any) -> float | None:
    """A number, or a text that is one; never a NaN."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and (not value.isascii() or "_" in value or len(value) > 32):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _until(value: Any, wall: float) -> float | None:
    """From now to a moment in seconds since 1970."""
    moment = number(value)
    return None if moment is None else moment - wall


def instant(value: str | None, wall: float) -> float | None:
    """From now to a moment in RFC 3339."""
    return _since(datetime.fromisoformat, value, wall)


def _date(value: str, wall: float) -> float | None:
    """From now to a moment as HTTP writes it."""
    return _since(parsedate_to_datetime, value, wall)


def _since(read: Callable[[str], datetime], value: str | None, wall: float) -> float | None:
    try:
        moment = read(value) if value else None
        # Without a zone it would be taken for this machine's.
        return moment.timestamp() - wall if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def length(value: Any) -> float | None:
    """A duration as Go writes it."""
    if not isinstance(value, str) or _DURATION.fullmatch(value) is None:
        return None
    return sum(float(count) * _SECONDS[unit] for count, unit in _PARTS.findall(value))


def _window(size: str, model: str | None) -> str:
    words = "weekly limit" if size == "7d" else f"{size[:-1]}-{'hour' if size[-1] == 'h' else 'day'} limit"
    return f"{words} of {model.replace('_', ' ')}" if model else words


def _of_minutes(minutes: float | None) -> str:
    if not minutes or minutes < 1:
        return _SOME_LIMIT
    if minutes == 7 * 1440:
        return "weekly limit"
    if minutes % 1440 == 0:
        return f"{minutes // 1440:.0f}-day limit"
    return f"{minutes // 60:.0f}-hour limit" if minutes % 60 == 0 else f"{minutes:.0f}-minute limit"
