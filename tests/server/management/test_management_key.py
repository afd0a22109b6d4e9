"""A management key that was written plainly: hashed in the file with everything else left as it was, and never told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
from manager import KEY
from serving import CLIENT_KEY
from shell import Daemon, Person

from vaultd.config.load import parse
from vaultd.errors import Misconfigured

PLAIN = f"""\
# The house's own.
api-keys: [{CLIENT_KEY}]
remote-management:   # who may manage
  allow-remote: false
  secret-key: {KEY}  # change me
debug: false
"""
Serves = Callable[..., Daemon]
Planted = Callable[[Path], Path]


def test_a_plain_key_is_hashed_in_the_file_and_nothing_else_changes(
    home: dict[str, str], serves: Serves, planted: Planted
) -> None:
    person = Person(home)
    person.configures(PLAIN)
    planted(person.config)
    daemon = serves(person)
    daemon.says("configuration reloaded")
    text = person.config.read_text()
    secret = parse(text, "config.yaml", []).remote_management.secret_key
    assert bcrypt.checkpw(KEY.encode(), secret.encode())
    assert text.replace(f"'{secret}'", KEY).replace(f'"{secret}"', KEY).replace(secret, KEY) == PLAIN
    assert daemon.asked("/v0/management/about", KEY)[0] == 200
    assert daemon.asked("/v0/management/about", secret)[0] == 401

    person.configures(PLAIN.replace(KEY, "CANARY-another-key"))
    daemon.says("configuration reloaded")
    daemon.says("configuration reloaded")
    assert "CANARY-another-key" not in person.config.read_text()
    assert daemon.asked("/v0/management/about", "CANARY-another-key")[0] == 200
    assert daemon.asked("/v0/management/about", KEY)[0] == 401
    code, out = daemon.stops()
    assert (code, KEY in "\n".join(daemon.log) + out) == (0, False)


def test_where_the_file_cannot_be_replaced_doctor_says_so_and_the_key_counts(
    home: dict[str, str], serves: Serves, planted: Planted, tmp_path: Path
) -> None:
    """Root may write anywhere, but no name longer than 255 bytes: what would be written beside it cannot be made."""
    file = planted(tmp_path / ("c" * 245 + ".yaml"))
    file.write_text(PLAIN)
    person = Person(home | {"VAULTD_CONFIG": str(file)})
    daemon = serves(person)
    said = daemon.says("secret-key stands there plainly")
    assert KEY not in said
    assert file.read_text() == PLAIN
    assert daemon.asked("/v0/management/about", KEY)[0] == 200
    rows = {row["code"]: row for row in person.types("doctor", "--json").json["checks"]}
    assert rows["management-key-plain"]["state"] == "warn"
    assert KEY not in str(rows)


@pytest.mark.parametrize("key", ["x" * 73, "ü" * 37, "a\0b"], ids=["73", "74 in UTF-8", "NUL"])
def test_a_key_that_cannot_be_hashed_is_refused_with_the_reason(key: str) -> None:
    with pytest.raises(Misconfigured, match="secret-key: has") as caught:
        parse(json.dumps({"remote-management": {"secret-key": key}}), "config.yaml", [])
    assert key not in str(caught.value)
    parse(json.dumps({"remote-management": {"secret-key": "x" * 72}}), "config.yaml", [])
