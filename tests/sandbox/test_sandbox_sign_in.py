"""A person signs in to each pretend vendor in its own way, and what is wrong is refused as the real one would."""

from __future__ import annotations

import base64
import json

import pytest

from vaultd.sandbox.vendors import RULES

CODE_VENDORS = [name for name, rules in RULES.items() if rules.redirect_uris]


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
    assert tokens["expires_in"] == RULES[vendor].access_seconds


@pytest.mark.parametrize("vendor", CODE_VENDORS)
async def test_a_code_used_twice_revokes_what_it_gave(person, vendor):
    back = await person.open(vendor)
    _, tokens = await person.exchange(vendor, back["code"][0])
    status, refused = await person.exchange(vendor, back["code"][0])
    assert (status, refused["error"]) == (400, "invalid_grant")
    status, _ = await person.renew(vendor, tokens["refresh_token"])
    assert status in (400, 401)
    assert person.sandbox[vendor].counts["code_replays"] == 1


@pytest.mark.parametrize("vendor", ["codex", "claude", "gemini", "invented"])
async def test_the_verifier_must_fit_the_challenge(person, vendor):
    for verifier in ("w" * 43, None):
        back = await person.open(vendor)
        status, refused = await person.exchange(vendor, back["code"][0], code_verifier=verifier)
        assert (status, refused["error"]) == (400, "invalid_grant")


async def test_google_takes_pkce_or_none(person):
    back = await person.open("gemini", code_challenge=None, code_challenge_method=None)
    status, _ = await person.exchange("gemini", back["code"][0], code_verifier=None)
    assert status == 200


@pytest.mark.parametrize("vendor", CODE_VENDORS)
async def test_a_wrong_client_or_redirect_uri_is_never_redirected(person, vendor):
    name = RULES[vendor].redirect_param
    for change in ({"client_id": "stranger"}, {name: "http://localhost:1/elsewhere"}, {name: None}):
        url = person.endpoint(vendor, "authorize")
        async with person.http.get(url, params=person.request(vendor, **change), allow_redirects=False) as reply:
            assert reply.status == 400 and "Location" not in reply.headers


@pytest.mark.parametrize(
    ("vendor", "change", "error"),
    [
        ("codex", {"response_type": "token"}, "unsupported_response_type"),
        ("codex", {"scope": "openid"}, "invalid_scope"),
        ("codex", {"scope": "openid offline_access admin"}, "invalid_scope"),
        ("codex", {"code_challenge": None}, "invalid_request"),
        ("codex", {"code_challenge_method": "plain"}, "invalid_request"),
        ("codex", {"code_challenge": "short"}, "invalid_request"),
        ("claude", {"state": None}, "invalid_request"),
        ("iflow", {"state": None}, "invalid_request"),
    ],
)
async def test_a_wrong_request_is_told_by_redirect(person, vendor, change, error):
    assert (await person.open(vendor, **change))["error"] == [error]


async def test_the_fixed_port_is_exact_unless_switched_free(person):
    moved = "http://localhost:2455/auth/callback"
    url = person.endpoint("codex", "authorize")
    async with person.http.get(url, params=person.request("codex", redirect_uri=moved), allow_redirects=False) as reply:
        assert reply.status == 400
    person.sandbox.set("codex", any_port=True)
    back = await person.open("codex", redirect_uri=moved)
    status, _ = await person.exchange("codex", back["code"][0], redirect_uri=moved)
    assert status == 200


@pytest.mark.parametrize(
    ("consent", "expected"),
    [
        ("deny", {"error": ["access_denied"], "state": ["a-state"]}),
        ("wrong-state-error", {"error": ["access_denied"], "state": ["not-the-state-you-sent"]}),
        ("wrong-state", {"state": ["not-the-state-you-sent"]}),
        ("no-code", {"state": ["a-state"], "code": None}),
        ("no-state", {"state": None}),
        ("repeat-state", {"state": ["a-state", "a-state"]}),
    ],
)
async def test_the_redirect_can_be_spoilt(person, consent, expected):
    person.sandbox.set("codex", consent=consent)
    back = await person.open("codex")
    assert {name: back.get(name) for name in expected} == expected


async def test_a_repeated_code_and_an_issuer(person):
    person.sandbox.set("codex", consent="repeat-code", iss="own")
    back = await person.open("codex")
    assert len(back["code"]) == 2 and back["iss"] == [f"{person.sandbox.url}/codex"]
    person.sandbox.set("codex", consent="open", iss="https://evil.example")
    assert (await person.open("codex"))["iss"] == ["https://evil.example"]


