"""A person whose machine has a running vaultd, and the vendors it talks to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from leaving import KEY
from ports import own_callbacks
from shell import Daemon, Person
from vendors import vendors

from vaultd.sandbox import Sandbox


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with vendors() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def machines(
    tmp_path_factory: pytest.TempPathFactory, sandbox: Sandbox, planted: Callable[[Path], Path]
) -> Iterator[Callable[[], Person]]:
    """`machines()` is a person at a fresh one, configured for the vendors."""

    def machine() -> Person:
        home = tmp_path_factory.mktemp("m", numbered=True)
        env = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "XDG_STATE_HOME": str(home / ".state")}
        env |= {"XDG_RUNTIME_DIR": str(home / "run"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        Path(env["XDG_RUNTIME_DIR"]).mkdir(mode=0o700)
        person = Person(env)
        person.configures(json.dumps({"api-keys": [KEY], "providers": own_callbacks(sandbox)}))
        planted(person.config).chmod(0o600)
        return person

    yield machine


@pytest.fixture(scope="module")
def person(machines: Callable[[], Person]) -> Person:
    return machines()


@pytest.fixture(scope="module")
def daemon(person: Person) -> Iterator[Daemon]:
    daemon = Daemon(person)
    yield daemon
    daemon.ends()
