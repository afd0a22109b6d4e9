"""Chat Completions as the vendors of that grammar answer it."""

from __future__ import annotations

import json

import pytest

KEY = {"Authorization": "Bearer sk-CANARY-1"}


def question(prompt: str, **changes) -> dict:
    return {"model": "invented-1", "messages": [{"role": "user", "content": prompt}]} | changes


def chunks(text: str) -> list[dict]:
    return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:") and "[DONE]" not in line]


@pytest.fixture
def ask(person):
    """Asks the invented vendor with a key."""

    async def post(body: dict, headers: dict[str, str] = KEY) -> tuple[int, str]:
        url = person.sandbox.key_bases()["openai"] + "/chat/completions"
        async with person.http.post(url, json=body, headers=headers) as reply:
            return reply.status, await reply.text()

    return post


async def test_a_whole_answer(ask):
    _, text = await ask(question("Please say hello."))
    said = json.loads(text)
    assert said["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "hello"},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert said["usage"]["total_tokens"] == said["usage"]["prompt_tokens"] + said["usage"]["completion_tokens"]


async def test_without_a_wish_the_prompt_is_heard(ask):
    _, text = await ask(question("What time is it?"))
    assert json.loads(text)["choices"][0]["message"]["content"] == "The sandbox heard: What time is it?"


async def test_a_stream_ends_with_done_and_usage_only_when_asked(ask):
    _, text = await ask(question("count to 4", stream=True))
    seen = chunks(text)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in seen) == "1 2 3 4"
    assert [chunk["choices"][0]["finish_reason"] for chunk in seen][-1] == "stop"
    assert text.endswith("data: [DONE]\n\n") and not any("usage" in chunk for chunk in seen)
    _, text = await ask(question("count to 4", stream=True, stream_options={"include_usage": True}))
    assert chunks(text)[-1]["choices"] == [] and chunks(text)[-1]["usage"]["completion_tokens"] == 4


async def test_a_tool_turn_whole_and_streamed(ask):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    tools = [{"type": "function", "function": {"name": "roll", "parameters": schema}}]
    asked = question("use the tool", tools=tools)
    _, text = await ask(asked)
    choice = json.loads(text)["choices"][0]
    (called,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls" and called["function"] == {"name": "roll", "arguments": '{"n":1}'}
    _, text = await ask(asked | {"stream": True})
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks(text)]
    fragments = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", [])]
    assert "".join(fragments) == '{"n":1}'
    asked["messages"] += [choice["message"], {"role": "tool", "tool_call_id": called["id"], "content": "six"}]
    _, text = await ask(asked)
    assert json.loads(text)["choices"][0]["message"]["content"] == "The tool said: six"


async def test_a_forced_tool_and_thinking(ask):
    tools = [{"type": "function", "function": {"name": "a"}}, {"type": "function", "function": {"name": "b"}}]
    choice = {"type": "function", "function": {"name": "b"}}
    _, text = await ask(question("hi", tools=tools, tool_choice=choice, reasoning_effort="low"))
    message = json.loads(text)["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["name"] == "b" and message["reasoning_content"]


@pytest.mark.parametrize(
    "change",
    [
        {"messages": []},
        {"tool_choice": "auto"},
        {"stream_options": {"include_usage": True}},
        {"messages": [{"role": "tool", "tool_call_id": "nobody", "content": "x"}]},
    ],
)
async def test_a_wrong_request_is_refused(ask, change):
    status, text = await ask(question("hi") | change)
    assert (status, json.loads(text)["error"]["type"]) == (400, "invalid_request_error")


async def test_bad_keys_and_missing_models(person, ask):
    person.sandbox.set("invented", bad_keys=["sk-CANARY-bad"], missing_models=["gone"])
    for header in ("Bearer sk-CANARY-bad", "Bearer sk-unknown", "Bearer invented-at-CANARY-old", "Basic x"):
        assert (await ask(question("hi"), {"Authorization": header}))[0] == 401
    status, text = await ask(question("hi", model="gone"))
    assert (status, json.loads(text)["error"]["code"]) == (404, "model_not_found")


async def test_iflow_takes_the_derived_key_and_not_the_token(person):
    tokens = await person.sign_in("iflow")
    async with person.http.get(
        person.endpoint("iflow", "userinfo"), params={"accessToken": tokens["access_token"]}
    ) as reply:
        key = (await reply.json())["data"]["apiKey"]
    url = person.endpoint("iflow", "api") + "/chat/completions"
    for bearer, status in ((key, 200), (tokens["access_token"], 401)):
        headers = {"Authorization": f"Bearer {bearer}"}
        async with person.http.post(url, json=question("hi", model="glm-4.6"), headers=headers) as reply:
            assert reply.status == status
    person.sandbox["iflow"].expire()
    async with person.http.post(url, json=question("hi"), headers={"Authorization": f"Bearer {key}"}) as reply:
        assert reply.status == 401


async def test_a_token_of_one_vendor_is_none_at_another(person):
    tokens = await person.sign_in("invented")
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    for vendor, status in (("invented/v1", 200), ("qwen/v1", 401)):
        url = f"{person.sandbox.url}/{vendor}/chat/completions"
        async with person.http.post(url, json=question("hi"), headers=headers) as reply:
            assert reply.status == status
