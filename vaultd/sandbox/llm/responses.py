"""OpenAI Responses: the public API, and the ChatGPT backend that Codex uses, which takes less and only streams.

The backend's refusals are its own (`{"detail": …}`), as seen by people who sent it what the public API takes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiohttp import web

from vaultd.sandbox.call import Call
from vaultd.sandbox.call import answer as whole
from vaultd.sandbox.llm import gate
from vaultd.sandbox.llm.content import body_of, text_of
from vaultd.sandbox.llm.pour import frame, pour, usual_headers
from vaultd.sandbox.llm.reply import Answer, Ask, Tool, answer
from vaultd.sandbox.refusal import Refusal, llm
from vaultd.sandbox.vendors import Grammar

#: What the backend refuses though the public API takes it.
_REFUSED = (
    "max_output_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "truncation",
    "user",
    "previous_response_id",
    "stream_options",
    "safety_identifier",
    "prompt_cache_retention",
    "metadata",
)
_ECHOED = (
    *("instructions", "parallel_tool_calls", "prompt_cache_key", "reasoning", "store"),
    *("temperature", "text", "tool_choice", "tools", "top_p", "metadata"),
)


async def backend(call: Call) -> web.StreamResponse:
    """POST …/backend-api/codex/responses: OAuth only."""
    caller = gate.oauth_caller(call, "codex")
    assert caller.access is not None
    if call.request.headers.get("chatgpt-account-id") != caller.access.family.account.account:
        raise llm("codex", 401, "Workspace is not authorized for this token", code="invalid_workspace_selected")
    body = body_of(call, "codex")
    _check_backend(body)
    return await _respond(call, "codex", body, caller.mint)


async def public(call: Call) -> web.StreamResponse:
    """POST …/v1/responses: API key or token as bearer; whole or streamed."""
    caller = gate.any_caller(call, "responses")
    body = body_of(call, "responses")
    return await _respond(call, "responses", body, caller.mint)


def _check_backend(body: Mapping[str, Any]) -> None:
    detail = ""
    if not isinstance(body.get("instructions"), str):
        detail = "Instructions are required"
    elif body.get("store") is not False:
        detail = "Store must be set to false"
    elif body.get("stream") is not True:
        detail = "Stream must be set to true"
    elif not isinstance(body.get("input"), list):
        detail = "Input must be a list"
    elif refused := [name for name in _REFUSED if name in body]:
        detail = f"Unsupported parameter: {refused[0]}"
    elif body.get("service_tier", "priority") != "priority":
        detail = f"Unsupported service_tier: {body['service_tier']}"
    elif any(_role(item) == "system" for item in body["input"]):
        detail = "System messages are not allowed"
    if detail:
        raise Refusal(400, {"detail": detail})


def _role(item: Any) -> str:
    return str(item.get("role", "")) if isinstance(item, dict) else ""


async def _respond(call: Call, grammar: Grammar, body: dict[str, Any], mint: str) -> web.StreamResponse:
    ask = read(body)
    gate.check_model(call, grammar, ask.model)
    _check_reasoning(grammar, body, mint)
    said = answer(ask)
    encrypted = _minted(mint) + said.id if "reasoning.encrypted_content" in (body.get("include") or []) else None
    items = list(_items(said, encrypted, custom=bool(said.tool and said.tool.custom)))
    shell = {name: body[name] for name in _ECHOED if name in body} | {
        "id": f"resp_{said.id}",
        "object": "response",
        "created_at": int(time.time()),
        "model": said.model,
        "error": None,
        "incomplete_details": None,
    }
    if not ask.stream:
        done = shell | {"status": "completed", "output": items, "usage": _usage(said)}
        response = whole(done)
        response.headers.update(usual_headers(call))
        return response
    return await pour(call, _stream(shell, said, items), error_frame=_ERROR)


_ERROR = frame(
    {
        "type": "error",
        "code": "server_error",
        "message": "The sandbox was told to fail",
        "param": None,
        "sequence_number": 99,
    },
    event="error",
)


def read(body: Mapping[str, Any]) -> Ask:
    given = body.get("input")
    items = (
        [{"role": "user", "content": given}]
        if isinstance(given, str)
        else [i for i in given or [] if isinstance(i, dict)]
    )
    users = [text_of(item.get("content")) for item in items if item.get("role") == "user"]
    last = items[-1] if items else {}
    result = text_of(last.get("output")) if str(last.get("type", "")).endswith("_call_output") else None
    texts = [text_of(item.get("content", item.get("output"))) for item in items]
    reasoning = body.get("reasoning") or {}
    return Ask(
        model=str(body.get("model", "")),
        prompt=users[-1] if users else "",
        stream=body.get("stream") is True,
        tools=tuple(_tools(body.get("tools") or [])),
        tool_result=result,
        forced=_forced(body.get("tool_choice")),
        thinking=reasoning.get("effort", "none") != "none",
        said=" ".join([str(body.get("instructions") or ""), *texts]),
    )


def _tools(declared: Iterable[Any]) -> Iterator[Tool]:
    for tool in declared:
        match tool:
            case {"type": "function", "name": str(name)}:
                yield Tool(name, tool.get("parameters") or {})
            case {"type": "custom", "name": str(name)}:
                yield Tool(name, {"required": ["input"]}, custom=True)
            case {"type": "namespace", "tools": list(inner)}:
                yield from _tools(inner)


def _forced(choice: Any) -> str:
    match choice:
        case "required":
            return "*"
        case {"type": "function" | "custom", "name": str(name)}:
            return name
    return ""


def _minted(mint: str) -> str:
    """How everything encrypted for one account begins."""
    return "gAAAAA" + hashlib.sha256(mint.encode()).hexdigest()[:24]


def _check_reasoning(grammar: Grammar, body: Mapping[str, Any], mint: str) -> None:
    """Encrypted reasoning must be what this account was given."""
    given = body.get("input")
    for item in given if isinstance(given, list) else []:
        content = item.get("encrypted_content") if isinstance(item, dict) else None
        if content and not str(content).startswith(_minted(mint)):
            message = "The encrypted content could not be verified. Reason: it could not be decrypted or parsed."
            raise llm(grammar, 400, message, code="invalid_encrypted_content")


def _usage(said: Answer) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said.output_tokens,
        "output_tokens_details": {"reasoning_tokens": said.thinking_tokens},
        "total_tokens": said.input_tokens + said.output_tokens,
    }


def _items(said: Answer, encrypted: str | None, *, custom: bool) -> Iterator[dict[str, Any]]:
    """The output items, whole."""
    if said.thinking:
        reasoning: dict[str, Any] = {
            "id": f"rs_{said.id}",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": said.thinking}],
        }
        if encrypted is not None:
            reasoning["encrypted_content"] = encrypted
        yield reasoning
    if said.tool is None:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        yield {"id": f"msg_{said.id}", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
        return
    tool = {"call_id": f"call_{said.tool.id}", "name": said.tool.name, "status": "completed"}
    if custom:
        text = str(said.tool.arguments.get("input", said.tool.json))
        yield {"id": f"ctc_{said.tool.id}", "type": "custom_tool_call", "input": text} | tool
    else:
        yield {"id": f"fc_{said.tool.id}", "type": "function_call", "arguments": said.tool.json} | tool


def _stream(shell: dict[str, Any], said: Answer, items: list[dict[str, Any]]) -> Iterator[bytes]:
    events = _events(shell, said, items)
    for number, event in enumerate(events):
        yield frame(event | {"sequence_number": number}, event=event["type"])


def _events(shell: dict[str, Any], said: Answer, items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    running = shell | {"status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": running}
    yield {"type": "response.in_progress", "response": running}
    for index, item in enumerate(items):
        yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
        for event in _inside(said, item):
            yield event | {"item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    done = shell | {"status": "completed", "output": items, "usage": _usage(said)}
    yield {"type": "response.completed", "response": done}


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"content": [], "summary": [], "arguments": "", "input": ""}
    begun = item | {name: value for name, value in empty.items() if name in item}
    return begun | ({"status": "in_progress"} if "status" in item else {})


def _inside(said: Answer, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events between an item's beginning and end."""
    kind = item["type"]
    if kind == "reasoning":
        at = {"summary_index": 0}
        yield {"type": "response.reasoning_summary_part.added", "part": {"type": "summary_text", "text": ""}} | at
        yield {"type": "response.reasoning_summary_text.delta", "delta": said.thinking} | at
        yield {"type": "response.reasoning_summary_text.done", "text": said.thinking} | at
        yield {"type": "response.reasoning_summary_part.done", "part": item["summary"][0]} | at
    elif kind == "message":
        at = {"content_index": 0}
        part = item["content"][0]
        yield {"type": "response.content_part.added", "part": part | {"text": ""}} | at
        for piece in said.pieces:
            yield {"type": "response.output_text.delta", "delta": piece, "logprobs": []} | at
        yield {"type": "response.output_text.done", "text": said.text, "logprobs": []} | at
        yield {"type": "response.content_part.done", "part": part} | at
    else:
        name, member = (
            ("custom_tool_call_input", "input")
            if kind == "custom_tool_call"
            else ("function_call_arguments", "arguments")
        )
        middle = len(item[member]) // 2
        for piece in (item[member][:middle], item[member][middle:]):
            yield {"type": f"response.{name}.delta", "delta": piece}
        done = {"type": f"response.{name}.done", member: item[member]}
        yield done | ({"name": item["name"]} if member == "arguments" else {})
