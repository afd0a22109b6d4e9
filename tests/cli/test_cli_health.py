"""The question of a container's health check: alive, and able to serve."""

from __future__ import annotations

import signal
from collections.abc import Callable

from shell import Daemon, Person


def test_alive_is_not_ready_and_a_daemon_that_hangs_is_neither(person: Person, serves: Callable[..., Daemon]) -> None:
    before = person.types("health")
    assert (before.code, before.out) == (6, "not running\n")

    daemon = serves(person)
    alive = person.types("health")
    assert (alive.code, alive.out, alive.err) == (0, "alive\n", "")
    empty = person.types("health", "--ready")
    assert (empty.code, empty.out) == (6, "not ready\n")
    assert "vaultd login" in empty.err

    person.types("credentials", "add", "claude-api-key", "--label", "work", stdin="CANARY-key")
    ready = person.types("health", "--ready", "--json")
    assert ready.json == {"alive": True, "ready": True, "reasons": []}

    daemon.process.send_signal(signal.SIGSTOP)
    try:
        hung = person.types("health")
        assert (hung.code, hung.out) == (6, "not running\n")
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_a_configuration_that_is_not_there_is_told_apart(person: Person) -> None:
    assert person.types("health", "--config", "/nowhere.yaml").code == 78
