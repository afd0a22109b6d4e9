"""How a credential is used: `credentials set` changes what is named and nothing else, and `show` tells it back."""

from __future__ import annotations

import pytest
from shell import Person

WORK = "gemini-api-key-work"
PROXY = "socks5://ann:CANARY-proxy@127.0.0.1:1080"


@pytest.fixture
def adding(person: Person) -> Person:
    person.types("credentials", "add", "gemini-api-key", "--label", "work", stdin="CANARY-key")
    return person


def test_thr_33_what_is_named_changes_and_a_proxy_comes_in_by_stdin_and_is_told_to_nobody(adding: Person) -> None:
    words = ("--priority", "-5", "--weight", "3", "--max-parallel", "2", "--exclude-model", "x", "--exclude-model", "y")
    done = adding.types("credentials", "set", WORK, *words, "--proxy", stdin=PROXY + "\n")
    assert (done.code, done.out) == (0, f"set: {WORK}\n"), done.err
    told = adding.types("credentials", "show", WORK)
    for line in ("priority          -5", "weight            3", "max parallel      2", "excluded models   x, y"):
        assert f"{line}\n" in told.out
    assert "own proxy         yes\n" in told.out and "CANARY" not in told.out
    adding.types("credentials", "set", WORK, "--exclude-model", "", "--proxy", stdin="")
    told = adding.types("credentials", "show", WORK)
    assert "max parallel      2\n" in told.out
    for absent in ("excluded", "projects", "own proxy", "renewal", "not saved", "cooling", "[", "{"):
        assert absent not in told.out


def test_what_cannot_be_set_says_why(adding: Person) -> None:
    given = (
        ((), "nothing to change"),
        (("--priority", "high"), "--priority"),
        (("--weight", "0"), "--weight"),
        (("--max-parallel", "-1"), "--max-parallel"),
    )
    for words, says in given:
        done = adding.types("credentials", "set", WORK, *words)
        assert (done.code, done.out) == (2, "")
        assert says in done.err


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
    assert adding.types("credentials", "list", "--json").json["data"][0]["priority"] == 0
    done = adding.types("credentials", "accept", WORK)
    assert done.code == 78 and "nothing to accept" in done.err
