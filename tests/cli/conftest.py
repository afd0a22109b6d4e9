"""A person and daemons that end with the test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from shell import Daemon, Person


@pytest.fixture
def person(home: dict[str, str]) -> Person:
    return Person(home)


@pytest.fixture
def serves() -> Iterator[Callable[..., Daemon]]:
    """`serves(person, "--host", …)` starts a daemon that ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(person: Person, *words: str) -> Daemon:
            daemon = Daemon(person, *words)
            stack.callback(daemon.ends)
            return daemon

        yield start
