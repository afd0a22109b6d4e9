"""Device sign-in: RFC 8628 as Qwen, Kimi and xAI speak it, and the Codex dialect."""

from __future__ import annotations

import base64
import hashlib

import pytest

from vaultd.sandbox.vendors import RULES

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
VENDORS = ["qwen", "kimi", "xai"]


async def start(person, vendor: str, **changes) -> tuple[int, dict]:
    rules = RULES[vendor]
    fields = {"client_id": rules.client_id, "scope": " ".join(rules.scopes)}
    if rules.device_pkce:
        fields |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
    async with person.http.post(person.endpoint(vendor, "device"), data=fields | changes) as reply:
        return reply.status, await reply.json()


async def poll(person, vendor: str, device: dict) -> tuple[int, dict]:
    verifier = VERIFIER if RULES[vendor].device_pkce else None
    return await person.token(
        vendor, grant_type=DEVICE_GRANT, device_code=device["device_code"], code_verifier=verifier
    )


@pytest.mark.parametrize("vendor", VENDORS)
async def test_pending_until_the_page_is_opened(person, vendor):
    _, device = await start(person, vendor)
    pending = 200 if vendor == "kimi" else 400
    status, waiting = await poll(person, vendor, device)
    assert (status, waiting["error"]) == (pending, "authorization_pending")
    async with person.http.get(device["verification_uri_complete"]) as page:
        assert page.status == 200
    status, tokens = await poll(person, vendor, device)
    assert status == 200 and "CANARY" in tokens["refresh_token"]
    status, again = await poll(person, vendor, device)
    assert again["error"] == "invalid_grant"


async def test_the_code_can_be_typed_into_the_form(person):
    _, device = await start(person, "kimi")
    async with person.http.get(device["verification_uri"]) as page:
        assert "<form" in await page.text()
    typed = device["user_code"].lower().replace("-", " ")
    async with person.http.post(device["verification_uri"], data={"user_code": typed}) as page:
        assert page.status == 200
    async with person.http.post(device["verification_uri"], data={"user_code": "WRONG"}) as page:
        assert page.status == 404
    assert "access_token" in (await poll(person, "kimi", device))[1]


async def test_slow_down_pending_then_tokens(person):
    person.sandbox.set("qwen", device="auto", slow_downs=2, pending_polls=1)
    _, device = await start(person, "qwen")
    seen = [(await poll(person, "qwen", device))[1].get("error") for _ in range(4)]
    assert seen == ["slow_down", "slow_down", "authorization_pending", None]


@pytest.mark.parametrize(("way", "error"), [("deny", "access_denied"), ("expire", "expired_token")])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_the_person_says_no_or_nothing(person, vendor, way, error):
    person.sandbox.set(vendor, device=way)
    _, device = await start(person, vendor)
    assert (await poll(person, vendor, device))[1]["error"] == error


async def test_a_code_expires_by_itself(person):
    person.sandbox.set("xai", device_seconds=0)
    _, device = await start(person, "xai")
    assert (await poll(person, "xai", device))[1]["error"] == "expired_token"


async def test_qwen_wants_pkce_and_names_its_host(person):
    status, refused = await start(person, "qwen", code_challenge_method="plain")
    assert (status, refused["error"]) == (400, "invalid_request")
    person.sandbox.set("qwen", device="auto")
    _, device = await start(person, "qwen")
    status, wrong = await person.token(
        "qwen", grant_type=DEVICE_GRANT, device_code=device["device_code"], code_verifier="w" * 43
    )
    assert (status, wrong["error"]) == (400, "invalid_grant")
    _, tokens = await poll(person, "qwen", device)
    assert tokens["resource_url"] == "portal.qwen.ai"
    person.sandbox.set("qwen", token_answer={"resource_url": "evil.example"})
    _, renewed = await person.renew("qwen", tokens["refresh_token"])
    assert renewed["resource_url"] == "evil.example" and renewed["refresh_token"] != tokens["refresh_token"]


async def test_the_device_answer_can_be_hostile(person):
    person.sandbox.set("qwen", device_answer={"verification_uri": "javascript:alert(1)", "interval": None})
    _, device = await start(person, "qwen")
    assert device["verification_uri"].startswith("javascript") and "interval" not in device


async def test_xai_is_discovered(person):
    async with person.http.get(f"{person.sandbox.url}/xai/.well-known/openid-configuration") as reply:
        said = await reply.json()
    assert said["issuer"] == f"{person.sandbox.url}/xai"
    assert said["token_endpoint"] == person.endpoint("xai", "token")
    assert said["device_authorization_endpoint"] == person.endpoint("xai", "device")


class TestCodexDialect:
    async def start(self, person) -> tuple[int, dict]:
        body = {"client_id": RULES["codex"].client_id}
        async with person.http.post(person.endpoint("codex", "device-usercode"), json=body) as reply:
            return reply.status, await reply.json()

    async def poll(self, person, device: dict) -> tuple[int, dict]:
        body = {name: device[name] for name in ("device_auth_id", "user_code")}
        async with person.http.post(person.endpoint("codex", "device-token"), json=body) as reply:
            return reply.status, await reply.json()

    async def test_the_server_makes_the_pair_and_the_code_goes_to_the_token_endpoint(self, person):
        _, device = await self.start(person)
        assert (await self.poll(person, device))[0] == 403
        async with person.http.get(person.endpoint("codex", "device-page"), params={"user_code": device["user_code"]}):
            pass
        status, given = await self.poll(person, device)
        assert status == 200
        status, tokens = await person.exchange(
            "codex",
            given["authorization_code"],
            code_verifier=given["code_verifier"],
            redirect_uri="https://auth.openai.com/deviceauth/callback",
        )
        assert status == 200 and "id_token" in tokens

    async def test_where_it_is_not_enabled_the_first_step_is_404(self, person):
        person.sandbox.set("codex", device_enabled=False)
        assert (await self.start(person))[0] == 404
