"""Token endpoints: bodies and clients per vendor, rotation, reuse that kills the family, lifetimes, revocation."""

from __future__ import annotations

import pytest

from vaultd.sandbox.vendors import RULES

ROTATING = ["codex", "claude", "iflow", "invented"]


@pytest.mark.parametrize("vendor", ROTATING)
async def test_each_renewal_rotates_and_a_replay_kills_the_family(person, vendor):
    first = await person.sign_in(vendor)
    status, second = await person.renew(vendor, first["refresh_token"])
    assert status == 200 and second["refresh_token"] != first["refresh_token"]
    status, refused = await person.renew(vendor, first["refresh_token"])
    if vendor == "codex":
        assert (status, refused["error"]["code"]) == (401, "refresh_token_reused")
    else:
        assert (status, refused["error"]) == (400, "invalid_grant")
    status, _ = await person.renew(vendor, second["refresh_token"])
    assert status in (400, 401)
    known = person.sandbox[vendor]
    assert (known.counts["reuse_events"], known.families[0].renewals, known.families[0].alive) == (1, 1, False)


async def test_google_renews_without_a_new_refresh_token(person):
    tokens = await person.sign_in("gemini")
    for _ in range(2):
        status, renewed = await person.renew("gemini", tokens["refresh_token"])
        assert status == 200 and "refresh_token" not in renewed


async def test_within_the_grace_a_replay_is_a_retry(person):
    person.sandbox.set("codex", grace_seconds=60)
    first = await person.sign_in("codex")
    _, second = await person.renew("codex", first["refresh_token"])
    status, third = await person.renew("codex", first["refresh_token"])
    assert status == 200
    for tokens in (second, third):
        status, _ = await person.renew("codex", tokens["refresh_token"])
        assert status == 200
    assert person.sandbox["codex"].counts["reuse_events"] == 0


async def test_the_habit_of_refresh_tokens_can_be_switched(person):
    tokens = await person.sign_in("codex")
    person.sandbox.set("codex", refresh="same")
    _, renewed = await person.renew("codex", tokens["refresh_token"])
    assert renewed["refresh_token"] == tokens["refresh_token"]
    person.sandbox.set("codex", refresh="absent")
    _, renewed = await person.renew("codex", tokens["refresh_token"])
    assert "refresh_token" not in renewed


@pytest.mark.parametrize("stated", [0, -5, "3600", "abc", 1e18, 3600.9, None])
async def test_answers_can_state_odd_things(person, stated):
    person.sandbox.set("codex", token_answer={"expires_in": stated, "token_type": "mac"})
    tokens = await person.sign_in("codex")
    assert tokens.get("expires_in") == stated and tokens["token_type"] == "mac"


async def test_a_short_life_ends(person):
    person.sandbox.set("claude", access_seconds=0)
    tokens = await person.sign_in("claude")
    assert tokens["expires_in"] == 0
    headers = {"Authorization": f"Bearer {tokens['access_token']}", "anthropic-beta": "oauth-2025-04-20"}
    url = person.endpoint("claude", "api") + "/v1/messages"
    async with person.http.post(url, json={}, headers=headers) as reply:
        assert (reply.status, (await reply.json())["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("vendor", ["codex", "claude", "gemini", "iflow"])
async def test_the_wrong_kind_of_body_is_refused(person, vendor):
    rules = RULES[vendor]
    fields = {"client_id": rules.client_id, "client_secret": rules.client_secret, "grant_type": "refresh_token"}
    how = {"data": fields} if rules.body == "json" else {"json": fields}
    async with person.http.post(person.endpoint(vendor, "token"), **how) as reply:
        assert (reply.status, (await reply.json())["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("vendor", list(RULES))
async def test_an_unknown_client_is_refused(person, vendor):
    status, refused = await person.token(vendor, client_id="stranger", grant_type="refresh_token", refresh_token="x")
    assert (status, refused["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("vendor", ["gemini", "iflow"])
async def test_the_client_secret_is_wanted_in_the_body(person, vendor):
    status, refused = await person.token(vendor, client_secret=None, grant_type="refresh_token", refresh_token="x")
    assert (status, refused["error"]) == (401, "invalid_client")


async def test_iflow_wants_basic_beside_the_body(person):
    rules = RULES["iflow"]
    fields = {"client_id": rules.client_id, "client_secret": rules.client_secret, "grant_type": "refresh_token"}
    async with person.http.post(person.endpoint("iflow", "token"), data=fields) as reply:
        assert (reply.status, (await reply.json())["error"]) == (401, "invalid_client")


async def test_other_grants_do_not_exist(person):
    status, refused = await person.token("codex", grant_type="password", username="a", password="b")
    assert (status, refused["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_revoking_either_token_ends_the_login(person, which):
    tokens = await person.sign_in("invented")
    async with person.http.post(person.endpoint("invented", "revoke"), data={"token": tokens[which]}) as reply:
        assert reply.status == 200
    status, _ = await person.renew("invented", tokens["refresh_token"])
    assert status == 400
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    async with person.http.get(person.endpoint("invented", "userinfo"), headers=headers) as reply:
        assert reply.status == 401
