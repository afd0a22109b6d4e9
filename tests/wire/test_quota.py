"""How much is used and when it begins anew, as the vendors' own answers say it."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict

from vaultd.wire.quota import Window, windows
from vaultd.work.quotas import Quotas

NOW = 1_790_000_000.0

UNIFIED = {
    "anthropic-ratelimit-unified-status": "allowed",
    "anthropic-ratelimit-unified-5h-status": "allowed",
    "anthropic-ratelimit-unified-5h-utilization": "0.42",
    "anthropic-ratelimit-unified-5h-reset": "1790003600",
    "anthropic-ratelimit-unified-7d-utilization": "0.3",
    "anthropic-ratelimit-unified-7d-reset": "2026-09-23T05:25:11Z",
    "anthropic-ratelimit-unified-7d_opus-utilization": "1.2",
    "anthropic-ratelimit-unified-overage-status": "rejected",
}
KEY = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-09-21T14:14:20Z",
    "anthropic-ratelimit-input-tokens-limit": "30000",
    "anthropic-ratelimit-input-tokens-remaining": "0",
}
CODEX = {
    "X-Codex-Primary-Used-Percent": "37.5",
    "X-Codex-Primary-Window-Minutes": "300",
    "X-Codex-Primary-Reset-After-Seconds": "1200",
    "X-Codex-Secondary-Used-Percent": "100",
    "X-Codex-Secondary-Window-Minutes": "10080",
    "X-Codex-Secondary-Reset-At": "1790100000",
}
OPENAI = {
    "x-ratelimit-limit-requests": "200",
    "x-ratelimit-remaining-requests": "150",
    "x-ratelimit-reset-requests": "6m0s",
    "x-ratelimit-limit-tokens": "-1",
    "x-ratelimit-remaining-tokens": "-1",
    "x-ratelimit-reset-tokens": "0",
}
MISTRAL = {
    "x-ratelimit-limit-req-minute": "100",
    "x-ratelimit-remaining-req-minute": "25",
    "x-ratelimit-limit-tokens-minute": "100000",
    "x-ratelimit-remaining-tokens-minute": "99969",
}
SAID = [
    (
        "claude-login",
        UNIFIED,
        [("5 hours", 0.42, 1790003600), ("7 days", 0.3, 1790141111), ("7 days, opus", 1.0, None)],
    ),
    ("claude-key", KEY, [("requests", 0.02, 1790000060), ("input tokens", 1.0, None)]),
    ("codex", CODEX, [("5 hours", 0.375, NOW + 1200), ("7 days", 1.0, 1790100000)]),
    ("openai, and what Azure does not count", OPENAI, [("requests", 0.25, NOW + 360)]),
    ("mistral", MISTRAL, [("requests a minute", 0.75, None), ("tokens a minute", 0.00031, None)]),
    ("nothing", {"content-type": "application/json"}, []),
    (
        "a plan without a second window",
        CODEX | {"X-Codex-Secondary-Window-Minutes": "0"},
        [("5 hours", 0.375, 1790001200)],
    ),
    ("nonsense", dict.fromkeys(OPENAI, "CANARY") | {"x-ratelimit-reset-requests": "٣"}, []),
    (
        "what is over",
        CODEX | {"X-Codex-Secondary-Reset-At": "7"},
        [("5 hours", 0.375, NOW + 1200), ("7 days", 1.0, None)],
    ),
    (
        "hours and minutes",
        {"x-codex-primary-used-percent": "1", "x-codex-primary-window-minutes": "90"},
        [("90 minutes", 0.01, None)],
    ),
    (
        "what no calendar holds",
        CODEX | {"X-Codex-Primary-Reset-After-Seconds": "99999999999999", "X-Codex-Secondary-Window-Minutes": "1e300"},
        [("5 hours", 0.375, None), ("secondary", 1.0, 1790100000)],
    ),
    ("a window with no name", {"x-codex-primary-used-percent": "1"}, [("primary", 0.01, None)]),
]


@pytest.mark.parametrize(("headers", "expected"), [case[1:] for case in SAID], ids=[case[0] for case in SAID])
def test_windows_are_read_from_an_answers_head(
    headers: dict[str, str], expected: list[tuple[str, float, float | None]]
) -> None:
    found = windows(CIMultiDict(headers), NOW)
    assert [(window.name, round(window.used, 6), window.resets_at) for window in found] == expected
    assert all(isinstance(window, Window) and window.noted_at == NOW for window in found)


def test_a_vendor_that_invents_names_is_not_remembered_for_ever() -> None:
    quotas = Quotas(lambda: NOW)
    for hours in range(100):
        told = {"anthropic-ratelimit-unified-status": "", f"anthropic-ratelimit-unified-{hours}h-utilization": "0.1"}
        quotas.note("claude-a", CIMultiDict(told))
    assert len(quotas.of("claude-a")) == 16
    quotas.note("claude-a", CIMultiDict(UNIFIED))
    assert {window.name: window.used for window in quotas.of("claude-a")}["5 hours"] == 0.42
