"""Renewing and revoking: what is asked, and what an answer leaves as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from transcripts import NOW, answered, form, play, shipped, stamp, tokens

from vaultd.effects import Reply, Send
from vaultd.errors import Misconfigured, ProtocolError, SignInRequired, TryLater
from vaultd.oauth.grant import after_renewal
from vaultd.oauth.refresh import refresh
from vaultd.oauth.revoke import offered, revoke
from vaultd.oauth.tokens import Grant, Tokens
from vaultd.secret import Secret

OLD = Tokens(Secret("CANARY-old"), Secret("CANARY-old-refresh"), Secret("CANARY.id.token"), scope="a", expires_at=NOW)


def renewed(name: str, *answers: Any, old: Tokens = OLD) -> Grant:
    grant = play(refresh(shipped(name), old, stamp), *((Send, answer) for answer in answers))
    assert isinstance(grant, Grant)
    return grant


def test_sec_43_a_rotated_refresh_token_replaces_the_old_one() -> None:
    def asked(send: Send) -> Reply:
        assert form(send) == {
            "grant_type": "refresh_token",
            "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
            "refresh_token": "CANARY-old-refresh",
            "scope": "openid profile email",
        }
        return answered(tokens())

    grant = renewed("codex", asked)

    assert grant.tokens.refresh == Secret("CANARY-refresh")
    assert grant.tokens.access == Secret("CANARY-access")


def test_sec_43_what_the_answer_leaves_out_stays() -> None:
    grant = renewed("gemini", answered(tokens(refresh_token=None)))

    assert grant.tokens.refresh == OLD.refresh
    assert grant.tokens.id_token == OLD.id_token
    assert grant.tokens.scope == "a"


def test_claude_is_renewed_in_json() -> None:
    def asked(send: Send) -> Reply:
        assert json.loads(send.body)["refresh_token"] == "CANARY-old-refresh"
        return answered(tokens())

    grant = renewed("claude", asked)
    assert grant.account is not None and not grant.account.email


def test_iflow_gets_its_api_key_anew_after_each_renewal() -> None:
    user = {"success": True, "data": {"apiKey": "CANARY-key-2", "email": "", "phone": "138"}}

    def asked(send: Send) -> Reply:
        assert send.url.endswith("?accessToken=CANARY-access")
        assert "CANARY" not in repr(send)
        return answered(user)

    saved = renewed("iflow", answered(tokens()))
    grant = play(after_renewal(shipped("iflow"), saved), (Send, asked))

    assert grant.tokens.api_key == Secret("CANARY-key-2")
    assert grant.account is not None and grant.account.person == "138"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (answered({"success": False}), TryLater),
        (answered(b"<html>", 502), TryLater),
        (answered({"success": True, "data": {"apiKey": "", "email": "a@b.c"}}), ProtocolError),
        (answered({"success": True, "data": {"apiKey": "CANARY\r\nx: y", "email": "a@b.c"}}), ProtocolError),
        (answered({"success": True, "data": {"apiKey": "CANARY-k"}}), ProtocolError),
    ],
)
def test_iflow_without_a_key_is_an_error_and_no_login_lost(user: Reply, expected: type[Exception]) -> None:
    saved = renewed("iflow", answered(tokens()))

    with pytest.raises(expected):
        play(after_renewal(shipped("iflow"), saved), (Send, user))


def test_sec_48_a_replayed_refresh_token_needs_a_person() -> None:
    reply = answered({"error": {"code": "refresh_token_reused", "message": "already used"}}, 401)

    with pytest.raises(SignInRequired, match="refresh_token_reused"):
        renewed("codex", reply)


def test_a_login_without_a_refresh_token_asks_nobody() -> None:
    with pytest.raises(SignInRequired, match="refresh token"):
        play(refresh(shipped("codex"), Tokens(Secret("CANARY")), stamp))


def test_a_lifetime_that_makes_no_sense_is_reported() -> None:
    assert renewed("codex", answered(tokens(expires_in="soon"))).warnings


def test_sec_54_the_refresh_token_is_what_is_revoked() -> None:
    def asked(send: Send) -> Reply:
        assert send.url == shipped("codex").endpoints["revoke"]
        assert form(send)["token"] == "CANARY-old-refresh"
        assert form(send)["token_type_hint"] == "refresh_token"
        return answered(b"")

    play(revoke(shipped("codex"), OLD, stamp=stamp), (Send, asked))


def test_sec_54_a_vendor_without_revocation_says_so() -> None:
    assert not offered(shipped("qwen"))
    with pytest.raises(Misconfigured, match="no revocation"):
        play(revoke(shipped("qwen"), OLD, stamp=stamp))
