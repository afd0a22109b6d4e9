"""Gemini by key, and in Code Assist's envelope by login."""

from __future__ import annotations

import json

import pytest


def question(prompt: str, **changes) -> dict:
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}]} | changes


def chunks(text: str) -> list[dict]:
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]


@pytest.fixture
def ask(person):
    async def post(method: str, body: dict, key: str = "g-CANARY-1", model: str = "gemini-2.5-pro") -> tuple[int, str]:
        url = f"{person.sandbox.key_bases()['gemini-api-key']}/v1beta/models/{model}:{method}"
        async with person.http.post(url, json=body, headers={"x-goog-api-key": key}) as reply:
            return reply.status, await reply.text()

    return post


@pytest.fixture
async def assist(person):
    """Asks Code Assist as the person who signed in."""
    tokens = await person.sign_in("gemini")

    async def post(method: str, envelope: dict) -> tuple[int, str]:
        url = f"{person.endpoint('gemini', 'api')}/v1internal:{method}"
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        async with person.http.post(url, json=envelope, headers=headers) as reply:
            return reply.status, await reply.text()

    return post


async def test_whole_streamed_counted(ask):
    said = json.loads((await ask("generateContent", question("say hello")))[1])
    assert said["candidates"][0]["content"]["parts"] == [{"text": "hello"}]
    assert said["candidates"][0]["finishReason"] == "STOP"
    counted = json.loads((await ask("countTokens", question("say hello")))[1])
    assert counted == {"totalTokens": said["usageMetadata"]["promptTokenCount"]}
    seen = chunks((await ask("streamGenerateContent?alt=sse", question("count to 3")))[1])
    assert "".join(chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in seen) == "1 2 3"
    assert ["finishReason" in chunk["candidates"][0] for chunk in seen] == [False, False, True]
    array = json.loads((await ask("streamGenerateContent", question("count to 3")))[1])
    assert array == seen


async def test_a_tool_turn_in_either_spelling(ask):
    tools = [{"function_declarations": [{"name": "roll", "parameters_json_schema": {"required": ["n"]}}]}]
    asked = question("use tool roll", tools=tools, generation_config={"thinking_config": {"include_thoughts": True}})
    parts = json.loads((await ask("generateContent", asked))[1])["candidates"][0]["content"]["parts"]
    assert parts[0]["thought"] is True and parts[1]["functionCall"]["args"] == {"n": "sandbox"}
    answered = {"functionResponse": {"name": "roll", "response": {"result": "six"}}}
    asked["contents"] += [{"role": "model", "parts": parts}, {"role": "user", "parts": [answered]}]
    last = json.loads((await ask("generateContent", asked))[1])["candidates"][0]["content"]["parts"][-1]
    assert last == {"text": "The tool said: six"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        question("hi", session_id="x"),
        {"contents": [{"role": "model", "parts": [{"text": "x"}]}]},
        {"contents": [{"role": "system", "parts": [{"text": "x"}]}]},
        {"contents": [{"role": "user", "parts": []}]},
    ],
)
async def test_a_wrong_request_is_refused(ask, body):
    status, text = await ask("generateContent", body)
    assert (status, json.loads(text)["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_wrong_keys(person, ask):
    assert (await ask("generateContent", question("hi"), key="nothing"))[0] == 400
    assert (await ask("generateContent", question("hi"), key=""))[0] == 403
    person.sandbox.set("gemini", missing_models=["gone"])
    assert (await ask("generateContent", question("hi"), model="gone"))[0] == 404
    url = f"{person.sandbox.url}/gemini/v1beta/models?key=g-CANARY-1"
    async with person.http.get(url) as reply:
        assert (await reply.json())["models"][0]["name"].startswith("models/")


async def test_the_envelope_names_project_and_model(assist):
    envelope = {"model": "gemini-2.5-pro", "project": "sandbox-project", "request": question("say hello")}
    said = json.loads((await assist("generateContent", envelope))[1])
    assert said["response"]["candidates"][0]["content"]["parts"] == [{"text": "hello"}] and said["traceId"]
    seen = chunks((await assist("streamGenerateContent?alt=sse", envelope))[1])
    assert "response" in seen[0]
    assert (await assist("generateContent", envelope | {"project": None}))[0] == 400
    assert (await assist("generateContent", envelope | {"project": "anothers"}))[0] == 403
    assert (await assist("generateContent", question("hi")))[0] == 400
    assert (await assist("countTokens", envelope))[0] == 400
    counted = {"request": {"model": "models/gemini-2.5-pro", **question("say hello")}}
    assert json.loads((await assist("countTokens", counted))[1]) == {"totalTokens": 2}


async def test_a_project_without_the_api_is_refused(person, assist):
    person.sandbox.set("gemini", services_enabled=False)
    envelope = {"model": "gemini-2.5-pro", "project": "sandbox-project", "request": question("hi")}
    status, text = await assist("generateContent", envelope)
    assert (status, json.loads(text)["error"]["status"]) == (403, "PERMISSION_DENIED")