async def test_the_page_can_ask_for_a_click(person):
    person.sandbox.set("codex", consent="form")
    url, asked = person.endpoint("codex", "authorize"), person.request("codex")
    async with person.http.get(url, params=asked, allow_redirects=False) as page:
        assert page.status == 200 and "<form" in await page.text()
    async with person.http.post(url, params=asked, data={"email": "kim@example.com"}, allow_redirects=False) as reply:
        assert reply.status == 302
    assert next(iter(person.sandbox["codex"].codes.values())).account.email == "kim@example.com"


async def test_the_id_token_says_who_signed_in_to_which_account(person):
    ann = {"email": "ann@example.com", "person": "ann", "account": "team-1", "plan": "team"}
    person.sandbox.set("codex", account=ann)
    token = (await person.sign_in("codex"))["id_token"]
    assert "CANARY" in token
    assert claims(token)["email"] == "ann@example.com"
    openai = claims(token)["https://api.openai.com/auth"]
    assert (openai["chatgpt_user_id"], openai["chatgpt_account_id"]) == ("ann", "team-1")
    assert openai["chatgpt_plan_type"] == "team"
    person.sandbox.set("codex", account=ann | {"person": "bob", "email": "bob@example.com"})
    openai = claims((await person.sign_in("codex"))["id_token"])["https://api.openai.com/auth"]
    assert (openai["chatgpt_user_id"], openai["chatgpt_account_id"]) == ("bob", "team-1")


async def test_claude_names_person_and_organization_and_wants_the_state_again(person):
    person.sandbox.set("claude", account={"email": "ann@example.com", "person": "u-1", "account": "o-1"})
    tokens = await person.sign_in("claude")
    assert tokens["account"] == {"uuid": "u-1", "email_address": "ann@example.com"}
    assert tokens["organization"]["uuid"] == "o-1"
    back = await person.open("claude")
    status, refused = await person.exchange("claude", back["code"][0], state="another")
    assert (status, refused["error"]) == (400, "invalid_grant")


async def test_claude_shows_code_and_state_on_its_own_page_to_paste(person):
    page = person.sandbox.overlay()["claude"]["oauth"]["paste-redirect"]
    asked = person.request("claude", redirect_uri=page)
    async with person.http.get(person.endpoint("claude", "authorize"), params=asked) as reply:
        shown = (await reply.text()).split("<pre id=code>")[1].split("</pre>")[0]
    code, state = shown.split("#")
    assert state == "a-state"
    status, _ = await person.exchange("claude", code, redirect_uri=page)
    assert status == 200


async def test_claude_can_deliver_code_and_state_in_one(person):
    person.sandbox.set("claude", code_hash_state=True)
    code = (await person.open("claude"))["code"][0]
    assert code.endswith("#a-state")
    status, _ = await person.exchange("claude", code)
    assert status == 400
    status, _ = await person.exchange("claude", code.split("#")[0])
    assert status == 200


async def test_google_gives_a_refresh_token_for_the_words_only(person):
    assert "refresh_token" not in await person.sign_in("gemini", access_type=None)
    person.sandbox["gemini"].reset()
    assert "refresh_token" in await person.sign_in("gemini", prompt=None)
    assert "refresh_token" not in await person.sign_in("gemini", prompt=None)
    assert "refresh_token" in await person.sign_in("gemini")


async def test_iflow_tells_a_key_per_token(person):
    tokens = await person.sign_in("iflow")

    async def key(token: str) -> str:
        async with person.http.get(person.endpoint("iflow", "userinfo"), params={"accessToken": token}) as reply:
            said = await reply.json()
        assert said["success"] is True and said["data"]["email"] == "iflow@example.com"
        return said["data"]["apiKey"]

    first = await key(tokens["access_token"])
    assert "CANARY" in first and first == await key(tokens["access_token"])
    _, renewed = await person.renew("iflow", tokens["refresh_token"])
    assert await key(renewed["access_token"]) != first
    async with person.http.get(person.endpoint("iflow", "userinfo"), params={"accessToken": "none"}) as reply:
        assert (await reply.json())["success"] is False


async def test_the_invented_vendor_says_who_signed_in(person):
    tokens = await person.sign_in("invented")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    async with person.http.get(person.endpoint("invented", "userinfo"), headers=headers) as reply:
        assert (await reply.json())["email"] == "invented@example.com"
    assert claims(tokens["id_token"])["email"] == "invented@example.com"
