"""A promise names the tests that hold it, and each of them is there."""

from __future__ import annotations

import re

from markdown_pages import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
PROMISES = [line for line in PAGE.splitlines() if re.match(r"\| P\d+ \|", line)]


def test_every_promise_names_tests_that_exist() -> None:
    assert len(PROMISES) >= 6
    for promise in PROMISES:
        named = re.findall(r"`(tests/[^`]+)`", promise)
        assert named, promise
        assert [name for name in named if not (ROOT / name).is_file()] == []
