"""Anthropic Messages, by login and by key."""

from __future__ import annotations

import json

import pytest

KEY = {"x-api-key": "sk-CANARY-1", "anthropic-version": "2023-06-01"}
TOOL = {"name": "shell", "input_schema": {"type": "object", "properties": {"cmd": {"type": "string"}}}}


def question(prompt: str, **changes) -> dict:
    return {"model": "claude-x", "max_tokens": 4096, "messages": [{"role": "user", "content": prompt}]} | changes


def events(text: str) -> list[dict]:
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]


@pytest.fixture
def ask(person):
    async def post(body: dict, headers: dict[str, str] = KEY, path: str = "/v1/messages") -> tuple[int, str]:
        async with person.http.post(person.endpoint("claude", "api") + path, json=body, headers=headers) as reply:
            return reply.status, await reply.text()

    return post


async def test_a_whole_answer_and_its_count(ask):
    _, text = await ask(question("say hello"))
    said = json.loads(text)
    assert said["content"] == [{"type": "text", "text": "hello"}] and said["stop_reason"] == "end_turn"
    counted = question("say hello")
    del counted["max_tokens"]
    _, text = await ask(counted, path="/v1/messages/count_tokens?beta=true")
    assert json.loads(text) == {"input_tokens": said["usage"]["input_tokens"]}


async def test_a_stream_follows_the_grammar(ask):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    _, text = await ask(question("count to 3", stream=True, thinking=thinking))
    seen = events(text)
    assert [event["type"] for event in seen] == [
        "message_start",
        "ping",
        *("content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"),
        *("content_block_start", *3 * ["content_block_delta"], "content_block_stop"),
        *("message_delta", "message_stop"),
    ]
    assert seen[4]["delta"]["type"] == "signature_delta"
    assert "".join(event.get("delta", {}).get("text", "") for event in seen) == "1 2 3"


async def test_a_tool_turn_with_thinking_sent_back(ask):
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked = question('use tool shell with {"cmd":"ls"}', tools=[TOOL], thinking=thinking, stream=True)
    _, text = await ask(asked)
    parts = [event["delta"]["partial_json"] for event in events(text) if "partial_json" in event.get("delta", {})]
    assert json.loads("".join(parts)) == {"cmd": "ls"}
    _, text = await ask(asked | {"stream": False})
    said = json.loads(text)
    assert said["stop_reason"] == "tool_use" and said["content"][1]["input"] == {"cmd": "ls"}
    result = {
        "type": "tool_result",
        "tool_use_id": said["content"][1]["id"],
        "content": [{"type": "text", "text": "a"}],
    }
    turns = [
        *asked["messages"],
        {"role": "assistant", "content": said["content"]},
        {"role": "user", "content": [result]},
    ]
    _, text = await ask(asked | {"stream": False, "messages": turns})
    assert json.loads(text)["content"][-1] == {"type": "text", "text": "The tool said: a"}
    said["content"][0]["signature"] = "forged"
    status, text = await ask(asked | {"stream": False, "messages": turns})
    assert status == 400 and "signature" in text


async def test_a_login_needs_its_beta_and_a_version(person, ask):
    tokens = await person.sign_in("claude")
    good = {
        "Authorization": f"Bearer {tokens['access_token']}",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "fine-grained-tool-streaming-2025-05-14, oauth-2025-04-20",
    }
    assert (await ask(question("hi"), good))[0] == 200
    status, text = await ask(question("hi"), good | {"anthropic-beta": "other"})
    assert status == 401 and "OAuth authentication is currently not supported" in text
    del good["anthropic-version"]
    status, text = await ask(question("hi"), good)
    assert status == 400 and "anthropic-version" in text


async def test_the_identity_switch_shows_the_error_an_operator_would_meet(person, ask):
    tokens = await person.sign_in("claude")
    headers = KEY | {"Authorization": f"Bearer {tokens['access_token']}", "anthropic-beta": "oauth-2025-04-20"}
    del headers["x-api-key"]
    person.sandbox.set("claude", identity_required=True)
    status, text = await ask(question("hi", system="Be brief."), headers)
    assert status == 400 and "only authorized for use with Claude Code" in text
    phrase = {"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude."}
    assert (await ask(question("hi", system=[phrase, {"type": "text", "text": "Be brief."}]), headers))[0] == 200
    assert (await ask(question("hi"), KEY))[0] == 200


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        ({"temperature": 1, "top_p": 1}, "top_p"),
        ({"betas": []}, "Extra inputs"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "max_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}, "tool_choice": {"type": "any"}}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x"}]}]}, "tool_use_id"),
    ],
)
async def test_a_wrong_request_is_refused(ask, change, words):
    status, text = await ask(question("hi") | change)
    assert status == 400 and words in json.loads(text)["error"]["message"]


async def test_the_list_of_models(person):
    async with person.http.get(person.endpoint("claude", "api") + "/v1/models", headers=KEY) as reply:
        assert (await reply.json())["data"][0]["type"] == "model"
