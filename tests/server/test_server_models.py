"""The model list: one path, four shapes, only what can be served."""

from __future__ import annotations

import pytest
from serving import CLIENT_KEY, MODELS, Serve


async def test_openai_clients_get_openais_list(serve: Serve) -> None:
    here = await serve(MODELS)
    heard = (await here.get("/v1/models")).json()
    assert heard["object"] == "list"
    assert [(row["id"], row["object"], row["owned_by"]) for row in heard["data"]] == [
        ("acme-small", "model", "acme"),
        ("large", "model", "acme"),
    ]


async def test_a_version_header_gets_anthropics_list(serve: Serve) -> None:
    here = await serve(MODELS)
    heard = (await here.get("/v1/models?limit=1000", anthropic_version="2023-06-01")).json()
    assert [(row["type"], row["id"]) for row in heard["data"]] == [("model", "acme-small"), ("model", "large")]
    assert (heard["first_id"], heard["last_id"], heard["has_more"]) == ("acme-small", "large", False)


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
@pytest.mark.parametrize("paging", ["", "limit=1000", "limit=20&after_id=large", "before_id=large"])
async def test_anthropics_versions_and_pages_get_the_whole_list(serve: Serve, version: str, paging: str) -> None:
    here = await serve(MODELS)
    bearer = await here.get(f"/v1/models?{paging}", anthropic_version=version)
    keyed = await here.get(f"/v1/models?{paging}", key=None, anthropic_version=version, x_api_key=CLIENT_KEY)
    assert bearer.json() == keyed.json()
    assert (len(bearer.json()["data"]), bearer.json()["has_more"]) == (2, False)


async def test_googles_key_gets_googles_list_on_v1_too(serve: Serve) -> None:
    here = await serve(MODELS)
    for heard in (
        await here.get("/v1/models", key=None, x_goog_api_key=CLIENT_KEY),
        await here.get(f"/v1/models?key={CLIENT_KEY}", key=None),
        await here.get("/v1beta/models"),
    ):
        assert [row["name"] for row in heard.json()["models"]] == ["models/acme-small", "models/large"]


async def test_codex_gets_a_list_that_leaves_it_its_own(serve: Serve) -> None:
    here = await serve(MODELS)
    assert (await here.get("/v1/models?client_version=0.99.0")).json() == {"models": []}


async def test_one_model_by_its_id_in_any_case(serve: Serve) -> None:
    here = await serve(MODELS)
    assert (await here.get("/v1/models/Large")).json()["id"] == "large"
    assert (await here.get("/v1/models/large", anthropic_version="2023-06-01")).json()["type"] == "model"
    assert (await here.get("/v1beta/models/large")).json()["name"] == "models/large"


async def test_an_unknown_model_is_404_in_the_clients_shape(serve: Serve) -> None:
    here = await serve(MODELS)
    openai, anthropic, google = (
        await here.get("/v1/models/nope"),
        await here.get("/v1/models/nope", anthropic_version="2023-06-01"),
        await here.get("/v1beta/models/nope"),
    )
    assert {openai.status, anthropic.status, google.status} == {404}
    assert openai.json()["error"]["code"] == "model_not_found"
    assert anthropic.json()["error"]["type"] == "not_found_error"
    assert google.json()["error"]["status"] == "NOT_FOUND"


async def test_a_list_with_nobody_to_serve_is_empty_not_an_error(serve: Serve) -> None:
    here = await serve()
    assert (await here.get("/v1/models")).json() == {"object": "list", "data": []}
