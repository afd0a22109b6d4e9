"""Routes that are not there, in the shape of whoever asks; and what a Gemini CLI asks before its first question."""

from __future__ import annotations

import pytest
from serving import Serve

MODELS = "openai-compatibility: [{name: acme, base-url: 'http://127.0.0.1:9', models: [{name: m-1}]}]"


@pytest.mark.parametrize(
    ("path", "headers", "members"),
    [
        ("/v1/messages/batches", {}, {"type", "error"}),
        ("/v1/files", {"Anthropic_Version": "2023-06-01"}, {"type", "error"}),
        ("/v1beta/files", {}, {"code", "message", "status"}),
        ("/v1/embeddings", {}, {"message", "type", "code", "param"}),
    ],
)
async def test_an_unknown_route_answers_in_the_clients_own_shape(
    serve: Serve, path: str, headers: dict[str, str], members: set[str]
) -> None:
    here = await serve(MODELS)
    heard = await here.send("POST", path, b"{}", **headers)
    assert heard.status == 404
    told = heard.json()
    assert set(told if "type" in told else told["error"]) == members
    assert path in told["error"]["message"]


async def test_a_model_nobody_serves_is_pointed_to_the_list(serve: Serve) -> None:
    here = await serve(MODELS)
    heard = await here.get("/v1/models/nope")
    assert heard.status == 404
    assert heard.json()["error"]["message"] == "no such model: 'nope'; GET /v1/models lists those served"


async def test_a_gemini_cli_finds_itself_set_up(serve: Serve) -> None:
    """It asks for its tier and project first, and gives up on an error. Without the client key it is told nothing."""
    here = await serve(MODELS)
    ready = (await here.send("POST", "/v1internal:loadCodeAssist", b"{}")).json()
    assert ready["currentTier"]["id"] and ready["cloudaicompanionProject"]
    for call in ("retrieveUserQuota", "listExperiments", "recordCodeAssistMetrics"):
        heard = await here.send("POST", f"/v1internal:{call}", b"{}")
        assert (heard.status, heard.json()) == (200, {})
    assert (await here.send("POST", "/v1internal:loadCodeAssist", b"{}", key=None)).status == 401
