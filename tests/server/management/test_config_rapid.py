"""A hundred edits as fast as a page can send them, and a kill in the middle: what was answered is in the file."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from manager import HASHED, KEY
from shell import LONGEST, Daemon, Person

from vaultd.config.load import parse
from vaultd.config.model import Config
from vaultd.server.management.table import BASE

FILE = f"""\
# The office's vaultd.
remote-management: {{secret-key: {HASHED}}} # ask Ann
api-keys: # who may ask
  - sk-CANARY-first-0123456789 # Ann

# How often.
request-retry: 1 # rounds
"""
COMMENTS = re.findall(r"#.*", FILE)


class Manager:
    """Sends one edit after another over one connection."""

    def __init__(self, address: str) -> None:
        at = urlsplit(address)
        self._connection = http.client.HTTPConnection(str(at.hostname), at.port, timeout=LONGEST)

    def asks(self, method: str, path: str, body: Any = None) -> int:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        self._connection.request(method, BASE + path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def closes(self) -> None:
        self._connection.close()


def edit(number: int) -> tuple[str, str, Any]:
    """Five kinds by turns, each of which can be told in the file afterwards by its number."""
    kind = number % 5
    if kind == 0:
        return "PUT", "/request-retry", {"value": number}
    if kind == 1:
        return "PATCH", "/api-keys", {"old": "nobody's", "new": key(number)}
    if kind == 2:
        return "PATCH", "/config", {"edits": [{"path": "max-retry-credentials", "value": number}]}
    if kind == 3:
        return "PUT", "/claude-api-key", [{"api-key": key(number), "weight": number}]
    return "PATCH", "/claude-api-key", {"index": 0, "value": {"priority": number}}


def holds(config: Config, number: int) -> bool:
    """Whether the edit is there, last of its kind."""
    kind = number % 5
    if kind == 0:
        return config.request_retry == number
    if kind == 1:
        return config.api_keys[-1] == key(number)
    if kind == 2:
        return config.max_retry_credentials == number
    entry = config.claude_api_key[0] if config.claude_api_key else None
    if kind == 3:
        return entry is not None and (entry.api_key, entry.weight) == (key(number), number)
    return entry is not None and entry.priority == number


def key(number: int) -> str:
    return f"sk-CANARY-{number:03d}-0123456789abcdef"


def right(file: Path) -> Config:
    """What is in the file; every comment is."""
    text = file.read_text()
    left = iter(text.splitlines())
    assert all(any(comment in line for line in left) for comment in COMMENTS), text
    return parse(text, "f", [])


def reloads(daemon: Daemon) -> dict[str, float]:
    status, page = daemon.asked("/metrics")
    assert status == 200
    return {
        k: float(v) for k, v in re.findall(r'vaultd_config_reloads_total\{outcome="(\w+)"\} (\S+)', page) if float(v)
    }


@pytest.fixture
def person(home: dict[str, str], planted: Callable[[Path], Path]) -> Person:
    person = Person(home)
    person.configures(FILE)
    planted(person.config)
    return person


@contextlib.contextmanager
def manages(daemon: Daemon) -> Iterator[Manager]:
    manager = Manager(daemon.address)
    yield manager
    manager.closes()


def test_a_hundred_edits_and_a_kill_lose_nothing_that_was_answered(
    person: Person, serves: Callable[..., Daemon]
) -> None:
    daemon = serves(person)
    with manages(daemon) as manager:
        for number in range(50):
            assert manager.asks(*edit(number)) == 200
            assert holds(right(person.config), number)
    assert reloads(daemon) == {"taken": 50}

    answered = 49
    enough = threading.Event()

    def goes_on() -> None:
        nonlocal answered
        with manages(daemon) as manager, contextlib.suppress(OSError, http.client.HTTPException):
            for number in range(50, 10_000):
                if manager.asks(*edit(number)) != 200:
                    return
                answered = number
                if number >= 60:
                    enough.set()

    sender = threading.Thread(target=goes_on)
    sender.start()
    assert enough.wait(LONGEST)
    daemon.process.kill()
    sender.join(LONGEST)
    config = right(person.config)
    # One more may have been made that nobody was told of.
    last = next((number for number in (answered + 1, answered) if holds(config, number)), None)
    assert last is not None
    assert all(holds(config, number) for number in range(last - 4, last) if number % 5 != 3 or last % 5 != 3)
    assert [entry for entry in config.api_keys if "-0123456789abcdef" in entry] == [
        key(number) for number in range(last + 1) if number % 5 == 1
    ]

    daemon = serves(person)
    with manages(daemon) as manager:
        for number in range(last + 1, 101):
            assert manager.asks(*edit(number)) == 200
            assert holds(right(person.config), number)
    assert reloads(daemon) == ({"taken": float(100 - last)} if last < 100 else {})
    assert {one.name for one in person.config_dir.iterdir()} == {"config.yaml", "root.key"}


def test_a_person_who_saves_while_a_page_edits_loses_nothing(person: Person, serves: Callable[..., Daemon]) -> None:
    daemon = serves(person)
    with manages(daemon) as manager:
        for number in range(0, 50, 5):
            text = person.config.read_text()
            person.configures(text + f"# {number} by hand\n")
            assert manager.asks(*edit(number)) == 200
            config = right(person.config)
            assert holds(config, number)
            assert f"# {number} by hand\n" in person.config.read_text()
        assert manager.asks("GET", "/config") == 200
    assert person.config.read_text().count("by hand") == 10
