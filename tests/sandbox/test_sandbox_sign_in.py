"""A person signs in to each pretend vendor in its own way, and what is wrong is refused as the real one would."""

from __future__ import annotations

import base64
import json

import pytest

CODE_VENDORS = ["codex"]


def claims(token: str) -> dict:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


@pytest.mark.parametrize("vendor", CODE_VENDORS)
async def test_opening_the_url_signs_in(person, vendor):
    back = await person.open(vendor)
    assert back["state"] == ["a-state"]
    status, tokens = await person.exchange(vendor, back["code"][0])
    assert status == 200
    assert "CANARY" in tokens["access_token"] and "CANARY" in tokens["refresh_token"]
    assert tokens["token_type"] == "Bearer"


@pytest.mark.parametrize("vendor", CODE_VENDORS)
async def test_a_code_used_twice_revokes_what_it_gave(person, vendor):
    back = await person.open(vendor)
    _, tokens = await person.exchange(vendor, back["code"][0])
    status, refused = await person.exchange(vendor, back["code"][0])
    assert (status, refused["error"]) == (400, "invalid_grant")
    status, _ = await person.renew(vendor, tokens["refresh_token"])
    assert status in (400, 401)
    assert person.sandbox[vendor].counts["code_replays"] == 1


async def test_the_id_token_says_who_signed_in_to_which_account(person):
    ann = {"email": "ann@example.com", "person": "ann", "account": "team-1", "plan": "team"}
    person.sandbox.set("codex", account=ann)
    said = claims((await person.sign_in("codex"))["id_token"])
    assert said["email"] == "ann@example.com"
    openai = said["https://api.openai.com/auth"]
    assert (openai["chatgpt_user_id"], openai["chatgpt_account_id"]) == ("ann", "team-1")
    assert openai["chatgpt_plan_type"] == "team"
    person.sandbox.set("codex", account=ann | {"person": "bob", "email": "bob@example.com"})
    openai = claims((await person.sign_in("codex"))["id_token"])["https://api.openai.com/auth"]
    assert (openai["chatgpt_user_id"], openai["chatgpt_account_id"]) == ("bob", "team-1")
