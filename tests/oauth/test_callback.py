"""Judging an authorization response: by callback or by paste, the same rules."""

from __future__ import annotations

import pytest

from vaultd.oauth.callback import NotOursError, judge, parse_pasted

STATE = "right-" + "s" * 37
URI = "http://localhost:1455/auth/callback"
ISSUER = "https://auth.example"


def test_a_right_answer_is_taken() -> None:
    assert judge([("code", "c"), ("state", STATE), ("scope", "a")], STATE)["code"] == "c"
    assert judge([("error", "access_denied"), ("state", STATE)], STATE)["error"] == "access_denied"


@pytest.mark.parametrize(
    "params",
    [
        [("code", "c")],
        [("code", "c"), ("state", "")],
        [("code", "c"), ("state", STATE[:-1])],
        [("code", "c"), ("state", STATE.upper())],
        [("error", "access_denied")],
        [("error", "access_denied"), ("state", "wrong")],
        [("code", "c"), ("state", "ünïcödé")],
        [],
    ],
)
def test_sec_17_without_the_right_state_nothing_counts_not_even_an_error(params: list[tuple[str, str]]) -> None:
    with pytest.raises(NotOursError, match="state"):
        judge(params, STATE)


@pytest.mark.parametrize("name", ["state", "code", "error", "iss"])
def test_sec_18_a_repeated_parameter_is_refused(name: str) -> None:
    params = [("code", "c"), ("state", STATE), ("error", "e"), ("iss", ISSUER)]
    repeated = dict(params)[name]

    with pytest.raises(NotOursError):
        judge([*params, (name, repeated)], STATE, ISSUER)


def test_sec_19_an_issuer_that_names_itself_must_be_the_one_that_was_asked() -> None:
    code = [("code", "c"), ("state", STATE)]

    assert judge([*code, ("iss", ISSUER)], STATE, ISSUER)
    assert judge(code, STATE, ISSUER)
    for wrong in ("https://evil.example", ISSUER + "/", ISSUER.upper(), ""):
        with pytest.raises(NotOursError, match="issuer"):
            judge([*code, ("iss", wrong)], STATE, ISSUER)
        with pytest.raises(NotOursError, match="issuer"):
            judge([("error", "access_denied"), ("state", STATE), ("iss", wrong)], STATE, ISSUER)


def test_sec_19_an_issuer_that_promised_to_name_itself_must() -> None:
    with pytest.raises(NotOursError, match="issuer"):
        judge([("code", "c"), ("state", STATE)], STATE, ISSUER, issuer_required=True)


def test_a_code_that_is_empty_or_missing_is_no_answer() -> None:
    for params in ([("state", STATE)], [("state", STATE), ("code", "")]):
        with pytest.raises(NotOursError, match="neither"):
            judge(params, STATE)


def test_sec_26_a_pasted_address_is_judged_like_a_callback() -> None:
    pasted = f"  <http://127.0.0.1:1455/auth/callback?code=c%2Fd&state={STATE}>\n"

    assert judge(parse_pasted(pasted, URI), STATE)["code"] == "c/d"
    with pytest.raises(NotOursError, match="state"):
        judge(parse_pasted(f"{URI}?code=c&state=another", URI), STATE)


def test_sec_26_a_code_with_its_state_is_taken_too() -> None:
    assert judge(parse_pasted(f"CANARY-code#{STATE}", URI), STATE) == {"code": "CANARY-code", "state": STATE}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello there",
        "just-a-code",
        f"#{STATE}",
        "CANARY#",
        f"http://localhost:1455/other?code=c&state={STATE}",
        f"http://localhost:99999999/auth/callback?code=c&state={STATE}",
        "https://auth.example/authorize?client_id=x",
        "x" * 20_000,
        "a\x00b#c",
    ],
)
def test_sec_26_what_is_no_answer_says_what_to_paste_and_is_not_quoted(line: str) -> None:
    with pytest.raises(NotOursError) as raised:
        judge(parse_pasted(line, URI), STATE)

    assert not line or line not in str(raised.value)
