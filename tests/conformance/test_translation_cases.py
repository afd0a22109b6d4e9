"""Cases from the history of other relays' bugs, each through a running daemon: given this, that must be told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from disputed import DISPUTED

JUDGED = 219


@pytest.mark.timeout(600)
def test_every_translation_case_passes(suite: Callable[..., str], shared: Path) -> None:
    said = suite("relaycases.py", "--cases", str(shared / "conformance/translation-cases.jsonl"))
    passed, judged = map(int, re.findall(r"^(\d+)/(\d+) cases pass", said, re.MULTILINE)[-1])
    failed = set(re.findall(r"^FAIL (\S+)", said, re.MULTILINE))
    assert failed <= set(DISPUTED), said
    assert judged == JUDGED
    assert passed == judged - len(failed)


def test_few_cases_are_disputed_and_each_with_its_source() -> None:
    assert len(DISPUTED) <= 5
    assert all(case.why and case.documentation.startswith("https://") for case in DISPUTED.values())
