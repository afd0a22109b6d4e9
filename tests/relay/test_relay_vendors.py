"""What each vendor's backend insists on: Codex's body, the Code Assist envelope, combinations that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stand_in import ONE_OF_EACH, Serve, Vendor, stream, whole

CODEX = "/v1/responses"


def sent(vendor: Vendor, index: int = -1) -> Any:
    return json.loads(vendor.seen[index].body)


def completed(**response: Any) -> bytes:
    event = {"type": "response.completed", "response": {"object": "response", "output": [1]} | response}
    return b"event: response.completed\ndata: " + json.dumps(event).encode() + b"\n\n"


# --- codex-body -------------------------------------------------------------------------------------------------------


async def test_codex_gets_what_its_backend_insists_on_and_none_of_what_it_refuses(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(completed())
    refused = {
        "max_output_tokens": 1,
        "temperature": 1,
        "top_p": 1,
        "truncation": "auto",
        "user": "u",
        "stream_options": {},
    }
    body = {"model": "m-codex", "stream": True, "input": [], "service_tier": "flex", "prompt_cache_key": ""} | refused
    status, told, _ = await relayed.ask(CODEX, json.dumps(body).encode())
    assert (status, told) == (200, completed())
    assert vendor.seen[0].path == "/codex/responses"
    asked = {"store": False, "instructions": "", "include": ["reasoning.encrypted_content"]}
    assert sent(vendor) == {"model": "real-codex", "stream": True, "input": []} | asked


async def test_codex_is_given_no_prompt_and_keeps_the_clients(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(completed())
    body = (
        b'{"model":"m-codex","store":false,"stream":true,"instructions":"mine","input":[{"role":"user","content":"x"}],'
        b'"include":["file_search_call.results","reasoning.encrypted_content"],"tools":[{"type":"web_search"}]}'
    )
    await relayed.ask(CODEX, body)
    assert vendor.seen[0].body == body.replace(b"m-codex", b"real-codex")


async def test_a_client_that_wants_a_whole_answer_of_a_vendor_that_streams_gets_one(
    serve: Serve, vendor: Vendor
) -> None:
    relayed = await serve()
    created = b'data: {"type":"response.created","response":{"status":"in_progress"}}\n\n'
    answer = created + completed(id="r1", usage={"input_tokens": 1, "output_tokens": 2})
    vendor.usual = stream(*(answer[at : at + 9] for at in range(0, len(answer), 9)))
    status, told, headers = await relayed.ask(CODEX, b'{"model":"m-codex","input":"hi"}')
    assert status == 200 and headers["content-type"].startswith("application/json")
    assert json.loads(told)["id"] == "r1"
    assert sent(vendor)["stream"] is True
    content = [{"type": "input_text", "text": "hi"}]
    assert sent(vendor)["input"] == [{"type": "message", "role": "user", "content": content}]


async def test_a_failure_in_that_stream_is_an_error_with_its_status(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve("disable-cooling: true\n" + ONE_OF_EACH)
    failed = {"type": "response.failed", "response": {"error": {"code": "invalid_prompt", "message": "no such thing"}}}
    vendor.answers.extend([stream(b"data: " + json.dumps(failed).encode() + b"\n\n"), stream(b": only\n\n")])
    status, told, _ = await relayed.ask(CODEX, b'{"model":"m-codex","input":[]}')
    assert status == 400 and "no such thing" in json.loads(told)["error"]["message"]
    status, told, _ = await relayed.ask(CODEX, b'{"model":"m-codex","input":[]}')
    assert status == 502 and "middle" in json.loads(told)["error"]["message"]


async def test_codex_input_items_are_brought_to_what_it_takes(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = stream(completed())
    items = [
        {"type": "message", "role": "system", "content": "s", "id": "msg_ok"},
        {"role": "user", "content": "u", "id": "item_7"},
        {"type": "function_call", "id": "fc_" + "x" * 70, "call_id": "c", "name": "n", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"},
    ]
    await relayed.ask(CODEX, json.dumps({"model": "m-codex", "stream": True, "input": items}).encode())
    assert sent(vendor)["input"] == [
        {"type": "message", "role": "developer", "content": "s", "id": "msg_ok"},
        {"role": "user", "content": "u"},
        {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"},
    ]


async def test_encrypted_reasoning_of_another_account_is_dropped_once(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    refusal = whole(b'{"error":{"code":"invalid_encrypted_content","message":"encrypted_content"}}', 400)
    items = [{"type": "reasoning", "encrypted_content": "gAAAA"}, {"role": "user", "content": "u"}]
    body = json.dumps({"model": "m-codex", "stream": True, "input": items}).encode()
    vendor.answers.extend([refusal, stream(completed())])
    assert (await relayed.ask(CODEX, body))[0] == 200
    assert sent(vendor, 0)["input"] == items
    assert sent(vendor, 1)["input"] == items[1:]
    vendor.answers.extend([refusal, refusal])
    assert (await relayed.ask(CODEX, body))[0] == 400


async def test_an_answer_nobody_keeps_cannot_be_followed_up(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    body = b'{"model":"m-codex","stream":true,"previous_response_id":"resp_1","input":[]}'
    status, told, _ = await relayed.ask(CODEX, body)
    assert status == 400 and "previous_response_id" in json.loads(told)["error"]["message"]
    assert not vendor.seen


# --- anthropic-fixes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "arrives"),
    [
        ({"temperature": 1, "top_p": 0.9}, {"temperature": 1}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "tool_choice": {"type": "any"}},
            {"tool_choice": {"type": "any"}},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 4096},
            {"thinking": {"type": "enabled", "budget_tokens": 4095}, "max_tokens": 4096},
        ),
        (
            {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "auto"}, "max_tokens": 9},
            {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "auto"}, "max_tokens": 9},
        ),
    ],
)
async def test_combinations_that_anthropic_refuses(
    serve: Serve, vendor: Vendor, given: dict[str, Any], arrives: dict[str, Any]
) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    await relayed.ask("/v1/messages", json.dumps({"model": "m-claude"} | given).encode())
    assert sent(vendor) == {"model": "real-claude"} | arrives


# --- gemini-fixes and gemini-envelope ---------------------------------------------------------------------------------


async def test_gemini_is_given_an_empty_first_user_turn_before_a_model_turn(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b"{}")
    await relayed.ask("/v1beta/models/m-gemini:generateContent", b'{"contents": [ {"role":"model","parts":[]} ]}')
    assert vendor.seen[0].body == (
        b'{"contents": [{"role":"user","parts":[{"text":""}]}, {"role":"model","parts":[]} ]}'
    )


async def test_a_gemini_cli_is_served_by_a_gemini_key(serve: Serve, vendor: Vendor) -> None:
    """Its request comes out of its envelope, the answer goes into one; counting has none on the way back."""
    relayed = await serve()
    outer = b'{"model":"m-gemini","project":"p","user_prompt_id":"u","request":{"contents" :[]}}'
    vendor.usual = whole(b'{"candidates": []}')
    status, told, _ = await relayed.ask("/v1internal:generateContent", outer)
    assert (status, told) == (200, b'{"response":{"candidates": []}}')
    assert vendor.seen[0].path == "/v1beta/models/real-gemini:generateContent"
    assert vendor.seen[0].body == b'{"contents" :[]}'

    vendor.usual = stream(b'data: {"candidates":[]}\r\n\r\ndata: {"candidates":[{"finishReason":"STOP"}]}\r\n\r\n')
    _, told, _ = await relayed.ask("/v1internal:streamGenerateContent?alt=sse", outer)
    assert told == (
        b'data: {"response":{"candidates":[]}}\n\ndata: {"response":{"candidates":[{"finishReason":"STOP"}]}}\n\n'
    )

    vendor.usual = whole(b'{"totalTokens":3}')
    count = b'{"request":{"model":"models/m-gemini","contents":[]}}'
    assert (await relayed.ask("/v1internal:countTokens", count))[1] == b'{"totalTokens":3}'


CODE_ASSIST = """
providers:
  gemini-api-key:
    endpoints: {{api: "{url}"}}
    api:
      paths: {{gemini: "/v1internal:{{method}}"}}
      count-paths: {{gemini: "/v1internal:countTokens"}}
      hooks: [gemini-fixes, gemini-envelope]
