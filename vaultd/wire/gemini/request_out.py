"""A request, written for a Gemini vendor."""

from __future__ import annotations

from typing import Any, Final

from vaultd.wire import custom
from vaultd.wire.gemini.contents_out import contents_of
from vaultd.wire.ir import Choice, Hosted, Reasoning, Request, Target, Tool
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names, google
from vaultd.wire.schema import for_gemini, objectified

#: Google's limit; more is a refusal.
_STOPS: Final = 5
_IMAGE: Final = {"aspect_ratio": "aspectRatio", "image_size": "imageSize"}


def write_request(request: Request, target: Target, lost: Loss) -> tuple[dict[str, Any], Names]:
    names = Names.of(request, google, customs=False)
    members: dict[str, Any] = {}
    system, contents = contents_of(request, names, lost)
    if system:
        members["systemInstruction"] = {"parts": system}
    members["contents"] = contents
    tools = _tools(request, names, lost)
    if tools:
        members["tools"] = tools
    choice = _choice(request, names, lost)
    if choice:
        members["toolConfig"] = {"functionCallingConfig": choice}
    config = _config(request, target, lost)
    if config:
        members["generationConfig"] = config
    _rest(request, members, lost)
    return members, names


def _tools(request: Request, names: Names, lost: Loss) -> list[dict[str, Any]]:
    """One kind of tool in an element: Google refuses two."""
    declared = [_declared(tool, names, lost) for tool in request.tools]
    tools: list[dict[str, Any]] = [{"functionDeclarations": declared}] if declared else []
    for hosted in request.hosted:
        own = _own(hosted)
        if own is None:
            lost.add(hosted.kind)
        else:
            tools.append(own)
            if hosted.kind == "web_search" and "gemini" not in hosted.extra:
                _search_limits(hosted, lost)
    return tools


def _declared(tool: Tool, names: Names, lost: Loss) -> dict[str, Any]:
    if tool.strict:
        lost.add("tools.strict")
    if tool.kind == "custom":
        if custom.in_grammar(tool):
            lost.add("tools.format")
        tool = custom.as_function(tool)
    declared: dict[str, Any] = {"name": names.send(tool.name)}
    if tool.description:
        declared["description"] = tool.description
    declared["parametersJsonSchema"] = for_gemini(objectified(tool.schema))
    return declared


def _own(hosted: Hosted) -> dict[str, Any] | None:
    """Google's own declaration. Chat clients write Google's tools under Google's names, in snake_case."""
    if isinstance(own := hosted.extra.get("gemini"), dict):
        return own
    if hosted.kind == "web_search":
        return {"googleSearch": {}}
    if hosted.kind in ("code_execution", "url_context") and hosted.extra.keys() <= {"openai-chat"}:
        return {"codeExecution" if hosted.kind == "code_execution" else "urlContext": {}}
    return None


def _search_limits(hosted: Hosted, lost: Loss) -> None:
    for name, value in (
        ("allowed_domains", hosted.allowed_domains),
        ("blocked_domains", hosted.blocked_domains),
        ("user_location", hosted.location),
        ("max_uses", hosted.max_uses),
    ):
        if value:
            lost.add(f"web_search.{name}")


def _choice(request: Request, names: Names, lost: Loss) -> dict[str, Any] | None:
    """Of functions alone: Google's own tools are always at the model's choice."""
    if request.parallel is False and request.tools:
        lost.add("parallel_tool_calls")
    choice = request.choice
    if choice is None or not request.tools:
        if choice is not None and choice.mode == "required":
            lost.add("tool_choice")
        return None
    declared = {tool.name for tool in request.tools}
    allowed = [names.send(name) for name in choice.names if name in declared]
    if choice.names and not allowed:
        lost.add("tool_choice")
        return None
    calling: dict[str, Any] = {"mode": _mode(choice, bool(allowed))}
    if allowed:
        calling["allowedFunctionNames"] = allowed
    return calling


def _mode(choice: Choice, limited: bool) -> str:
    """AUTO takes no names; VALIDATED is AUTO with them."""
    if choice.mode == "auto":
        return "VALIDATED" if limited else "AUTO"
    return "ANY" if choice.mode == "required" else "NONE"


def _config(request: Request, target: Target, lost: Loss) -> dict[str, Any]:
    stop = request.stop
    if len(stop) > _STOPS:
        lost.add("stop")
        stop = stop[:_STOPS]
    most = request.max_output
    if most is not None and target.max_output:
        most = min(most, target.max_output)
    config: dict[str, Any] = {
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "maxOutputTokens": most,
        "stopSequences": stop or None,
        "candidateCount": request.n,
        "seed": request.seed,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
        "responseModalities": [name.upper() for name in request.modalities] or None,
        "imageConfig": {_IMAGE[name]: value for name, value in request.image.items() if name in _IMAGE} or None,
        "thinkingConfig": _thinking(request.reasoning, target) if request.reasoning else None,
    }
    output = request.output
    if output is not None:
        config["responseMimeType"] = "text/plain" if output.kind == "text" else "application/json"
        if output.kind == "schema":
            config["responseJsonSchema"] = for_gemini(output.schema)
    return {name: value for name, value in config.items() if value is not None}


def _thinking(reasoning: Reasoning, target: Target) -> dict[str, Any] | None:
    """`reasoning` fits the target already. Thoughts are asked for, since every client's format can show them, but where
    there are none or the client wants none."""
    config: dict[str, Any] = {}
    level, budget = reasoning.level, reasoning.budget
    off = level == "none" if target.levels else budget == 0
    if off:
        return {"thinkingBudget": 0}
    if target.levels:
        if level and level != "auto":
            config["thinkingLevel"] = level
    elif budget is not None:
        config["thinkingBudget"] = budget
    elif level:
        config["thinkingLevel"] = level
    config["includeThoughts"] = reasoning.summary != "none"
    return config


def _rest(request: Request, members: dict[str, Any], lost: Loss) -> None:
    for name in request.unread:
        lost.add(name)
    for name, value in request.rest.items():
        if request.format != "gemini":
            lost.add(name)
            continue
        parent, _, child = name.rpartition(".")
        if parent:
            members.setdefault(parent, {})[child] = value
        else:
            members[name] = value
    if request.tier and request.format == "gemini":
        members["serviceTier"] = {"default": "standard"}.get(request.tier, request.tier)
    elif request.tier not in ("", "auto", "default"):
        lost.add("service_tier")
    for name, said in (
        ("logprobs", request.logprobs),
        ("top_logprobs", request.top_logprobs),
        ("verbosity", request.verbosity),
        ("user", request.user),
        ("prompt_cache_key", request.cache_key),
        ("metadata", request.metadata),
    ):
        if said:
            lost.add(name)
