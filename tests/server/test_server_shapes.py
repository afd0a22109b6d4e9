"""Routes that are not there, in the shape of whoever asks."""

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


async def test_claude_codes_look_whether_anybody_is_there_is_answered_with_404(serve: Serve) -> None:
    """It goes on after that, and says nothing."""
    here = await serve(MODELS)
    heard = await here.send("HEAD", "/api/hello", b"", key=None)
    assert (heard.status, heard.body) == (404, b"")


@pytest.mark.parametrize("base", ["/v1/models", "/v1beta/models", "/v1beta1/publishers/google/models"])
@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent", "countTokens"])
async def test_googles_paths_know_each_others_methods(serve: Serve, base: str, method: str) -> None:
    here = await serve(MODELS)
    heard = await here.send("POST", f"{base}/nope:{method}", b"{}")
    assert (heard.status, heard.json()["error"]["status"]) == (404, "NOT_FOUND")
    assert "'nope'" in heard.json()["error"]["message"]


async def test_a_method_nobody_serves_is_named(serve: Serve) -> None:
    here = await serve(MODELS)
    heard = await here.send("POST", "/v1/models/m-1:embedContent", b"{}")
    assert heard.status == 501 and "embedContent" in heard.json()["error"]["message"]
