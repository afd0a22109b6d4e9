"""Google's calls between tokens and the first answer: user info, projects, onboarding, the API switch."""

from __future__ import annotations

import pytest

METADATA = {"metadata": {"ideType": "IDE_UNSPECIFIED"}}


@pytest.fixture
async def google(person):
    """Asks Google as the person who signed in."""
    tokens = await person.sign_in("gemini")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}

    async def ask(method: str, leaf: str, path: str = "", body: dict | None = None) -> tuple[int, dict]:
        url = person.endpoint("gemini", leaf) + path
        async with person.http.request(method, url, headers=headers, json=body) as reply:
            return reply.status, await reply.json()

    return ask


async def test_userinfo_needs_a_live_token(person, google):
    assert (await google("GET", "userinfo", "?alt=json"))[1]["email"] == "gemini@example.com"
    person.sandbox.set("gemini", userinfo_answer={"email": None})
    assert "email" not in (await google("GET", "userinfo"))[1]
    person.sandbox["gemini"].expire()
    status, refused = await google("GET", "userinfo")
    assert (status, refused["error"]["status"]) == (401, "UNAUTHENTICATED")


async def test_projects_come_in_pages(person, google):
    person.sandbox.set("gemini", projects=["one", "two", "three"], projects_per_page=2)
    _, first = await google("GET", "projects")
    assert [project["projectId"] for project in first["projects"]] == ["one", "two"]
    _, second = await google("GET", "projects", f"?pageToken={first['nextPageToken']}")
    assert [project["projectId"] for project in second["projects"]] == ["three"] and "nextPageToken" not in second


async def test_onboarding_is_done_after_some_polls(person, google):
    person.sandbox.set("gemini", onboard_polls=2)
    _, before = await google("POST", "api", "/v1internal:loadCodeAssist", METADATA)
    tier = next(tier["id"] for tier in before["allowedTiers"] if tier.get("isDefault"))
    assert "cloudaicompanionProject" not in before
    asked = METADATA | {"tierId": tier, "cloudaicompanionProject": "sandbox-project"}
    seen = [(await google("POST", "api", "/v1internal:onboardUser", asked))[1] for _ in range(3)]
    assert [operation["done"] for operation in seen] == [False, False, True]
    assert seen[-1]["response"]["cloudaicompanionProject"]["id"] == "sandbox-project"
    _, after = await google("POST", "api", "/v1internal:loadCodeAssist", METADATA)
    assert after["cloudaicompanionProject"] == "sandbox-project"


async def test_an_account_without_projects_is_given_one(person, google):
    person.sandbox.set("gemini", projects=[])
    assert "projects" not in (await google("GET", "projects"))[1]
    _, done = await google("POST", "api", "/v1internal:onboardUser", METADATA | {"tierId": "free-tier"})
    assert done["response"]["cloudaicompanionProject"]["id"] == "sandbox-managed-project"


async def test_the_api_is_enabled_once(person, google):
    person.sandbox.set("gemini", services_enabled=False)
    service = "/projects/sandbox-project/services/cloudaicompanion.googleapis.com"
    assert (await google("GET", "services", service))[1]["state"] == "DISABLED"
    assert (await google("POST", "services", f"{service}:enable", {}))[0] == 200
    assert (await google("GET", "services", service))[1]["state"] == "ENABLED"


async def test_unknown_methods_get_an_empty_answer(google):
    assert await google("POST", "api", "/v1internal:retrieveUserQuota", {}) == (200, {})
