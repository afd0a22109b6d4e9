"""When a vendor says that a quota comes back: every form it is said in, and nothing that is no time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.hints import Hint, retry_after

#: 2025-11-15T12:00:00Z.
NOW = 1763208000.0
UNIFIED = "anthropic-ratelimit-unified"
GOOGLE = "type.googleapis.com/google.rpc."


def unified(**windows: tuple[str, float]) -> dict[str, str]:
    """A Claude subscription's headers: window → its status, and seconds from now to its reset."""
    headers = {}
    for window, (status, seconds) in windows.items():
        name = window.removeprefix("w").replace("all", "")
        start = f"{UNIFIED}-{name}" if name else UNIFIED
        headers |= {f"{start}-status": status, f"{start}-reset": str(int(NOW + seconds))}
    return headers


def codex(**windows: tuple[str, str, str]) -> dict[str, str]:
    """window → per cent used, its minutes, seconds to its reset."""
    headers = {}
    for window, (used, minutes, seconds) in windows.items():
        start = f"X-Codex-{window.title()}"
        headers |= {f"{start}-Used-Percent": used, f"{start}-Window-Minutes": minutes}
        headers |= {f"{start}-Reset-After-Seconds": seconds}
    return headers


def error(**members: Any) -> bytes:
    return json.dumps({"error": members}).encode()


def google(*details: dict[str, Any], message: str = "You exceeded your current quota.") -> bytes:
    return error(code=429, status="RESOURCE_EXHAUSTED", message=message, details=list(details))


def retry_info(delay: Any) -> dict[str, Any]:
    return {"@type": f"{GOOGLE}RetryInfo", "retryDelay": delay}


def quota(name: str) -> dict[str, Any]:
    return {"@type": f"{GOOGLE}QuotaFailure", "violations": [{"quotaId": name}]}


