"""Recorded answers of real vendors, replayed through a running daemon: every client is told all the vendor said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from disputed import RECORDED

ANSWERS = 1100


@pytest.mark.timeout(600)
def test_every_recorded_answer_arrives_whole(suite: Callable[..., str], shared: Path) -> None:
    said = suite("replay.py", "--dir", str(shared / "fixtures"))
    failed = Counter(name[:7] for name in re.findall(r"^FAIL \S+ (\S+)", said, re.MULTILINE))
    assert failed == {name: clients for name, (clients, _) in RECORDED.items()}, said
    assert f"{ANSWERS - failed.total()}/{ANSWERS} answers arrive whole" in said, said
    identical = re.search(r"^same protocol, identical: (.*)$", said, re.MULTILINE)
    assert identical is not None
    counts = re.findall(r"(\d+)/(\d+)", identical[1])
    assert len(counts) == 4
    assert all(same == asked for same, asked in counts), identical[0]
