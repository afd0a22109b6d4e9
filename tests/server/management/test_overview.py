"""How the house stands, for a page: who this is, vendors, models and who serves them; client keys made and switched."""

from __future__ import annotations

import json

from serving import MODELS, Serve, Serving

KEY = "CANARY-management-key"
ON = f"remote-management: {{secret-key: {KEY}}}\n"
BASE = "/v0/management"


async def _asks(here: Serving, method: str, path: str, body: object = None) -> tuple[int, object]:
    sent = b"" if body is None else json.dumps(body).encode()
    heard = await here.send(method, BASE + path, sent, key=KEY, Content_Type="application/json")
    return heard.status, heard.json()


async def test_a_page_learns_where_it_is_and_which_address_clients_take(serve: Serve) -> None:
    here = await serve(ON)
    status, about = await _asks(here, "GET", "/about")
    assert status == 200
    assert isinstance(about, dict)
    assert about["near"] is True
    assert about["client_address"] == f"http://127.0.0.1:{here.port}"
    assert about["management"] == {"allow_remote": False}


async def test_each_vendor_says_how_a_person_signs_in(serve: Serve) -> None:
    here = await serve(ON)
    _, answer = await _asks(here, "GET", "/providers")
    assert isinstance(answer, dict)
    vendors = {vendor["id"]: vendor for vendor in answer["data"]}
    assert vendors["claude"]["ways"] == ["browser", "paste-page"]
    assert vendors["claude"]["auth_url"] == "/anthropic-auth-url"
    assert vendors["qwen"]["ways"] == ["device"]
    assert (vendors["claude-api-key"]["ways"], vendors["claude-api-key"]["keys"]) == ([], True)
    assert vendors["claude-api-key"]["auth_url"] == ""


async def test_a_model_names_who_serves_it_and_how_each_stands(serve: Serve) -> None:
    here = await serve(ON + MODELS)
    _, answer = await _asks(here, "GET", "/models")
    assert isinstance(answer, dict)
    models = {model["id"]: model for model in answer["data"]}
    assert sorted(models) == ["acme-small", "large"]
    assert models["large"]["formats"] == ["openai-chat"]
    assert [(one["provider"], one["state"]) for one in models["large"]["credentials"]] == [("acme", "available")]


async def test_status_and_doctor_say_what_their_commands_say(serve: Serve) -> None:
    here = await serve(ON + MODELS)
    _, status = await _asks(here, "GET", "/status")
    assert isinstance(status, dict)
    assert {"needs_a_person", "warnings", "credentials", "client_keys"} < status.keys()
    _, doctor = await _asks(here, "GET", "/doctor")
    assert isinstance(doctor, dict)
    assert {check["state"] for check in doctor["checks"]} <= {"ok", "warn", "fail"}


async def test_a_client_key_is_whole_once_and_masked_after(serve: Serve) -> None:
    here = await serve(ON)
    status, made = await _asks(here, "POST", "/client-keys", {"alias": "laptop"})
    assert status == 200
    assert isinstance(made, dict)
    assert here.house.clients.identify(made["key"]) is not None
    _, seen = await _asks(here, "GET", f"/client-keys/{made['id']}")
    assert isinstance(seen, dict)
    assert seen["key"] == f"vk_{made['id']}…"
    _, revealed = await _asks(here, "GET", f"/client-keys/{made['id']}?reveal=1")
    assert revealed == made
    assert (await _asks(here, "POST", "/client-keys", {"alias": "laptop"}))[0] == 409


async def test_a_client_key_is_switched_and_removed(serve: Serve) -> None:
    here = await serve(ON)
    key = await here.house.clients.create("laptop")
    assert await _asks(here, "PATCH", f"/client-keys/{key.id}", {"enabled": False}) == (200, {"status": "ok"})
    assert here.house.clients.identify(key.value.reveal()) is None
    _, answer = await _asks(here, "GET", "/client-keys")
    assert isinstance(answer, dict)
    assert [row["enabled"] for row in answer["data"] if row["alias"] == "laptop"] == [False]
    assert await _asks(here, "DELETE", f"/client-keys/{key.id}") == (200, {"status": "ok"})
    assert await _asks(here, "DELETE", f"/client-keys/{key.id}") == (404, {"error": "item not found"})


async def test_a_key_of_the_configuration_is_changed_there(serve: Serve) -> None:
    here = await serve(ON)
    configured = here.house.clients.list()[0]
    status, answer = await _asks(here, "DELETE", f"/client-keys/{configured.id}")
    assert (status, "api-keys" in str(answer)) == (409, True)
