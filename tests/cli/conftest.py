"""A person at a home of his own."""

from __future__ import annotations

import pytest
from shell import Person


@pytest.fixture
def person(home: dict[str, str]) -> Person:
    return Person(home)
