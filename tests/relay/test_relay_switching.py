"""A conversation that goes on with a vendor of another format: what the one sealed is no trouble for the other."""

from __future__ import annotations

import base64
import json
from typing import Any

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