SAID: list[tuple[str, dict[str, str], bytes, Hint]] = [
    # RFC 9110 §10.2.3, and the milliseconds of Azure and OpenAI.
    ("seconds", {"Retry-After": "7"}, b"", Hint(7)),
    ("parts of a second", {"retry-after": "3.5"}, b"", Hint(3.5)),
    ("a date", {"retry-after": "Sat, 15 Nov 2025 12:02:00 GMT"}, b"", Hint(120)),
    ("milliseconds", {"retry-after": "0", "retry-after-ms": "1500"}, b"", Hint(1.5)),
    # A Claude subscription.
    ("five hours", unified(w5h=("rejected", 900), w7d=("allowed_warning", 90000)), b"", Hint(900, "5-hour limit")),
    ("the week", unified(w5h=("allowed", 900), w7d=("rejected", 90000)), b"", Hint(90000, "weekly limit")),
    ("both", unified(w5h=("rejected", 900), w7d=("rejected", 90000)), b"", Hint(90000, "weekly limit")),
    ("one model's week", unified(w7d_opus=("rejected", 500)), b"", Hint(500, "weekly limit of opus")),
    ("whole alone", unified(wall=("rejected", 600)), b"", Hint(600, "usage limit")),
    (
        "whole, with its window's name",
        unified(wall=("rejected", 600)) | {f"{UNIFIED}-representative-claim": "seven_day_opus"},
        b"",
        Hint(600, "weekly limit"),
    ),
    ("a reset without a status", {f"{UNIFIED}-reset": str(NOW + 60)}, b"", Hint(60, "usage limit")),
    ("extra usage is no window", unified(woverage=("rejected", 9e6)) | {"retry-after": "5"}, b"", Hint(5)),
    ("all allowed", unified(wall=("allowed", 600), w5h=("allowed", 600)) | {"retry-after": "5"}, b"", Hint(5)),
    (
        "the name of the window that Retry-After speaks of too",
        unified(w5h=("rejected", 900)) | {"retry-after": "930"},
        b"",
        Hint(930, "5-hour limit"),
    ),
    (
        "a longer Retry-After is not of that window",
        unified(w5h=("rejected", 900)) | {"retry-after": "9000"},
        b"",
        Hint(9000),
    ),
    # A key of Anthropic's.
    *(
        (
            f"{what} used up",
            {
                f"anthropic-ratelimit-{what}-remaining": "0",
                f"anthropic-ratelimit-{what}-reset": "2025-11-15T12:00:42Z",
                "anthropic-ratelimit-tokens-limit": "80000",
            },
            b"",
            Hint(42, f"{why} per minute"),
        )
        for what, why in (
            ("requests", "requests"),
            ("tokens", "tokens"),
            ("input-tokens", "input tokens"),
            ("output-tokens", "output tokens"),
        )
    ),
    (
        "what is left has no say",
        {
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2025-11-15T13:00:00Z",
            "retry-after": "11",
        },
        b"",
        Hint(11),
    ),
    # Codex.
    ("in so many seconds", {}, error(type="usage_limit_reached", resets_in_seconds=1800), Hint(1800, "usage limit")),
    ("at a moment", {}, error(type="usage_limit_reached", resets_at=NOW + 77), Hint(77, "usage limit")),
    ("in a stream", {}, b'{"type":"response.failed","response":' + error(resets_in_seconds=9) + b"}", Hint(9)),
    ("at the top", {}, b'{"type":"error","code":"rate_limit_exceeded","resets_in_seconds":9}', Hint(9)),
    (
        "the window that is used up",
        codex(primary=("100", "300", "1200"), secondary=("40", "10080", "400000")),
        b"",
        Hint(1200, "5-hour limit"),
    ),
    (
        "the longer of two",
        codex(primary=("100.0", "300", "1200"), secondary=("100", "10080", "400000")),
        b"",
        Hint(400000, "weekly limit"),
    ),
    (
        "a window's name for the body's time",
        codex(primary=("100", "300", "1200")),
        error(type="usage_limit_reached", resets_in_seconds=1201),
        Hint(1201, "5-hour limit"),
    ),
    (
        "a window's reset as a moment",
        {"x-codex-primary-used-percent": "100", "x-codex-primary-reset-at": str(int(NOW) + 30)},
        b"",
        Hint(30, "usage limit"),
    ),
    ("a window of days", codex(primary=("100", "43200", "5")), b"", Hint(5, "30-day limit")),
    ("a window of minutes", codex(primary=("100", "15", "5")), b"", Hint(5, "15-minute limit")),
    ("none used up", codex(primary=("99", "300", "1200")) | {"retry-after": "3"}, b"", Hint(3)),
    # Google.
    ("RetryInfo", {}, google(retry_info("34.4s")), Hint(34.4)),
    (
        "with the quota's name",
        {},
        google(quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retry_info("34.4s")),
        Hint(34.4, "requests per minute"),
    ),
    (
        "tokens a day",
        {},
        google(quota("GenerateContentInputTokensPerModelPerDay"), retry_info("34s")),
        Hint(34, "tokens per day"),
    ),
    ("all in an array", {}, b"[" + google(retry_info("2s")) + b"]", Hint(2)),
    ("in words", {}, google(message="Your quota will reset after 1h2m3s."), Hint(3723)),
    ("in a few words", {}, google(message="Please retry in 12.5s."), Hint(12.5)),
    ("the longer of both", {}, google(retry_info("1s"), message="quota will reset after 18h31m10s"), Hint(66670)),
    # OpenAI.
    (
        "requests",
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"},
        b"",
        Hint(360, "request limit"),
    ),
    (
        "tokens",
        {
            "x-ratelimit-remaining-requests": "9",
            "x-ratelimit-reset-requests": "8h0m0s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "20ms",
        },
        b"",
        Hint(0.02, "token limit"),
    ),
    ("OpenAI's words", {}, error(message="Rate limit reached ... Please try again in 1m3.5s. Visit"), Hint(63.5)),
]


