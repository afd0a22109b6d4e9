"""Healthy homes, copied from one that was made once: a fault is what a test then does to its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import made, moved
from shell import Person


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which nothing is wrong but that no daemon runs."""
    home = tmp_path_factory.mktemp("healthy")
    asyncio.run(made(home))
    return home


@pytest.fixture
def person(home: dict[str, str], template: Path) -> Person:
    shutil.copytree(template, home["HOME"], symlinks=True, dirs_exist_ok=True)
    moved(Person(home))
    return Person(home)


@pytest.fixture
def planted(planted: Callable[[Path], Path]) -> Iterator[Callable[[Path], Path]]:
    """Some of these configurations hold a word that is secret, and most hold none."""
    noted: list[Path] = []

    def note(path: Path) -> Path:
        noted.append(path)
        return path

    yield note
    for path in noted:
        if path.is_file() and b"CANARY" in path.read_bytes():
            planted(path)