gemini-api-key: [{{api-key: sk-CANARY-gemini, models: [{{name: real-gemini, alias: m-gemini}}]}}]
"""


async def test_plain_gemini_is_served_through_the_envelope(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(CODE_ASSIST)
    vendor.usual = whole(b'{"response":{"candidates" : []},"traceId":"t"}')
    status, told, _ = await relayed.ask("/v1beta/models/m-gemini:generateContent", b'{"contents":[]}')
    assert (status, told) == (200, b'{"candidates" : []}')
    assert vendor.seen[0].path == "/v1internal:generateContent"
    assert sent(vendor) == {"model": "real-gemini", "request": {"contents": []}}

    vendor.usual = stream(b'data: {"response": {"candidates":[{"finishReason":"STOP"}]}}\n\n')
    _, told, _ = await relayed.ask("/v1beta/models/m-gemini:streamGenerateContent?alt=sse", b"{}")
    assert told == b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n'

    vendor.usual = whole(b'{"totalTokens":3}')
    assert (await relayed.ask("/v1beta/models/m-gemini:countTokens", b"{}"))[1] == b'{"totalTokens":3}'
    assert sent(vendor) == {"request": {}}


async def test_the_envelopes_own_client_gets_its_vendors_answer_as_it_is(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(CODE_ASSIST)
    answer = b'{"response":{"candidates":[]},"traceId" : "t"}'
    vendor.usual = whole(answer)
    outer = b'{"model":"m-gemini", "project":"theirs","user_prompt_id":"u","request":{ }}'
    assert (await relayed.ask("/v1internal:generateContent", outer))[1] == answer
    assert vendor.seen[0].body == outer.replace(b"m-gemini", b"real-gemini")


async def test_a_call_nobody_here_serves_is_named(serve: Serve) -> None:
    relayed = await serve()
    status, told, _ = await relayed.ask("/v1beta/models/m-gemini:fly", b"{}")
    assert status == 501 and json.loads(told)["error"]["status"] == "UNIMPLEMENTED"


GEMINI = "gemini-api-key: [{{api-key: sk-CANARY-gemini, base-url: '{url}', models: [{{name: {model}, alias: m}}]}}]\n"


@pytest.mark.parametrize(("budget", "status"), [(60000, 400), (1, 400), (32768, 200), (0, 200), (-1, 200)])
async def test_a_thinking_budget_out_of_a_listed_models_range_is_refused_with_the_range(
    serve: Serve, vendor: Vendor, budget: int, status: int
) -> None:
    relayed = await serve(GEMINI.replace("{model}", "gemini-2.5-pro"))
    vendor.usual = whole(b"{}")
    body = json.dumps({"generationConfig": {"thinkingConfig": {"thinkingBudget": budget}}}).encode()
    heard, told, _ = await relayed.ask("/v1beta/models/m:generateContent", body)
    assert heard == status
    assert status == 200 or "[128,32768]" in json.loads(told)["error"]["message"]


async def test_of_a_model_nobody_listed_no_range_is_claimed(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve(GEMINI.replace("{model}", "gemini-9-ultra"))
    vendor.usual = whole(b"{}")
    body = b'{"generationConfig":{"thinkingConfig":{"thinkingBudget":90000}}}'
    assert (await relayed.ask("/v1beta/models/m:generateContent", body))[0] == 200
