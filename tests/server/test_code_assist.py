"""What a Gemini CLI asks beside its questions to a model: it finds itself set up, whoever serves it."""

from __future__ import annotations

from typing import Any

import pytest
from serving import Heard, Serve, Serving

MODELS = "openai-compatibility: [{name: acme, base-url: 'http://127.0.0.1:9', models: [{name: m-1}]}]"
#: Every call that Gemini CLI 0.61 makes to set itself up and to report.
POSTED = [
    "loadCodeAssist",
    "onboardUser",
    "retrieveUserQuota",
    "listExperiments",
    "fetchAdminControls",
    "setCodeAssistGlobalUserSetting",
    "recordCodeAssistMetrics",
    "aCallOfNextYear",
]
GOT = [":getCodeAssistGlobalUserSetting", "/operations/vaultd", "/operations/of/another/name"]


async def call(here: Serving, name: str, **options: Any) -> Heard:
    return await here.send("POST", f"/v1internal:{name}", b'{"metadata":{"pluginType":"GEMINI"}}', **options)


@pytest.mark.parametrize("name", POSTED)
async def test_each_call_is_answered_and_only_to_whom_has_the_client_key(serve: Serve, name: str) -> None:
    here = await serve(MODELS)
    heard = await call(here, name)
    assert heard.status == 200 and isinstance(heard.json(), dict)
    refused = await call(here, name, key=None)
    assert (refused.status, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("path", GOT)
async def test_so_are_those_it_gets(serve: Serve, path: str) -> None:
    here = await serve(MODELS)
    assert (await here.get(f"/v1internal{path}")).status == 200
    assert (await here.get(f"/v1internal{path}", key=None)).status == 401


async def test_it_has_a_tier_and_a_project_and_nothing_left_to_do(serve: Serve) -> None:
    here = await serve(MODELS)
    ready = (await call(here, "loadCodeAssist")).json()
    assert ready["currentTier"]["id"] and ready["cloudaicompanionProject"]


async def test_who_sets_itself_up_all_the_same_is_done_at_once(serve: Serve) -> None:
    here = await serve(MODELS)
    onboarded = (await call(here, "onboardUser")).json()
    assert onboarded["done"] is True
    assert onboarded["response"]["cloudaicompanionProject"]["id"]
    assert (await here.get(f"/v1internal/{onboarded['name']}")).json() == onboarded


async def test_a_quota_without_limits_and_no_experiments(serve: Serve) -> None:
    here = await serve(MODELS)
    assert (await call(here, "retrieveUserQuota")).json() == {"buckets": []}
    assert (await call(here, "listExperiments")).json() == {"experimentIds": [], "flags": []}
    assert (await call(here, "fetchAdminControls")).json() == {}
    assert (await call(here, "aCallOfNextYear")).json() == {}
