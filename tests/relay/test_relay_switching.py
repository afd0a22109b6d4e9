"""A conversation that goes on with a vendor of another format: what the one sealed is no trouble for the other."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from stand_in import Serve, Vendor, stream, whole

SEALED = base64.urlsafe_b64encode(b"\x80" + bytes(8) + b"CANARY__" * 14).decode()


def codex(*output: dict[str, Any]) -> bytes:
    done = {"id": "r", "object": "response", "status": "completed", "model": "x", "output": list(output)}
    return b"data: " + json.dumps({"type": "response.completed", "response": done}).encode() + b"\n\n"


async def test_thinking_that_codex_sealed_is_not_sent_to_anthropic(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "read", "arguments": "{}"}
    vendor.answers.append(stream(codex(thought | {"encrypted_content": SEALED}, call)))
    vendor.usual = whole(b'{"type":"message","content":[]}')
    asked: dict[str, Any] = {
        "model": "m-codex",
        "max_tokens": 64,
        "tools": [{"name": "read", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": "Hi"}],
    }
    _, told, _ = await relayed.ask("/v1/messages", json.dumps(asked).encode())
    answer = json.loads(told)["content"]
    assert [block["type"] for block in answer] == ["thinking", "tool_use"] and answer[0]["signature"] == SEALED
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "ok"}
    asked["messages"] += [{"role": "assistant", "content": answer}, {"role": "user", "content": [result]}]
    asked["model"] = "m-claude"
    status, _, _ = await relayed.ask("/v1/messages", json.dumps(asked).encode())
    sent = json.loads(vendor.seen[-1].body)["messages"]
    assert status == 200 and vendor.seen[-1].path.startswith("/v1/messages")
    assert sent == [asked["messages"][0], {"role": "assistant", "content": answer[1:]}, asked["messages"][2]]


def thought(signature: str) -> dict[str, str]:
    return {"type": "thinking", "thinking": "hm", "signature": signature}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ([thought("CANARY"), thought(""), {"type": "text", "text": "So"}], ["CANARY", None]),
        ([thought("CANARY"), {"type": "text", "text": "So"}], [None]),
        ([thought("")], []),
    ],
)
async def test_thinking_that_anthropic_refuses_is_sent_no_second_time(
    serve: Serve, vendor: Vendor, said: list[dict[str, str]], left: list[str | None]
) -> None:
    """Vendors of chat sign nothing, and some of Anthropic's own format sign otherwise."""
    relayed = await serve()
    refused = {
        "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
    }
    vendor.answers.append(whole(json.dumps({"type": "error", "error": refused}).encode(), status=400))
    vendor.usual = whole(b'{"type":"message","content":[]}')
    user = {"role": "user", "content": "Hi"}
    asked = {"model": "m-claude", "max_tokens": 64, "messages": [user, {"role": "assistant", "content": said}, user]}
    status, _, _ = await relayed.ask("/v1/messages", json.dumps(asked).encode())
    first, second = (json.loads(seen.body)["messages"] for seen in vendor.seen)
    assert status == 200 and first == asked["messages"]
    told = [message["content"] for message in second if message["role"] == "assistant"]
    assert [block.get("signature") for content in told for block in content] == left
    assert len(second) == (3 if left else 2)


async def test_a_refusal_that_is_not_of_thinking_is_the_clients(serve: Serve, vendor: Vendor) -> None:
    relayed = await serve()
    vendor.usual = whole(b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}', status=400)
    said = {"role": "assistant", "content": [thought("")]}
    asked = {"model": "m-claude", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}, said]}
    status, _, _ = await relayed.ask("/v1/messages", json.dumps(asked).encode())
    assert (status, len(vendor.seen)) == (400, 1)
