"""OpenAI Chat Completions, as Qwen, iFlow, Kimi, xAI and compatible servers answer it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from vaultd.sandbox.call import Call
from vaultd.sandbox.call import answer as whole
from vaultd.sandbox.llm import gate
from vaultd.sandbox.llm.content import body_of, text_of
from vaultd.sandbox.llm.pour import frame, pour, usual_headers
from vaultd.sandbox.llm.reply import Answer, Ask, Tool, answer
from vaultd.sandbox.refusal import llm, openai_error


async def completions(call: Call) -> web.StreamResponse:
    """POST …/chat/completions."""
    caller = gate.any_caller(call, "chat")
    if call.vendor.rules.name == "iflow" and caller.access and caller.access.api_key != call.bearer():
        # Inference takes the key of the user-info answer, never the access token.
        raise llm("chat", 401, "Invalid apiKey", code="invalid_api_key")
    body = body_of(call, "chat")
    ask = read(body)
    gate.check_model(call, "chat", ask.model)
    _check(body)
    said = answer(ask)
    if not ask.stream:
        response = whole(_shell(said, "chat.completion") | {"choices": [_choice(said)], "usage": _usage(said)})
        response.headers.update(usual_headers(call))
        return response
    counted = (body.get("stream_options") or {}).get("include_usage") is True
    return await pour(call, _stream(said, counted=counted), error_frame=_ERROR)


_ERROR = frame(openai_error(500, "The sandbox was told to fail"))


def read(body: Mapping[str, Any]) -> Ask:
    messages = [message for message in body.get("messages") or [] if isinstance(message, dict)]
    users = [text_of(message.get("content")) for message in messages if message.get("role") == "user"]
    last = messages[-1] if messages else {}
    return Ask(
        model=str(body.get("model", "")),
        prompt=users[-1] if users else "",
        stream=body.get("stream") is True,
        tools=tuple(_tool(tool) for tool in body.get("tools") or []),
        tool_result=text_of(last.get("content")) if last.get("role") == "tool" else None,
        forced=_forced(body.get("tool_choice")),
        thinking=body.get("reasoning_effort", "none") != "none",
        said=" ".join(text_of(message.get("content")) for message in messages),
    )


def _tool(tool: Mapping[str, Any]) -> Tool:
    kind = str(tool.get("type"))
    inner = tool.get(kind) or {}
    custom = kind == "custom"
    schema = {"required": ["input"]} if custom else inner.get("parameters") or {}
    return Tool(str(inner.get("name")), schema, custom=custom)


def _forced(choice: Any) -> str:
    match choice:
        case "required":
            return "*"
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}}:
            return name
    return ""


def _check(body: Mapping[str, Any]) -> None:
    """What every server of this grammar refuses."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(turn, dict) for turn in messages):
        raise llm("chat", 400, "'messages' must be a non-empty list.")
    if body.get("tool_choice") is not None and not body.get("tools"):
        raise llm("chat", 400, "'tool_choice' is only allowed when 'tools' are specified.")
    if body.get("stream_options") is not None and body.get("stream") is not True:
        raise llm("chat", 400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    open_calls: set[str] = set()
    for message in messages:
        if message.get("role") == "tool" and message.get("tool_call_id") not in open_calls:
            raise llm(
                "chat", 400, "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
            )
        open_calls |= {str(tool_call.get("id")) for tool_call in message.get("tool_calls") or []}


def _shell(said: Answer, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{said.id}", "object": kind, "created": int(time.time()), "model": said.model}


def _tool_call(said: Answer) -> dict[str, Any] | None:
    tool = said.tool
    if tool is None:
        return None
    if tool.custom:
        inner = {"name": tool.name, "input": str(tool.arguments.get("input", ""))}
        return {"id": f"call_{tool.id}", "type": "custom", "custom": inner}
    return {"id": f"call_{tool.id}", "type": "function", "function": {"name": tool.name, "arguments": tool.json}}


def _choice(said: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if said.thinking:
        message["reasoning_content"] = said.thinking
    if tool_call := _tool_call(said):
        message["tool_calls"] = [tool_call]
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(said)}


def _finish(said: Answer) -> str:
    return "tool_calls" if said.tool else "stop"


def _usage(said: Answer) -> dict[str, Any]:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": said.thinking_tokens},
    }


def _stream(said: Answer, *, counted: bool) -> Iterator[bytes]:
    shell = _shell(said, "chat.completion.chunk")
    for delta in _deltas(said):
        yield frame(shell | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]})
    yield frame(shell | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(said)}]})
    if counted:
        yield frame(shell | {"choices": [], "usage": _usage(said)})
    yield b"data: [DONE]\n\n"


def _deltas(said: Answer) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    if said.thinking:
        yield {"reasoning_content": said.thinking}
    for piece in said.pieces:
        yield {"content": piece}
    tool_call = _tool_call(said)
    if tool_call is None:
        return
    kind = tool_call["type"]
    member = "input" if kind == "custom" else "arguments"
    text = tool_call[kind][member]
    yield {"tool_calls": [{"index": 0} | tool_call | {kind: tool_call[kind] | {member: ""}}]}
    for piece in (text[: len(text) // 2], text[len(text) // 2 :]):
        yield {"tool_calls": [{"index": 0, kind: {member: piece}}]}
