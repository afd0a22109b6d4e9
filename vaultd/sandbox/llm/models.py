"""The lists of models, each in its vendor's shape. What they name is a sample: any model is answered for."""

from __future__ import annotations

from aiohttp import web

from vaultd.sandbox.call import Call, answer
from vaultd.sandbox.llm import gate
from vaultd.sandbox.llm.anthropic import check_caller
from vaultd.sandbox.refusal import llm

_SAMPLE = {
    "codex": "gpt-5.1-codex",
    "claude": "claude-sonnet-4-5-20250929",
    "gemini": "gemini-2.5-pro",
    "qwen": "qwen3-coder-plus",
    "iflow": "glm-4.6",
    "kimi": "kimi-for-coding",
    "xai": "grok-4",
    "invented": "invented-1",
}


async def openai(call: Call) -> web.StreamResponse:
    gate.any_caller(call, "chat")
    name = call.vendor.rules.name
    return answer(
        {"object": "list", "data": [{"id": _SAMPLE[name], "object": "model", "created": 0, "owned_by": name}]}
    )


async def anthropic(call: Call) -> web.StreamResponse:
    check_caller(call)
    model = {"type": "model", "id": _SAMPLE["claude"], "display_name": "Sandbox", "created_at": "2025-09-29T00:00:00Z"}
    return answer({"data": [model], "has_more": False, "first_id": model["id"], "last_id": model["id"]})


async def gemini(call: Call) -> web.StreamResponse:
    key = call.request.headers.get("x-goog-api-key") or call.query("key")
    if "CANARY" not in key:
        raise llm("gemini", 400, "API key not valid. Please pass a valid API key.")
    model = {
        "name": f"models/{_SAMPLE['gemini']}",
        "displayName": "Sandbox",
        "inputTokenLimit": 1048576,
        "outputTokenLimit": 65536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }
    return answer({"models": [model]})
