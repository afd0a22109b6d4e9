"""Anthropic Messages: by API key, or by an OAuth login with its beta. Refuses what the real server refuses."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

from vaultd.sandbox.call import Call
from vaultd.sandbox.call import answer as whole
from vaultd.sandbox.llm import gate
from vaultd.sandbox.llm.content import body_of, text_of
from vaultd.sandbox.llm.pour import frame, pour, usual_headers
from vaultd.sandbox.llm.reply import Answer, Ask, Tool, answer, tokens_of
from vaultd.sandbox.refusal import anthropic_error, llm

OAUTH_BETA = "oauth-2025-04-20"

#: What the vendor wants to see first from its own program, under the `identity_required` switch.
IDENTITY = "You are Claude Code, Anthropic's official CLI for Claude."

#: Members of a request; any other is refused as the real server does, whatever the beta.
_KNOWN = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences"),
        *(
            "tools",
            "tool_choice",
            "thinking",
            "metadata",
            "service_tier",
            "cache_control",
            "container",
            "inference_geo",
        ),
        *("output_config", "output_format", "context_management", "mcp_servers", "speed", "diagnostics"),
    }
)


async def messages(call: Call) -> web.StreamResponse:
    """POST /v1/messages."""
    oauth = check_caller(call)
    body = body_of(call, "anthropic")
    ask = read(body)
    gate.check_model(call, "anthropic", ask.model)
    _check(body)
    if oauth and call.vendor.switches.identity_required:
        _check_identity(body)
    if not isinstance(body.get("max_tokens"), int):
        raise _bad("max_tokens: Field required")
    said = answer(ask)
    if not ask.stream:
        response = whole(_message(said, list(_blocks(said))))
        response.headers.update(usual_headers(call))
        return response
    return await pour(call, _stream(said), error_frame=_ERROR)


async def count_tokens(call: Call) -> web.StreamResponse:
    """POST /v1/messages/count_tokens."""
    check_caller(call)
    body = body_of(call, "anthropic")
    ask = read(body)
    gate.check_model(call, "anthropic", ask.model)
    _check(body)
    return whole({"input_tokens": tokens_of(ask.said)})


_ERROR = frame(anthropic_error(529, "Overloaded"), event="error")


def check_caller(call: Call) -> bool:
    """Who asks, and in which version. True for an OAuth login."""
    key = call.request.headers.get("x-api-key")
    caller = gate.key_caller(call, "anthropic", key) if key else gate.any_caller(call, "anthropic")
    betas = {beta.strip() for line in call.request.headers.getall("anthropic-beta", []) for beta in line.split(",")}
    if caller.access is not None and OAUTH_BETA not in betas:
        raise llm("anthropic", 401, "OAuth authentication is currently not supported.")
    if not call.request.headers.get("anthropic-version"):
        raise _bad("anthropic-version: header is required")
    return caller.access is not None


def _bad(message: str) -> Exception:
    return llm("anthropic", 400, message)


def read(body: Mapping[str, Any]) -> Ask:
    turns = [turn for turn in body.get("messages") or [] if isinstance(turn, dict)]
    users = [_asked(turn.get("content")) for turn in turns if turn.get("role") == "user"]
    return Ask(
        model=str(body.get("model", "")),
        prompt=next((text for text in reversed(users) if text.strip()), ""),
        stream=body.get("stream") is True,
        tools=tuple(Tool(str(tool.get("name")), tool.get("input_schema") or {}) for tool in body.get("tools") or []),
        tool_result=_result(turns[-1].get("content")) if turns else None,
        forced=_forced(body.get("tool_choice")),
        thinking=(body.get("thinking") or {}).get("type", "disabled") != "disabled",
        said=" ".join([text_of(body.get("system")), *(text_of(turn.get("content")) for turn in turns)]),
    )


def _asked(content: Any) -> str:
    """The text of a user turn without its tool results."""
    if isinstance(content, list):
        return text_of([block for block in content if isinstance(block, dict) and block.get("type") == "text"])
    return text_of(content)


def _result(content: Any) -> str | None:
    for block in content if isinstance(content, list) else []:
        if isinstance(block, dict) and block.get("type") == "tool_result":
            return text_of(block.get("content"))
    return None


def _forced(choice: Any) -> str:
    match choice:
        case {"type": "any"}:
            return "*"
        case {"type": "tool", "name": str(name)}:
            return name
    return ""


def _check(body: Mapping[str, Any]) -> None:
    if unknown := sorted(set(body) - _KNOWN):
        raise _bad(f"{unknown[0]}: Extra inputs are not permitted")
    turns = body.get("messages")
    if not isinstance(turns, list) or not turns:
        raise _bad("messages: at least one message is required")
    if not all(isinstance(turn, dict) for turn in turns):
        raise _bad("messages: Input should be a valid dictionary")
    if turns[0].get("role") != "user":
        raise _bad('messages: first message must use the "user" role')
    if "temperature" in body and "top_p" in body:
        raise _bad("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    _check_thinking(body)
    _check_turns(turns)


def _check_thinking(body: Mapping[str, Any]) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type", "disabled") == "disabled":
        return
    if _forced(body.get("tool_choice")):
        raise _bad("Thinking may not be enabled when tool_choice forces tool use.")
    if thinking["type"] == "enabled":
        budget = thinking.get("budget_tokens", 0)
        if budget < 1024:
            raise _bad("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if budget >= body.get("max_tokens", budget + 1):
            raise _bad("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_turns(turns: list[dict[str, Any]]) -> None:
    """Tool results answer the turn before; signatures are ours."""
    before: set[str] = set()
    for number, turn in enumerate(turns):
        blocks = [block for block in turn.get("content") or [] if isinstance(block, dict)]
        for place, block in enumerate(blocks):
            at = f"messages.{number}.content.{place}"
            if block.get("type") == "tool_result" and block.get("tool_use_id") not in before:
                raise _bad(f"{at}: unexpected `tool_use_id` found in `tool_result` blocks")
            if block.get("type") == "thinking" and not str(block.get("signature")).startswith(_SIGNED):
                raise _bad(f"{at}: Invalid `signature` in `thinking` block")
        if turn.get("role") == "assistant":
            before = {str(block.get("id")) for block in blocks if block.get("type") == "tool_use"}


def _check_identity(body: Mapping[str, Any]) -> None:
    system = body.get("system")
    first = system[0] if isinstance(system, list) and system else system
    if text_of(first) != IDENTITY:
        raise _bad(
            "This credential is only authorized for use with Claude Code and cannot be used for other API requests."
        )


_SIGNED = base64.b64encode(b"sandbox-signature|").decode()


def _blocks(said: Answer) -> Iterator[dict[str, Any]]:
    if said.thinking:
        yield {"type": "thinking", "thinking": said.thinking, "signature": _SIGNED + said.id}
    if said.tool is None:
        yield {"type": "text", "text": said.text}
    else:
        yield {"type": "tool_use", "id": f"toolu_{said.tool.id}", "name": said.tool.name, "input": said.tool.arguments}


def _message(said: Answer, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{said.id}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": content,
        "stop_reason": "tool_use" if said.tool else "end_turn",
        "stop_sequence": None,
        "usage": _usage(said, said.output_tokens),
    }


def _usage(said: Answer, output: int) -> dict[str, Any]:
    return {
        "input_tokens": said.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
        "service_tier": "standard",
    }


def _stream(said: Answer) -> Iterator[bytes]:
    for event in _events(said):
        yield frame(event, event=event["type"])


def _events(said: Answer) -> Iterator[dict[str, Any]]:
    begun = _message(said, []) | {"stop_reason": None, "usage": _usage(said, 1)}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(_blocks(said)):
        empty: dict[str, Any] = {"text": "", "thinking": "", "signature": "", "input": {}}
        start = block | {name: value for name, value in empty.items() if name in block}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for delta in _deltas(said, block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    done = {"stop_reason": "tool_use" if said.tool else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": done, "usage": _usage(said, said.output_tokens)}
    yield {"type": "message_stop"}


def _deltas(said: Answer, block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "thinking":
            yield {"type": "thinking_delta", "thinking": block["thinking"]}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "text":
            for piece in said.pieces:
                yield {"type": "text_delta", "text": piece}
        case _:
            text = said.tool.json if said.tool else ""
            for piece in ("", text[: len(text) // 2], text[len(text) // 2 :]):
                yield {"type": "input_json_delta", "partial_json": piece}
