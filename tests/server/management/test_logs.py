"""The log through the API, of a daemon that goes on writing it."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from managed import BASE, CLIENT_KEY, KEY
from shell import LONGEST, Daemon, Person

CONFIG = {
    "api-keys": [CLIENT_KEY],
    "remote-management": {"secret-key": KEY},
    "claude-api-key": [{"api-key": "sk-CANARY-claude", "base-url": "http://127.0.0.1:9"}],
}


class Page:
    """A script with the management key, and a client."""

    def __init__(self, daemon: Daemon) -> None:
        at = urlsplit(daemon.address)
        self._open = lambda: http.client.HTTPConnection(str(at.hostname), at.port, timeout=LONGEST)

    def asks(self, method: str, path: str) -> tuple[int, Any]:
        return self._sent(method, BASE + path, KEY)

    def lines(self, query: str = "") -> list[dict[str, Any]]:
        status, told = self.asks("GET", f"/log-lines?{query}")
        assert status == 200
        return list(told["lines"])

    def chats(self, model: str, key: str = CLIENT_KEY) -> int:
        body = {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "a CANARY question"}]}
        return self._sent("POST", "/v1/messages", key, json.dumps(body))[0]

    def _sent(self, method: str, path: str, key: str, body: str | None = None) -> tuple[int, Any]:
        connection = self._open()
        kind = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body, {"Authorization": f"Bearer {key}", **kind})
        answer = connection.getresponse()
        said = answer.status, json.loads(answer.read())
        connection.close()
        return said


@pytest.fixture
def daemon(home: dict[str, str], planted: Callable[[Path], Path], serves: Callable[..., Daemon]) -> tuple[Person, Page]:
    person = Person(home)
    planted(person.config)
    planted(person.config.with_suffix(".yaml~"))
    person.configures(json.dumps(CONFIG))
    return person, Page(serves(person))


def test_the_log_is_read_filtered_put_into_a_file_and_emptied_while_the_daemon_writes(
    daemon: tuple[Person, Page],
) -> None:
    person, page = daemon
    assert page.asks("GET", "/logs") == (400, {"error": "logging to file disabled"})
    assert page.asks("DELETE", "/logs") == (400, {"error": "logging to file disabled"})

    # In memory, wherever the log goes. THR-27, THR-29: neither what was asked nor a key, and nothing breaks a line.
    assert page.chats("no\nsuch\x1b[2J\u202emodel") == 404
    assert page.chats("x", key="CANARY-wrong-key") == 401
    said = page.lines()
    texts = [line["text"] for line in said]
    assert "listening" in texts and "client key refused" in texts
    assert "CANARY" not in json.dumps(said)
    (odd,) = page.lines("grep=SUCH")
    assert odd["fields"]["model"] == "no\\nsuch\\x1b[2J\\u202emodel" and odd["fields"]["status"] == 404
    assert page.lines("limit=1&grep=listening") == [line for line in said if line["text"] == "listening"]
    assert {line["level"] for line in page.lines("level=warning")} <= {"warning", "error"}
    assert page.asks("GET", "/log-lines?level=loud")[0] == 400
    assert page.lines("limit=0") == page.lines("limit=-5") == []

    # A change of the configuration, and it goes to a file.
    person.configures(json.dumps(CONFIG | {"logging-to-file": True}))
    while page.asks("GET", "/logs")[0] != 200:
        pass
    page.chats("into\nthe-file")
    status, told = page.asks("GET", "/logs")
    assert status == 200 and told["line-count"] == len(told["lines"])
    (found,) = [line for line in told["lines"] if "the-file" in line]
    assert "into\\nthe-file" in found or "into\\\\nthe-file" in found
    assert page.asks("GET", f"/logs?after={told['latest-timestamp']}")[1]["lines"] == []
    assert page.asks("GET", "/logs?after=soon")[0] == 400
    file = Path(person.env["XDG_STATE_HOME"], "vaultd", "logs", "vaultd.log")
    assert file.stat().st_mode & 0o777 == 0o600

    # Emptied under its hands.
    (file.parent / "vaultd.log.1").write_text("2026-01-01T00:00:00.000Z info older\n")
    cleared = page.asks("DELETE", "/logs")
    assert cleared == (200, {"success": True, "message": "Logs cleared successfully", "removed": 1})
    page.chats("after-it")
    lines = page.asks("GET", "/logs")[1]["lines"]
    assert any("after-it" in line for line in lines) and not any("the-file" in line for line in lines)
    assert b"\0" not in file.read_bytes() and [path.name for path in file.parent.iterdir()] == ["vaultd.log"]
    assert page.lines("grep=DELETE%20/v0/management/logs")[-1]["fields"]["who"] == "127.0.0.1", "and who did it is told"

    # And back: what is in the file stays, the lines go to stderr again.
    person.configures(json.dumps(CONFIG))
    while page.asks("GET", "/logs")[0] != 400:
        pass
    assert page.lines("grep=configuration reloaded".replace(" ", "%20"))
