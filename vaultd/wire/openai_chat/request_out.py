"""A request as a Chat Completions vendor takes it."""

from __future__ import annotations

from typing import Any, Final

from vaultd.wire import custom
from vaultd.wire.ir import Choice, Output, Request, Target, Tool
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names, plain
from vaultd.wire.openai_chat.face import NAME
from vaultd.wire.openai_chat.messages_out import write_messages
from vaultd.wire.schema import objectified

Members = dict[str, Any]

#: OpenAI refuses more; Claude Code's `user_id` is over twice as long.
_LONGEST_USER: Final = 64


def write_request(request: Request, target: Target, lost: Loss) -> tuple[Members, Names]:
    """Custom tools travel as functions: of the vendors that speak this format hardly one has them."""
    names = Names.of(request, plain, customs=False)
    members: Members = {"model": target.model, "messages": write_messages(request, names, lost)}
    _write_tools(request, names, members, lost)
    members |= _sampling(request)
    members |= _manner(request, lost)
    if request.format == NAME:
        members |= request.rest
    else:
        for name in request.rest:
            lost.add(name)
        if request.logprobs:
            lost.add("logprobs")  # they come back in no other format
    for name in request.unread:
        lost.add(name)
    if request.stream:
        members["stream"] = True
        members["stream_options"] = {"include_usage": True}
    return members, names


def _write_tools(request: Request, names: Names, members: Members, lost: Loss) -> None:
    for hosted in request.hosted:
        lost.add(hosted.name or hosted.kind)
    if not request.tools:
        return
    members["tools"] = [_tool(tool, names, lost) for tool in request.tools]
    choice = _choice(request, names, lost)
    if choice is not None:
        members["tool_choice"] = choice
    if request.parallel is not None:
        members["parallel_tool_calls"] = request.parallel


def _tool(tool: Tool, names: Names, lost: Loss) -> Members:
    if tool.kind == "custom":
        if custom.in_grammar(tool):
            lost.add("tools.format")
        tool = custom.as_function(tool)
    function: Members = {"name": names.send(tool.name)}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = objectified(tool.schema)
    if tool.strict is not None:
        function["strict"] = tool.strict
    said: Members = {"type": "function", "function": function}
    if tool.cache is not None:
        said["cache_control"] = tool.cache
    return said


def _choice(request: Request, names: Names, lost: Loss) -> Any:
    choice = request.choice
    if choice is None:
        return None
    chosen = _known(choice, request, lost)
    if chosen is None:
        return None
    if not chosen:
        return choice.mode
    tools = [{"type": "function", "function": {"name": names.send(name)}} for name in chosen]
    if choice.mode == "required" and len(tools) == 1:
        return tools[0]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}


def _known(choice: Choice, request: Request, lost: Loss) -> list[str] | None:
    """The names that are declared; None where there are none left of those the client gave."""
    if not choice.names:
        return []
    declared = {tool.name for tool in request.tools}
    known = [name for name in choice.names if name in declared]
    if len(known) < len(choice.names):
        lost.add("tool_choice")
    return known or None


def _sampling(request: Request) -> Members:
    members: Members = {
        "max_tokens": request.max_output,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": request.stop or None,
        "n": request.n,
        "seed": request.seed,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "logprobs": request.logprobs,
        "top_logprobs": request.top_logprobs,
    }
    return {name: value for name, value in members.items() if value is not None}


def _manner(request: Request, lost: Loss) -> Members:
    """How the answer is to be, and who asks for it."""
    metadata = request.metadata
    if metadata and request.format != NAME:
        lost.add("metadata")  # OpenAI takes it for stored completions alone
        metadata = None
    user = request.user
    if len(user) > _LONGEST_USER:
        lost.add("user")
        user = ""
    members: Members = {
        "reasoning_effort": request.reasoning.level if request.reasoning else "",
        "response_format": _format(request.output),
        "verbosity": request.verbosity,
        "modalities": request.modalities,
        "image_config": request.image,
        "user": user,
        "prompt_cache_key": request.cache_key,
        "service_tier": request.tier,
        "metadata": metadata,
    }
    return {name: value for name, value in members.items() if value}


def _format(output: Output | None) -> Members | None:
    if output is None:
        return None
    if output.kind == "text":
        return {"type": "text"}
    if output.kind == "json":
        return {"type": "json_object"}
    # The name is obligatory, and not every format has one.
    said: Members = {"name": output.name or "output", "schema": output.schema}
    if output.description:
        said["description"] = output.description
    if output.strict is not None:
        said["strict"] = output.strict
    return {"type": "json_schema", "json_schema": said}
