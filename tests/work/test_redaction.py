"""What is left out of text that is kept."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest

from vaultd.work.redaction import Redaction

SECRET = 'CANARY/se"cret\\value'


def left(text: str, *secrets: str) -> str:
    return Redaction(secrets).text(text)


@pytest.mark.parametrize("written", [SECRET, json.dumps(SECRET), quote(SECRET, safe="")])
def test_thr_30_a_known_secret_is_left_out_however_it_is_written(written: str) -> None:
    assert "CANARY" not in left(f"before {written} after", SECRET)
    assert left(f"before {written} after", SECRET).startswith("before ")


def test_of_two_secrets_of_which_one_begins_the_other_nothing_is_left() -> None:
    assert left("xx CANARY-12345678-tail xx", "CANARY-12345678", "CANARY-12345678-tail") == "xx *** xx"


def test_a_word_too_short_for_a_secret_is_let_be() -> None:
    assert left("a word and another", "word") == "a word and another"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"api_key": "CANARY x", "model": "m"}', '{"api_key": "***", "model": "m"}'),
        ('{"x-goog-api-key":"CANARY"}', '{"x-goog-api-key":"***"}'),
        ('{"Authorization" : "Basic CANARY"}', '{"Authorization" : "***"}'),
        ('{"DB_PASSWORD":"CANARY \\" still CANARY","b":1}', '{"DB_PASSWORD":"***","b":1}'),
        ('{"refreshToken":"CANARY","max_tokens":"7"}', '{"refreshToken":"***","max_tokens":"7"}'),
        (r'{"args":"{\"client_secret\": \"CANARY\", \"a\": 1}"}', r'{"args":"{\"client_secret\": \"***\", \"a\": 1}"}'),
        ('{"token":"hello","tokens":[1,2]}', '{"token":"hello","tokens":[1,2]}'),
        ("use sk-proj-CANARYCANARY1234567 here", "use *** here"),
        ("Authorization: Bearer CANARY.12345678", "Authorization: ***"),
        ("AIzaCANARYCANARYCANARYCANARYCANARY12345", "***"),
        ("eyJhbGciOiJub25lIn0.eyJDQU5BUlkiOjF9.", "***"),
        ("no answer from http://h/v1?alt=sse&key=CANARY", "no answer from http://h/v1?alt=sse&key=***"),
        ('"http://h/cb?client_secret=CANARY&monkey=1"', '"http://h/cb?client_secret=***&monkey=1"'),
    ],
)  # fmt: skip
def test_thr_30_what_is_named_or_made_like_a_key_is_left_out_and_nothing_else(text: str, expected: str) -> None:
    assert left(text) == expected


def test_thr_30_a_secret_whose_end_is_not_there_is_left_out_all_the_same() -> None:
    assert left('{"private_key": "' + "CANARY" * 2000).count("CANARY") < 700
    assert left('{"api_key": "CANARY') == '{"api_key": "***'


def test_headers_that_carry_secrets_keep_their_names_alone() -> None:
    headers = {
        "Authorization": "Bearer CANARY",
        "X-Api-Key": "CANARY",
        "x-goog-api-key": "CANARY",
        "Proxy-Authorization": "CANARY",
        "Set-Cookie": "CANARY",
        "X-Session-Token": "CANARY",
        "anthropic-ratelimit-tokens-limit": "100",
        "user-agent": "someone/1",
    }
    told = list(Redaction(()).headers(headers))
    assert told[-2:] == ["anthropic-ratelimit-tokens-limit: 100", "user-agent: someone/1"]
    assert all(line.endswith(": ***") for line in told[:-2])


@pytest.mark.parametrize(
    "text", ['"' * 200_000, '"' + "a_" * 100_000, '{"api_key": "' + "x" * 200_000, "\\" * 200_000 + '"']
)
def test_no_text_makes_it_slow(text: str) -> None:
    """Far from what a search that goes back and forth would take."""
    began = time.process_time()
    left(text)
    assert time.process_time() - began < 5
