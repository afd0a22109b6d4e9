"""A request, written for an Anthropic vendor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from vaultd.wire import custom
from vaultd.wire.anthropic_messages.blocks_out import Block, Blocks, mark_few
from vaultd.wire.anthropic_messages.face import NAME
from vaultd.wire.ir import Choice, Hosted, Reasoning, Request, Target, Tool
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names, plain
from vaultd.wire.schema import objectified

#: Anthropic wants a limit; CLIProxyAPI's for clients that set none.
_LIMIT: Final = 32000
#: The least budget Anthropic takes; it has to be below `max_tokens` too.
_LEAST_BUDGET: Final = 1024
#: Beside thinking, `top_p` has to be at least this.
_LEAST_TOP_P: Final = 0.95
#: `auto` is priority where there is some of it; nobody is promised it.
_TIERS: Final = {"default": "standard_only", "auto": "auto", "priority": "auto"}
#: Objects some of whose members are known.
_NESTED: Final = frozenset({"metadata", "output_config"})
_EFFORTS: Final = {"minimal": "low", "auto": "high"}
_THINKING: Final = {"openai-chat": "reasoning_effort", "openai-responses": "reasoning", "gemini": "thinkingConfig"}


def write_request(request: Request, target: Target, lost: Loss) -> tuple[dict[str, Any], Names]:
    names = Names.of(request, plain, customs=False)
    system, messages = Blocks(names, lost).conversation(request)
    most = request.max_output or _LIMIT
    members: dict[str, Any] = {
        "model": target.model,
        "max_tokens": min(most, target.max_output) if target.max_output else most,
    }
    if system:
        members["system"] = system
    members["messages"] = messages
    tools = _tools(request, names, lost)
    if tools:
        members["tools"] = tools
        choice = _choice(request, names, lost)
        if choice:
            members["tool_choice"] = choice
    elif request.choice is not None and request.choice.mode == "required":
        lost.add("tool_choice")
    mark_few(list(_markable(tools, system, messages)))
    thinks = _think(request, target, members, lost)
    _sample(request, thinks, members, lost)
    _ask(request, members, lost)
    if request.stream:
        members["stream"] = True
    return members, names


def _markable(tools: list[Block], system: list[Block], messages: list[Block]) -> Iterator[Block]:
    yield from tools
    yield from system
    for message in messages:
        for block in message["content"]:
            if block["type"] == "tool_result" and isinstance(block.get("content"), list):
                yield from block["content"]
            yield block


def _tools(request: Request, names: Names, lost: Loss) -> list[Block]:
    """A choice among some tools is made by showing those alone: Anthropic has no other way to say it."""
    choice = request.choice
    shown = set(choice.names) if choice is not None and not _single(choice) else set()
    tools = [_tool(tool, request, names, lost) for tool in request.tools if not shown or tool.name in shown]
    for hosted in request.hosted:
        if shown and hosted.name not in shown and hosted.kind not in shown:
            continue
        own = _hosted(hosted)
        if own is None:
            lost.add(hosted.kind)
        else:
            tools.append(own)
    return tools


def _single(choice: Choice) -> bool:
    return choice.mode == "required" and len(choice.names) == 1


def _tool(tool: Tool, request: Request, names: Names, lost: Loss) -> Block:
    if tool.kind == "custom":
        if custom.in_grammar(tool):
            lost.add("tools.format")
        tool = custom.as_function(tool)
    block: Block = {"name": names.send(tool.name)}
    if tool.description:
        block["description"] = tool.description
    block["input_schema"] = objectified(tool.schema)
    block |= tool.extra.get(NAME, {})
    if request.format == NAME and tool.strict is not None:
        block["strict"] = tool.strict
    elif tool.strict:
        lost.add("tools.strict")  # Anthropic's asks more of a schema than OpenAI's
    if isinstance(tool.cache, dict):
        block["cache_control"] = tool.cache
    return block


def _hosted(hosted: Hosted) -> Block | None:
    own = hosted.extra.get(NAME)
    if isinstance(own, dict):
        return dict(own)
    if hosted.kind != "web_search":
        return None
    tool: Block = {"type": "web_search_20250305", "name": "web_search"}
    for name, value in (
        ("max_uses", hosted.max_uses),
        ("allowed_domains", hosted.allowed_domains),
        ("blocked_domains", hosted.blocked_domains),
        ("user_location", hosted.location),
    ):
        if value:
            tool[name] = value
    return tool


def _choice(request: Request, names: Names, lost: Loss) -> Block:
    choice = request.choice
    if choice is None:
        return {"type": "auto", "disable_parallel_tool_use": True} if request.parallel is False else {}
    if choice.mode == "none":
        return {"type": "none"}
    said: Block = {"type": "any" if choice.mode == "required" else "auto"}
    if _single(choice):
        name = _chosen(choice.names[0], request, names)
        if name:
            said = {"type": "tool", "name": name}
        else:
            lost.add("tool_choice")
            said = {"type": "auto"}
    if request.parallel is not None:
        said["disable_parallel_tool_use"] = not request.parallel
    return said


def _chosen(name: str, request: Request, names: Names) -> str:
    """What the vendor calls the tool; "" where it is not shown one of that name."""
    if any(tool.name == name for tool in request.tools):
        return names.send(name)
    for hosted in request.hosted:
        own = _hosted(hosted) if name in (hosted.name, hosted.kind) else None
        if own is not None:
            return str(own.get("name") or name)
    return ""


def _think(request: Request, target: Target, members: Block, lost: Loss) -> bool:
    """`thinking` and `output_config`, as far as `max_tokens` and a forced tool leave room; whether it is on."""
    config: Block = {}
    reasoning = request.reasoning
    thinks = False
    if reasoning is not None and (reasoning.level or reasoning.budget is not None):
        thinking = _thinking(reasoning, target, members["max_tokens"])
        forced = request.choice is not None and request.choice.mode == "required"
        if thinking is None or (forced and thinking["type"] != "disabled") or _unthought(thinking, members["messages"]):
            lost.add(_name(request))
        else:
            members["thinking"] = thinking
            thinks = thinking["type"] != "disabled"
            if thinking["type"] == "adaptive":
                config["effort"] = _effort(reasoning, target)
            elif thinks and 0 < (reasoning.budget or 0) < _LEAST_BUDGET:
                lost.add(_name(request))
    output = request.output
    if output is not None and output.kind == "schema" and isinstance(output.schema, dict):
        config["format"] = {"type": "json_schema", "schema": output.schema}
    elif output is not None and output.kind != "text":
        lost.add("response_format")
    if config:
        members["output_config"] = config
    return thinks


def _name(request: Request) -> str:
    return _THINKING.get(request.format, "thinking")


def _thinking(reasoning: Reasoning, target: Target, most: int) -> Block | None:
    """None where `max_tokens` leaves no room for it."""
    if reasoning.level == "none" or reasoning.budget == 0:
        return {"type": "disabled"}
    thinking: Block
    if target.levels:
        thinking = {"type": "adaptive"}
    else:
        if most <= _LEAST_BUDGET:
            return None
        budget = reasoning.budget if reasoning.budget is not None and reasoning.budget > 0 else most // 2
        thinking = {"type": "enabled", "budget_tokens": max(_LEAST_BUDGET, min(budget, most - 1))}
    if reasoning.summary:
        thinking["display"] = "omitted" if reasoning.summary == "none" else "summarized"
    return thinking


def _unthought(thinking: Block, messages: list[Block]) -> bool:
    """Whether the conversation stands in the middle of calls that began without thinking, as they do where the client
    cannot keep what Anthropic has signed, or another vendor made them. To a budget Anthropic answers 400 then."""
    if thinking["type"] != "enabled":
        return False
    for message in reversed(messages):
        if message["role"] == "assistant":
            if message["content"][0]["type"] in ("thinking", "redacted_thinking"):
                return False
        elif all(block["type"] != "tool_result" for block in message["content"]):
            return message is not messages[-1]
    return any(message["role"] == "assistant" for message in messages)


def _effort(reasoning: Reasoning, target: Target) -> str:
    """By what was asked, which the budget still tells (`wire.thinking.fit`)."""
    asked = reasoning.budget
    if asked == -1 and "high" in target.levels:
        return "high"
    if asked is not None and asked >= 32768 and "max" in target.levels and reasoning.level not in ("xhigh", "max"):
        return "max"
    return _EFFORTS.get(reasoning.level, reasoning.level)


def _sample(request: Request, thinks: bool, members: Block, lost: Loss) -> None:
    """Thinking forbids other temperatures than 1 and `top_k`; a temperature above 1 is not one."""
    temperature, top_p, top_k = request.temperature, request.top_p, request.top_k
    if temperature is not None and not 0 <= temperature <= 1:
        lost.add("temperature")
        temperature = min(max(temperature, 0.0), 1.0)
    if thinks:
        if temperature is not None and temperature != 1:
            lost.add("temperature")
            temperature = None
        if top_p is not None and top_p < _LEAST_TOP_P:
            lost.add("top_p")
            top_p = None
        if top_k is not None:
            lost.add("top_k")
            top_k = None
    stop = [text for text in request.stop if text and not text.isspace()]  # Anthropic refuses blank ones
    if len(stop) < len(request.stop):
        lost.add("stop")
    for name, value in (("temperature", temperature), ("top_p", top_p), ("top_k", top_k), ("stop_sequences", stop)):
        if value is not None and value != []:
            members[name] = value


def _ask(request: Request, members: Block, lost: Loss) -> None:
    """Who asks, how it is served, and what this format has no word for."""
    if request.user:
        members["metadata"] = {"user_id": request.user}
    if request.tier in _TIERS:
        members["service_tier"] = _TIERS[request.tier]
    for name, value in (
        ("service_tier", request.tier not in ("", "auto", "default")),
        ("n", request.n is not None and request.n > 1),
        ("modalities", request.modalities not in ([], ["text"])),
        ("seed", request.seed is not None),
        ("presence_penalty", request.presence_penalty),
        ("frequency_penalty", request.frequency_penalty),
        ("logprobs", request.logprobs),
        ("top_logprobs", request.top_logprobs),
        ("verbosity", request.verbosity),
        ("image_config", request.image),
        ("metadata", request.metadata),
        ("prompt_cache_key", request.cache_key),
    ):
        if value:
            lost.add(name)
    for name in request.unread:
        lost.add(name)
    _rest(request, members, lost)


def _rest(request: Request, members: Block, lost: Loss) -> None:
    for name, value in request.rest.items():
        if request.format != NAME:
            lost.add(name)
            continue
        parent, _, child = name.partition(".")
        if child and parent in _NESTED:
            members.setdefault(parent, {})[child] = value
        else:
            members[name] = value
