"""How a credential is used: `credentials set` changes what is named and nothing else, and `show` tells it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell import Daemon, Person

WORK = "gemini-api-key-work"
PROXY = "socks5://ann:CANARY-proxy@127.0.0.1:1080"
USUAL = {
    "priority": 0,
    "weight": 1,
    "max_parallel": 0,
    "excluded_models": [],
    "projects": [],
    "own_proxy": False,
}


@pytest.fixture
def adding(person: Person) -> Person:
    person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key")
    return person


def shown(person: Person) -> dict[str, Any]:
    told = person.types("credentials", "show", WORK, "--json").json
    return {name: told[name] for name in USUAL}


def test_what_is_named_changes_and_the_rest_stays(adding: Person) -> None:
    assert shown(adding) == USUAL
    done = adding.types("credentials", "set", WORK, "--priority", "-5", "--exclude-model", "gemini-2.0-*")
    assert (done.code, done.out) == (0, f"set: {WORK}\n"), done.err
    adding.types("credentials", "set", WORK, "--weight", "3", "--max-parallel", "2")
    changed = {"priority": -5, "weight": 3, "max_parallel": 2, "excluded_models": ["gemini-2.0-*"]}
    assert shown(adding) == USUAL | changed
    adding.types("credentials", "set", WORK, "--exclude-model", "a", "--exclude-model", "b")
    assert shown(adding) == USUAL | changed | {"excluded_models": ["a", "b"]}
    adding.types("credentials", "set", WORK, "--priority", "0", "--max-parallel", "0", "--exclude-model", "")
    assert shown(adding) == USUAL | {"weight": 3}


def test_thr_33_a_proxy_comes_in_by_stdin_and_is_told_to_nobody(adding: Person) -> None:
    done = adding.types("credentials", "set", WORK, "--proxy", stdin=PROXY + "\n")
    assert (done.code, done.out) == (0, f"set: {WORK}\n"), done.err
    assert shown(adding)["own_proxy"] is True
    told = adding.types("credentials", "show", WORK)
    assert "own proxy         yes" in told.out and "CANARY" not in told.out
    assert "CANARY" not in (adding.auth_dir / f"{WORK}.json").read_text()
    adding.types("credentials", "set", WORK, "--proxy", stdin="")
    assert shown(adding) == USUAL


def test_what_cannot_be_set_says_why_and_changes_nothing(adding: Person) -> None:
    for words, stdin, code, says in (
        ((), "", 78, "nothing to change"),
        (("--priority", "high"), "", 2, "--priority"),
        (("--weight", "0"), "", 78, "weight: a whole number from 1"),
        (("--max-parallel", "-1"), "", 78, "parallel: a whole number from 0"),
        (("--proxy",), "ftp://ann:CANARY-proxy@x:1", 78, "socks5, http or https"),
        (("--project", "one"), "", 78, "only a Gemini login has projects"),
    ):
        done = adding.types("credentials", "set", WORK, *words, stdin=stdin)
        assert (done.code, done.out) == (code, ""), done.err
        assert says in done.err and "CANARY" not in done.err
    assert shown(adding) == USUAL


def test_a_key_of_the_config_is_adjusted_there(person: Person, planted: Callable[[Path], Path]) -> None:
    person.configures("gemini-api-key:\n  - {api-key: CANARY-from-config, priority: 7}\n")
    planted(person.config)
    row = person.types("credentials", "list", "--json").json["data"][0]
    assert row["priority"] == 7
    done = person.types("credentials", "set", row["id"], "--priority", "1")
    assert done.code == 78 and f"{person.config}: change it there" in done.err


def test_the_words_for_people_leave_out_what_is_not_there(adding: Person) -> None:
    adding.types("credentials", "set", WORK, "--max-parallel", "4", "--exclude-model", "x", "--exclude-model", "y")
    told = adding.types("credentials", "show", WORK).out
    assert "max parallel      4\n" in told and "excluded models   x, y\n" in told
    for absent in ("projects", "own proxy", "renewal", "not saved", "cooling", "[", "{"):
        assert absent not in told


def test_a_daemon_takes_it_up_at_once(adding: Person, serves: Callable[..., Daemon]) -> None:
    daemon = serves(adding)
    done = adding.types("credentials", "set", WORK, "--exclude-model", "gemini-*")
    assert done.code == 0, done.err
    key = adding.types("keys", "get", "default").out.strip()
    status, told = daemon.asked("/v1/models", key)
    assert (status, told["data"]) == (200, [])
    adding.types("credentials", "set", WORK, "--exclude-model", "")
    assert daemon.asked("/v1/models", key)[1]["data"]


def test_a_file_that_was_rolled_back_is_used_again_on_a_persons_word(adding: Person) -> None:
    file = adding.auth_dir / f"{WORK}.json"
    backup = file.read_bytes()
    adding.types("credentials", "set", WORK, "--priority", "9")
    file.write_bytes(backup)
    listed = adding.types("credentials", "list", "--json").json
    assert listed["data"] == [] and "rolled back" in listed["refused"][0]["reason"]
    assert f"vaultd credentials accept {WORK}" in listed["refused"][0]["action"]
    done = adding.types("credentials", "accept", WORK)
    assert (done.code, done.out) == (0, f"accepted: {WORK}\n"), done.err
    assert shown(adding) == USUAL
    done = adding.types("credentials", "accept", WORK)
    assert done.code == 78 and "nothing to accept" in done.err
