"""What each vendor's token endpoint may answer to a renewal, and what becomes of the login: a table.

A login dies of the vendor's own word alone, in a sound answer; everything else is waited out, with the reason told.
"""

from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from desk import Desk

from vaultd.errors import SignInRequired, TryLater

VENDORS = ["codex", "claude", "gemini", "qwen", "iflow", "kimi"]

PAGE = "<html><h1>CANARY: sign in to the proxy</h1></html>"


def oauth(code: str, words: str = "") -> str:
    return json.dumps({"error": code, **({"error_description": words} if words else {})})


def openai(code: str) -> str:
    return json.dumps({"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": code}})


GOOGLE = json.dumps({"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}})

#: Status, body, and what the reason says. Dead: only a person can go on.
DEAD: list[tuple[int, str, str]] = [
    (400, oauth("invalid_grant"), "invalid_grant"),
    (401, oauth("invalid_grant", "Refresh token not found or invalid"), "not found or invalid"),
    (403, oauth("invalid_grant"), "invalid_grant"),
    (200, oauth("invalid_grant"), "invalid_grant"),  # Kimi's way to say no
    (401, openai("refresh_token_reused"), "refresh_token_reused"),
    (401, openai("refresh_token_expired"), "refresh_token_expired"),
    (401, openai("refresh_token_invalidated"), "refresh_token_invalidated"),
    (400, oauth("refresh_token_reused"), "refresh_token_reused"),
]

#: The vendor's bad day, or somebody's in between.
PASSING: list[tuple[int, str, str]] = [
    (500, oauth("invalid_grant"), "answered 500"),
    (502, PAGE, "answered 502"),
    (503, "", "answered 503"),
    (504, PAGE, "answered 504"),
    (408, "", "answered 408"),
    (429, oauth("invalid_grant"), "answered 429"),
    (400, oauth("temporarily_unavailable"), "temporarily_unavailable"),
    (400, oauth("server_error"), "server_error"),
    (400, openai("rate_limit_exceeded"), "rate_limit_exceeded"),
    (200, PAGE, "not JSON"),
    (200, "", "not JSON"),
    (200, "[]", "not a JSON object"),
    (200, "{}", "no access_token"),
    (400, PAGE, "answered 400 with a page instead of JSON"),
    (401, PAGE, "answered 401 with a page instead of JSON"),
    (403, PAGE, "answered 403 with a page instead of JSON"),
    (404, PAGE, "not there any more (it answered 404)"),
    (410, "", "not there any more (it answered 410)"),
]

#: It refused, and not for what the login is: our client, our request.
REFUSED: list[tuple[int, str, str]] = [
    (400, "{}", "refused with status 400"),
    (401, "{}", "refused with status 401"),
    (400, json.dumps({"detail": "invalid_grant"}), "refused with status 400"),
    (400, oauth("invalid_request", "invalid_grant"), "invalid_request"),  # text decides nothing
    (401, oauth("invalid_client"), "invalid_client"),
    (400, oauth("unauthorized_client"), "unauthorized_client"),
    (403, openai("unsupported_country_region_territory"), "unsupported_country"),
    (400, GOOGLE, "INVALID_ARGUMENT"),
]


async def asked(desk: Desk, vendor: str, status: int, body: str, **more: Any) -> str:
    """A login whose token has ended is to be renewed; the reason why it was not."""
    credential = await desk.sign_in(vendor)
    kind = "text/html" if body == PAGE else "application/json"
    desk.sandbox.fault(vendor, at="token", do="answer", status=status, body=body, content_type=kind, times=0, **more)
    desk.clock.advance(86400 * 30)
    with pytest.raises((SignInRequired, TryLater)) as told:
        await desk.renewer.fresh(credential.id)
    assert "CANARY" not in str(told.value)
    after = desk.get(credential.id)
    assert after.tokens == credential.tokens  # nothing is blanked, whatever was said
    assert (after.dead is not None) is (told.type is SignInRequired)
    assert len(desk.sent) == 1
    return str(told.value)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("status", "body", "reason"), DEAD)
async def test_sec_48_a_login_dies_of_the_vendors_own_word(
    desk: Desk, vendor: str, status: int, body: str, reason: str
) -> None:
    told = await asked(desk, vendor, status, body)

    (credential,) = desk.owner.snapshot().values()
    assert reason in told and "sign-in required" in told and f"vaultd login --{vendor}" in told
    assert credential.dead is not None and reason in credential.dead.reason
    assert credential.dead.since == desk.clock.now()
    assert desk.renewer.vendors() == {}  # its endpoint is well
    desk.clock.advance(86400)
    with pytest.raises(SignInRequired):
        await desk.renewer.fresh(credential.id)
    assert len(desk.sent) == 1


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("status", "body", "reason"), PASSING)
async def test_sec_49_a_vendors_bad_day_is_waited_out(
    desk: Desk, vendor: str, status: int, body: str, reason: str
) -> None:
    assert reason in await asked(desk, vendor, status, body)

    (credential,) = desk.owner.snapshot().values()
    assert reason in desk.renewer.failing()[credential.id]
    assert desk.renewer.vendors()[vendor].failures == 1
    desk.sandbox[vendor].faults.clear()
    desk.clock.advance(1)
    assert (await desk.renewer.fresh(credential.id)).generation > credential.generation
    assert desk.renewer.failing() == {} == desk.renewer.vendors()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("status", "body", "reason"), REFUSED)
async def test_sec_47_a_refusal_of_another_kind_is_told_and_tried_again_with_pauses(
    desk: Desk, vendor: str, status: int, body: str, reason: str
) -> None:
    assert reason in await asked(desk, vendor, status, body)

    (credential,) = desk.owner.snapshot().values()
    assert reason in desk.renewer.failing()[credential.id]
    # Our client is every login's; any other refusal is this one's, and says that the endpoint works.
    assert desk.renewer.vendors().keys() == ({vendor} if "invalid_client" in body else set())
    with pytest.raises(TryLater):
        await desk.renewer.fresh(credential.id)
    assert len(desk.sent) == 1


@pytest.mark.parametrize("wall_error", [0.0, -1e9, 3e8])
async def test_sec_49_a_date_to_wait_for_is_honoured_whatever_our_clock_says(desk: Desk, wall_error: float) -> None:
    date = formatdate(desk.clock.true() + 86400 * 30 + 90, usegmt=True)
    desk.clock.wall_error = wall_error

    await asked(desk, "codex", 503, "", headers={"Retry-After": date})

    (credential,) = desk.owner.snapshot().values()
    with pytest.raises(TryLater) as told:
        await desk.renewer.fresh(credential.id)
    assert told.value.after == pytest.approx(90, abs=2)
