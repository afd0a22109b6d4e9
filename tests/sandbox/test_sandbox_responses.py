"""The ChatGPT backend and the public Responses API, asked by a plain client."""

from __future__ import annotations

import json

import pytest

from vaultd.sandbox import Account

URL = "/codex/backend-api/codex/responses"


def question(prompt: str, **changes) -> dict:
    asked = {
        "model": "gpt-5.1-codex",
        "instructions": "",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": prompt}]}],
        "store": False,
        "stream": True,
    }
    return {name: value for name, value in (asked | changes).items() if value is not None}


async def headers(person) -> dict[str, str]:
    tokens = await person.sign_in("codex")
    account = Account.of("codex", person.sandbox["codex"].switches.account)
    return {"Authorization": f"Bearer {tokens['access_token']}", "chatgpt-account-id": account.account}


def events(text: str) -> list[dict]:
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]


async def test_a_streamed_answer_follows_the_grammar(person):
    async with person.http.post(
        person.sandbox.url + URL, json=question("say hello"), headers=await headers(person)
    ) as reply:
        assert reply.status == 200
        seen = events(await reply.text())
    assert [event["sequence_number"] for event in seen] == list(range(len(seen)))
    assert seen[0]["type"] == "response.created" and seen[-1]["type"] == "response.completed"
    assert "".join(event["delta"] for event in seen if event["type"] == "response.output_text.delta") == "hello"
    assert seen[-1]["response"]["output"][0]["content"][0]["text"] == "hello"
    assert seen[-1]["response"]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"store": None}, "Store must be set to false"),
        ({"stream": False}, "Stream must be set to true"),
        ({"instructions": None}, "Instructions are required"),
        ({"max_output_tokens": 5}, "Unsupported parameter: max_output_tokens"),
        ({"input": "hi"}, "Input must be a list"),
        ({"input": [{"role": "system", "content": "x"}]}, "System messages are not allowed"),
    ],
)
async def test_the_backend_refuses_what_the_real_one_refuses(person, change, detail):
    body = question("hi") | change
    body = {name: value for name, value in body.items() if value is not None}
    async with person.http.post(person.sandbox.url + URL, json=body, headers=await headers(person)) as reply:
        assert (reply.status, await reply.json()) == (400, {"detail": detail})


async def test_only_the_accounts_own_live_token_is_taken(person):
    good = await headers(person)
    for bad in (
        {"chatgpt-account-id": good["chatgpt-account-id"]},
        good | {"chatgpt-account-id": "another"},
        good | {"Authorization": "Bearer sk-CANARY-key"},
    ):
        async with person.http.post(person.sandbox.url + URL, json=question("hi"), headers=bad) as reply:
            assert reply.status == 401
    person.sandbox["codex"].expire()
    async with person.http.post(person.sandbox.url + URL, json=question("hi"), headers=good) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (401, "token_expired")


async def test_a_tool_is_called_and_its_result_answered(person):
    tools = [
        {
            "type": "function",
            "name": "shell",
            "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}},
        }
    ]
    asked = question('use tool shell with {"cmd":"ls"}', tools=tools)
    good = await headers(person)
    async with person.http.post(person.sandbox.url + URL, json=asked, headers=good) as reply:
        call = events(await reply.text())[-1]["response"]["output"][0]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == ("function_call", "shell", {"cmd": "ls"})
    asked["input"] += [call, {"type": "function_call_output", "call_id": call["call_id"], "output": "a.txt"}]
    async with person.http.post(person.sandbox.url + URL, json=asked, headers=good) as reply:
        item = events(await reply.text())[-1]["response"]["output"][0]
    assert item["content"][0]["text"] == "The tool said: a.txt"


async def test_encrypted_reasoning_of_another_account_is_refused(person):
    asked = question("hi", reasoning={"effort": "low"}, include=["reasoning.encrypted_content"])
    async with person.http.post(person.sandbox.url + URL, json=asked, headers=await headers(person)) as reply:
        reasoning = events(await reply.text())[-1]["response"]["output"][0]
    assert reasoning["type"] == "reasoning"
    asked["input"].insert(0, reasoning)
    person.sandbox.set("codex", account="other@example.com")
    async with person.http.post(person.sandbox.url + URL, json=asked, headers=await headers(person)) as reply:
        assert (reply.status, (await reply.json())["error"]["code"]) == (400, "invalid_encrypted_content")


async def test_the_public_api_takes_a_key_and_answers_whole(person):
    asked = question("say yes", stream=False)
    url = person.sandbox.key_bases()["codex-api-key"] + "/responses"
    async with person.http.post(url, json=asked, headers={"Authorization": "Bearer sk-CANARY-1"}) as reply:
        body = await reply.json()
    assert body["status"] == "completed" and body["output"][0]["content"][0]["text"] == "yes"
