"""What token endpoints answer, and what may be made of it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from transcripts import NOW, answered, tokens

from vaultd.effects import Reply
from vaultd.errors import ProtocolError, SignInRequired, TryLater, UpstreamRefused
from vaultd.oauth.answers import error_of, failure, lifetime, read_tokens, retry_after, shown, strict_object
from vaultd.oauth.tokens import Tokens


def read(body: Any, status: int = 200, **headers: str) -> Tokens:
    return read_tokens(answered(body, status, **headers), now=NOW, default_lifetime=3600)


def test_an_answer_by_the_book() -> None:
    found = read(tokens(scope="a b"))

    assert found.access.reveal() == "CANARY-access"
    assert found.refresh is not None and found.refresh.reveal() == "CANARY-refresh"
    assert (found.issued_at, found.expires_at, found.scope) == (NOW, NOW + 3600, "a b")
    assert "CANARY" not in repr(found)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"<html>oops</html>", 200, TryLater),
        (b"", 200, TryLater),
        (b"<html>502 Bad Gateway</html>", 502, TryLater),
        (b'{"error":"invalid_grant"}', 503, TryLater),
        (b"<html>sign in</html>", 400, TryLater),
        (b"<html>sign in</html>", 401, TryLater),
        (b"\xff\xfe", 200, TryLater),
        (b"[]", 200, ProtocolError),
        (b'"text"', 200, ProtocolError),
        (b'{"access_token":"CANARY-a","access_token":"CANARY-b"}', 200, ProtocolError),
        (b'{"a":' * 17 + b"1" + b"}" * 17, 200, ProtocolError),
        (b"[" * 30_000, 200, ProtocolError),
        (b'{"expires_in":' + b"9" * 5000 + b"}", 200, ProtocolError),
        (b'{"error":"invalid_grant"}', 200, SignInRequired),
        (b'{"error":"invalid_grant"}', 400, SignInRequired),
        (b'{"error":"invalid_client"}', 401, UpstreamRefused),
        (b"{}", 200, ProtocolError),
        (b'{"error":"rate"}', 429, TryLater),
    ],
)
def test_sec_29_a_bad_day_of_the_vendor_is_never_a_lost_login(
    body: bytes, status: int, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        read(body, status)


def test_sec_29_depth_sixteen_passes_and_seventeen_does_not() -> None:
    nested: Any = "x"
    for _ in range(16):
        nested = {"a": nested}
    assert strict_object(answered(nested))
    with pytest.raises(ProtocolError, match="16"):
        strict_object(answered({"a": nested}))


def test_sec_29_the_body_decides_whatever_the_content_type_says() -> None:
    assert read(tokens(), content_type="text/html").access.reveal() == "CANARY-access"


@pytest.mark.parametrize("kind", ["mac", "DPoP", 7, ["Bearer"]])
def test_sec_30_another_token_type_than_bearer_is_refused(kind: Any) -> None:
    with pytest.raises(ProtocolError, match="Bearer"):
        read(tokens(token_type=kind))


@pytest.mark.parametrize("kind", ["bearer", "BEARER", None])
def test_sec_30_bearer_is_case_free_and_may_be_left_out(kind: Any) -> None:
    assert read(tokens(token_type=kind)).access


@pytest.mark.parametrize(
    "token", ["CANARY\r\nx-evil: 1", "CANARY\n", "CANARY token", "CANARY\x00", "CANÄRY", "x" * 16385, 17, ["CANARY"]]
)
@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token"])
def test_sec_30_a_token_that_could_break_a_header_is_refused_and_not_quoted(name: str, token: Any) -> None:
    with pytest.raises(ProtocolError, match=name) as raised:
        read(tokens(**{name: token}))
    assert "CANARY" not in str(raised.value)


@pytest.mark.parametrize(
    ("stated", "seconds", "odd"),
    [
        (3600, 3600, False),
        ("3600", 3600, False),
        (3600.9, 3600.9, False),
        (0, 0, False),
        (-5, 0, False),
        (None, 1234, False),
        ("abc", 300, True),
        ("", 300, True),
        (1e18, 300, True),
        (math.nan, 300, True),
        (math.inf, 300, True),
        (True, 300, True),
        ([3600], 300, True),
        (10**400, 300, True),
        (315360000, 315360000, False),
        (315360001, 300, True),
    ],
)
def test_sec_31_a_lifetime_is_taken_at_its_word_or_for_five_minutes(stated: Any, seconds: float, odd: bool) -> None:
    found, warning = lifetime({"expires_in": stated}, 1234)

    assert found == seconds
    assert bool(warning) is odd


def test_sec_31_zero_is_expired_now_and_nan_in_json_too_is_nonsense() -> None:
    assert read(tokens(expires_in=0)).expires_at == NOW
    assert read(json.dumps(tokens(expires_in=math.nan)).encode()).lifetime == 300


@pytest.mark.parametrize(
    "code",
    [
        "invalid_grant",
        "refresh_token_reused",
        "refresh_token_expired",
        "refresh_token_invalidated",
    ],
)
def test_sec_48_the_known_terminal_codes_need_a_person(code: str) -> None:
    plain = answered({"error": code}, 400)
    openai = answered({"error": {"code": code, "message": "used", "type": "invalid_request_error"}}, 401)

    assert isinstance(failure(plain, now=NOW), SignInRequired)
    assert isinstance(failure(openai, now=NOW), SignInRequired)


def test_sec_48_a_manifest_may_name_further_ones() -> None:
    reply = answered({"error": "account_gone"}, 400)

    assert isinstance(failure(reply, now=NOW), UpstreamRefused)
    assert isinstance(failure(reply, now=NOW, terminal=["account_gone"]), SignInRequired)


def test_text_that_only_mentions_a_code_decides_nothing() -> None:
    reply = answered({"error": "invalid_request", "error_description": "not an invalid_grant"}, 400)

    assert isinstance(failure(reply, now=NOW), UpstreamRefused)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30", 30), ("Mon, 24 Nov 2025 16:01:00 GMT", 60), ("soon", None), ("", None), ("-1", None), ("9" * 30, None)],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(Reply(429, {"retry-after": value}), NOW) == seconds


def test_sec_51_a_date_to_wait_for_is_read_by_the_vendors_own_clock() -> None:
    headers = {"retry-after": "Mon, 24 Nov 2025 16:01:00 GMT", "date": "Mon, 24 Nov 2025 16:00:40 GMT"}

    for ours in (NOW, 0.0, NOW + 315360000):  # right, in 1970, ten years ahead
        assert retry_after(Reply(503, headers), ours) == 20


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 400, "status": "INVALID_ARGUMENT", "message": "m"}, "INVALID_ARGUMENT"),  # Google
        ({"code": None, "type": "invalid_request_error", "message": "m"}, "invalid_request_error"),  # OpenAI
        ({"code": "refresh_token_reused", "type": "invalid_request_error"}, "refresh_token_reused"),
        ({"message": "m"}, ""),
        (["invalid_grant"], ""),
        ("not a code by RFC 6749", ""),
    ],
)
def test_sec_47_the_code_of_an_error_is_a_word_of_the_vendors(error: Any, code: str) -> None:
    assert error_of(answered({"error": error}, 400))[0] == code


def test_sec_24_words_are_cut_and_stripped() -> None:
    assert shown("a\x1b]0;b\x07\u202ec\nd") == "a ]0;b c d"
    assert len(shown("x" * 10_000_000)) == 200