@pytest.mark.parametrize(("headers", "body", "hint"), [row[1:] for row in SAID], ids=[row[0] for row in SAID])
def test_what_a_vendor_says(headers: dict[str, str], body: bytes, hint: Hint) -> None:
    got = retry_after(429, headers, body, wall=NOW)
    assert got is not None
    assert (got.seconds, got.why) == (pytest.approx(hint.seconds), hint.why)


NONSENSE: list[tuple[dict[str, str], bytes]] = [
    ({}, b""),
    *(({"retry-after": said}, b"") for said in ("-1", "0", "nan", "inf", "1e400", "soon", "", "9" * 5000, "٣", "1_0")),
    ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b""),
    ({"retry-after": "Mon, 01 Jan 2024 00:00:00 +99999999999999"}, b""),
    ({"retry-after": "3200000000"}, b""),
    *(({f"{UNIFIED}-reset": said}, b"") for said in ("never", "0", "-5", "nan", str(NOW * 1000))),
    ({f"{UNIFIED}-5h-status": "rejected"}, b""),
    (
        {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "2025-11-15T13:00:00",  # of which zone?
        },
        b"",
    ),
    ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "10000-01-01"}, b""),
    ({"x-codex-primary-used-percent": "100"}, b""),
    ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "a while"}, b""),
    *(
        ({}, error(resets_in_seconds=said))
        for said in (-5, 0, True, [60], {"s": 60}, 1e300, None, 36525 * 86400, "nan")
    ),
    ({}, b'{"error":{"resets_in_seconds":NaN}}'),
    *(({}, error(resets_at=said)) for said in (NOW, NOW - 1, NOW * 1000, "tomorrow")),
    *(({}, google(retry_info(said))) for said in ("0s", "-3s", "3", 3, {"seconds": 3}, "s", "1y", "9" * 12 + "h")),
    ({}, google(message="Your quota will reset after a while")),
    ({}, error(details=[1, None], message=["reset after 5s"])),
    ({}, b"<html>reset after 5s</html>"),
    ({}, b"[" * 100_000),
]


@pytest.mark.parametrize(("headers", "body"), NONSENSE)
def test_what_no_clock_can_mean_is_no_hint(headers: dict[str, str], body: bytes) -> None:
    assert retry_after(429, headers, body, wall=NOW) is None


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503, 529])
def test_a_window_that_is_used_up_is_no_reason_for_another_refusal(status: int) -> None:
    """A 200's own headers say so too, and a server that is overloaded has nothing to do with it."""
    headers = unified(w5h=("rejected", 900)) | codex(primary=("100", "300", "1200"))
    assert retry_after(status, headers, error(resets_in_seconds=5), wall=NOW) is None
    assert retry_after(status, headers | {"retry-after": "5"}, b"", wall=NOW) == Hint(5)


def test_of_a_header_given_twice_in_two_spellings_the_first_counts() -> None:
    assert retry_after(429, {"Retry-After": "5", "retry-after": "500"}, b"", wall=NOW) == Hint(5)


NAMES = sorted({name.lower() for _, headers, _, _ in SAID for name in headers})
VALUES = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"-?[0-9]{0,12}(\.[0-9]{0,3})?(e[0-9]{1,3}|ms|s|m|h)?", fullmatch=True),
    st.floats().map(str),
    st.sampled_from(["rejected", "allowed", "0", "100", "2025-11-15T12:00:42Z", "Sat, 15 Nov 2025 12:02:00 GMT"]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | VALUES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "details", "message", "resets_at", "resets_in_seconds", "retryDelay", "violations", "quotaId"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    headers=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=40), VALUES, max_size=8),
    body=JSON.map(lambda said: json.dumps(said).encode()) | st.binary(max_size=60),
    status=st.integers(0, 999),
    wall=st.floats(-1e10, 1e11),
)
def test_nothing_a_vendor_says_raises(headers: dict[str, str], body: bytes, status: int, wall: float) -> None:
    hint = retry_after(status, headers, body, wall=wall)
    assert hint is None or (0 < hint.seconds < 100 * 365 * 86400 and len(hint.why) < 60)
