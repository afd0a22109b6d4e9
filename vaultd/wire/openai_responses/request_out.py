"""A request, written for a vendor of this format: api.openai.com, the ChatGPT Codex backend and their likes.

What the Codex backend refuses of it is taken out by its hook (R7); here stands what the format has.
"""

from __future__ import annotations

from typing import Any, Final

from vaultd.wire.ir import Choice, Hosted, Output, Request, Target, Text, Tool
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names, plain
from vaultd.wire.openai_responses.items_out import Items
from vaultd.wire.schema import objectified

_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority"})
#: OpenAI refuses more; Claude Code's `user_id` is over twice as long.
_LONGEST_USER: Final = 64
#: Signs in `rest` that are no members.
_SIGNS: Final = frozenset({"compaction_trigger", "item_reference"})


def write_request(request: Request, target: Target, lost: Loss) -> tuple[dict[str, Any], Names]:
    """The body's members and the tools' names in it. `request.reasoning` is fitted to `target` already."""
    names = Names.of(request, plain, customs=True)
    items = Items(names, lost)
    members: dict[str, Any] = {"model": target.model}
    told: list[Text] = []
    for text in request.system:
        if text.extra.get("openai-responses", {}).get("instructions") and "instructions" not in members:
            members["instructions"] = text.text
        else:
            told.append(text)
    items.system(told)
    for turn in request.turns:
        items.turn(turn)
    members["input"] = items.written
    if tools := _tools(request, names, lost):
        members["tools"] = tools
        if request.choice is not None:
            members["tool_choice"] = _choice(request.choice, request, names)
        if request.parallel is not None:
            members["parallel_tool_calls"] = request.parallel
    if target.thinks or request.reasoning is not None:
        members["reasoning"] = _reasoning(request)
    if target.thinks is not False:
        members["include"] = ["reasoning.encrypted_content"]
    members["store"] = False
    members["stream"] = request.stream
    _parameters(request, members, lost)
    _missing(request, members, lost)
    return members, names


def _reasoning(request: Request) -> dict[str, str]:
    """Of a model that thinks: nothing said is medium (Codex's own default), and what it thinks is shown unless the
    client minds."""
    asked = request.reasoning
    level = asked.level if asked is not None else ""
    if level == "none":
        return {"effort": level}
    told = {"effort": level if level not in ("", "auto") else "medium"}
    summary = (asked.summary if asked is not None else "") or "auto"
    if summary != "none":
        told["summary"] = summary
    return told


def _parameters(request: Request, members: dict[str, Any], lost: Loss) -> None:
    text: dict[str, Any] = {}
    if request.output is not None:
        text["format"] = _format(request.output)
    if request.verbosity:
        text["verbosity"] = request.verbosity
    user = request.user
    if len(user) > _LONGEST_USER:
        lost.add("user")
        user = ""
    told = {
        "text": text or None,
        "max_output_tokens": request.max_output,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "user": user or None,
        "prompt_cache_key": request.cache_key or None,
    }
    members |= {name: value for name, value in told.items() if value is not None}
    if request.tier in _TIERS:
        members["service_tier"] = request.tier
    elif request.tier:
        lost.add("service_tier")
    if _is_metadata(request.metadata):
        members["metadata"] = request.metadata
    elif request.metadata is not None:
        lost.add("metadata")


def _missing(request: Request, members: dict[str, Any], lost: Loss) -> None:
    """What the format has no place for."""
    told = {
        "top_k": request.top_k is not None,
        "stop": request.stop,
        "seed": request.seed is not None,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "logprobs": request.logprobs or request.top_logprobs,
        "image_config": request.image,
        "modalities": [kind for kind in request.modalities if kind != "text"],
        "n": (request.n or 1) > 1,
    }
    for name in [name for name, said in told.items() if said]:
        lost.add(name)
    own = request.format == "openai-responses"
    for name, value in request.rest.items():
        if own and name not in _SIGNS:
            members[name] = value
        elif not own:
            lost.add(name)
    for name in request.unread:
        lost.add(name)


def _is_metadata(value: Any) -> bool:
    """Texts by name, as the API demands."""
    return isinstance(value, dict) and all(isinstance(said, str) for said in value.values())


def _format(output: Output) -> dict[str, Any]:
    if output.kind == "text":
        return {"type": "text"}
    if output.kind == "json":
        return {"type": "json_object"}
    form: dict[str, Any] = {"type": "json_schema", "name": plain(output.name) if output.name else "response"}
    if output.description:
        form["description"] = output.description
    form["schema"] = output.schema if isinstance(output.schema, dict) else {}
    if output.strict is not None:
        form["strict"] = output.strict
    return form


def _tools(request: Request, names: Names, lost: Loss) -> list[dict[str, Any]]:
    tools = [_tool(tool, request, names, lost) for tool in request.tools]
    for hosted in request.hosted:
        declared = _hosted(hosted, lost)
        if declared is not None:
            tools.append(declared)
    return tools


def _tool(tool: Tool, request: Request, names: Names, lost: Loss) -> dict[str, Any]:
    told: dict[str, Any] = {"type": tool.kind, "name": names.send(tool.name)}
    if tool.description:
        told["description"] = tool.description
    if tool.kind == "custom":
        if tool.grammar is not None:
            told["format"] = tool.grammar
        return told
    told["parameters"] = objectified(tool.schema)
    # Said, for the API takes silence for true and then refuses a schema with optional properties.
    told["strict"] = bool(tool.strict) and request.format != "anthropic-messages"
    if tool.strict and not told["strict"]:
        lost.add("tools.strict")  # Anthropic's lets properties be optional, which this one refuses
    return told


def _hosted(hosted: Hosted, lost: Loss) -> dict[str, Any] | None:
    declared: dict[str, Any] | None = hosted.extra.get("openai-responses")
    if hosted.kind != "web_search":
        if declared is None:
            lost.add(hosted.name or hosted.kind)
        return declared
    if declared is not None:
        return {**declared, "type": "web_search"}
    told: dict[str, Any] = {"type": "web_search"}
    if hosted.allowed_domains:
        told["filters"] = {"allowed_domains": hosted.allowed_domains}
    if isinstance(hosted.location, dict):
        told["user_location"] = _location(hosted.location)
    if hosted.blocked_domains:
        lost.add("web_search.blocked_domains")
    if hosted.max_uses is not None:
        lost.add("web_search.max_uses")
    return told


def _location(location: dict[str, Any]) -> dict[str, Any]:
    """Chat puts the place a level deeper."""
    place = location.get("approximate")
    return {"type": "approximate", **place} if isinstance(place, dict) else location


def _choice(choice: Choice, request: Request, names: Names) -> Any:
    if choice.mode == "none" or not choice.names:
        return choice.mode
    chosen = [_chosen(name, request, names) for name in choice.names]
    if choice.mode == "required" and len(chosen) == 1:
        return chosen[0]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": chosen}


def _chosen(name: str, request: Request, names: Names) -> dict[str, str]:
    tool = next((tool for tool in request.tools if tool.name == name), None)
    if tool is None:
        hosted = next((hosted for hosted in request.hosted if name in (hosted.name, hosted.kind)), None)
        if hosted is not None:
            return {"type": hosted.kind}
    return {"type": tool.kind if tool else "function", "name": names.send(name)}
