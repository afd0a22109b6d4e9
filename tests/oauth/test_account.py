"""Who signed in: claims and facts, and which of them are not believed."""

from __future__ import annotations

from typing import Any

import pytest
from transcripts import NOW, answered, jwt, play, shipped, tokens

from vaultd.effects import Send
from vaultd.errors import TryLater
from vaultd.oauth.account import account_from, claims, merged, read_account
from vaultd.oauth.tokens import Account, Tokens
from vaultd.secret import Secret

GOOD = {"aud": ["ours"], "exp": NOW + 60, "email": "a@example.com"}


def test_claims_of_a_signed_token_made_for_us_are_read() -> None:
    assert claims(jwt(GOOD), "ours", NOW)["email"] == "a@example.com"
    assert claims(jwt({**GOOD, "aud": "ours"}), "ours", NOW)


@pytest.mark.parametrize(
    "token",
    [
        jwt(GOOD, alg="none"),
        jwt(GOOD, alg="None", signature="x"),
        jwt(GOOD, signature=""),
        jwt({**GOOD, "aud": ["theirs"]}),
        jwt({**GOOD, "aud": None}),
        jwt({**GOOD, "exp": NOW}),
        jwt({**GOOD, "exp": "later"}),
        "not.a.jwt",
        "CANARY",
        "e30.W10.x",
    ],
)
def test_sec_32_an_id_token_unsigned_or_for_somebody_else_says_nothing(token: str) -> None:
    assert claims(token, "ours", NOW) == {}


def test_sec_32_claims_only_name_the_account() -> None:
    """A claim cannot become a header, an address or a fact that the manifest does not ask for."""
    evil = {**GOOD, "aud": ["app_EMoamEEZ73f0CkXaXp7hrann"], "resource_url": "https://evil", "email": "a\x1b[2J\n@b.c"}
    held = Tokens(Secret("CANARY"), id_token=Secret(jwt(evil)))

    flow = read_account(shipped("codex"), {}, held, now=NOW)
    with pytest.raises(StopIteration) as done:
        next(flow)

    account = done.value.value
    assert account.email == "a[2J@b.c"
    assert account.facts == {}


def test_claude_names_person_and_organisation_in_the_answer() -> None:
    answer = tokens(
        organization={"uuid": "org-1", "name": "Acme"}, account={"uuid": "acc-1", "email_address": "a@example.com"}
    )

    account = account_from(shipped("claude"), answer)

    assert (account.person, account.account, account.email) == ("acc-1", "org-1", "a@example.com")


@pytest.mark.parametrize(
    "answer", [{}, {"account": "text"}, {"account": {"uuid": 7}}, {"account": {"uuid": "x" * 999}}]
)
def test_facts_of_the_wrong_shape_are_left_out(answer: dict[str, Any]) -> None:
    assert account_from(shipped("claude"), answer).person == ""


def test_google_says_it_on_a_page_of_its_own() -> None:
    held = Tokens(Secret("CANARY-access"))

    def asked(send: Send) -> Any:
        assert send.headers["Authorization"] == "Bearer CANARY-access"
        return answered({"email": "a@gmail.com"})

    flow = read_account(shipped("gemini"), {}, held, now=NOW, userinfo="https://www.googleapis.com/oauth2/v1/userinfo")
    assert play(flow, (Send, asked)).email == "a@gmail.com"

    flow = read_account(shipped("gemini"), {}, held, now=NOW, userinfo="https://www.googleapis.com/oauth2/v1/userinfo")
    with pytest.raises(TryLater):
        play(flow, (Send, answered(b"", 503)))


def test_what_is_known_is_not_taken_back_by_silence() -> None:
    known = Account(person="p", email="a@b.c", facts={"x": 1, "y": 1})

    assert merged(known, Account(plan="pro", facts={"y": 2})) == Account(
        person="p", email="a@b.c", plan="pro", facts={"x": 1, "y": 2}
    )
