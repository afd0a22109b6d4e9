"""A client's request read into the representation. A member of the wrong type is a 400 that names it."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from vaultd.wire import turns
from vaultd.wire.anthropic_messages.blocks_in import Misread, block_in, object_of, system_texts, text_of
from vaultd.wire.anthropic_messages.face import NAME
from vaultd.wire.ir import Choice, Extra, Hosted, Output, Part, Reasoning, Request, Role, Text, Tool, Turn
from vaultd.wire.refusal import Refusal

#: What says nothing to another vendor: its model and stream are given apart, betas are a header in the body, and
#: the cache is told per block.
_KNOWN: Final = frozenset(
    {"model", "stream", "betas", "cache_control", "messages", "system", "tools", "tool_choice", "max_tokens"}
    | {"temperature", "top_p", "top_k", "stop_sequences", "thinking", "output_config", "output_format", "metadata"}
    | {"service_tier", "speed"}
)
_ROLES: Final[dict[str, Role]] = {"user": "user", "assistant": "assistant", "system": "system"}
_TOOL: Final = frozenset({"name", "description", "input_schema", "type", "cache_control", "strict"})
#: A typed tool's name without the day it is of: `bash_20250124`.
_DATED: Final = re.compile(r"_\d{8}$")
_SEES: Final = {"summarized": "auto", "omitted": "none"}
_TIERS: Final = {"standard_only": "default"}


def read_request(body: bytes, *, model: str, stream: bool) -> Request:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "bad-request", "the body is not JSON") from None
    try:
        return turns.settle(_request(object_of({"body": said}, "body") or {}, model, stream))
    except Misread as wrong:
        raise Refusal(400, "bad-request", f"{wrong}: not of the type that it has to be") from None


def _request(said: dict[str, Any], model: str, stream: bool) -> Request:
    request = Request(format=NAME, model=model, stream=stream)
    request.system = system_texts(said.get("system"), "system")
    _conversation(said, request)
    _tools(said, request)
    request.max_output = _number(said, "max_tokens", int)
    request.temperature = _number(said, "temperature", float)
    request.top_p = _number(said, "top_p", float)
    request.top_k = _number(said, "top_k", int)
    request.stop = _texts(said, "stop_sequences")
    _thought(said, request)
    metadata = object_of(said, "metadata") or {}
    request.user = text_of(metadata, "user_id", "metadata.user_id")
    request.rest |= {f"metadata.{name}": value for name, value in metadata.items() if name != "user_id"}
    tier = text_of(said, "service_tier")
    request.tier = "priority" if text_of(said, "speed") == "fast" else _TIERS.get(tier, tier)
    request.rest |= {name: value for name, value in said.items() if name not in _KNOWN and value is not None}
    return request


def _conversation(said: dict[str, Any], request: Request) -> None:
    messages = said.get("messages")
    if not isinstance(messages, list):
        raise Misread("messages")
    said_so_far = request.turns
    for at, message in enumerate(messages):
        role = _ROLES.get(str(message.get("role"))) if isinstance(message, dict) else None
        if role is None:
            raise Misread(f"messages.{at}.role")
        content = message.get("content")
        if role != "system":
            said_so_far.append(Turn(role, _parts(content, at, request.unread)))
            continue
        texts = system_texts(content, f"messages.{at}.content")
        if request.turns:
            request.turns.append(Turn("system", [*texts], anchored=True))
        else:
            request.system += texts


def _parts(content: Any, turn: int, unread: list[str]) -> list[Part]:
    if isinstance(content, str):
        return [Text(content)] if content and not content.isspace() else []
    if not isinstance(content, list):
        raise Misread(f"messages.{turn}.content")
    parts: list[Part] = []
    for at, block in enumerate(content):
        try:
            block_in(block, parts, unread)
        except Misread as wrong:
            raise Misread(f"messages.{turn}.content.{at}.{wrong}") from None
    return parts


def _tools(said: dict[str, Any], request: Request) -> None:
    tools = said.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise Misread("tools")
    for at, tool in enumerate(tools or ()):
        try:
            _tool(tool, request)
        except Misread as wrong:
            raise Misread(f"tools.{at}.{wrong}") from None
    choice = object_of(said, "tool_choice")
    if choice is None:
        return
    alone = choice.get("disable_parallel_tool_use")
    if alone is not None:
        request.parallel = not alone
    match choice.get("type"):
        case "auto":
            request.choice = Choice(mode="auto")
        case "any":
            request.choice = Choice(mode="required")
        case "none":
            request.choice = Choice(mode="none")
        case "tool":
            request.choice = Choice(mode="required", names=(text_of(choice, "name", "tool_choice.name"),))
        case _:
            raise Misread("tool_choice.type")


def _tool(tool: Any, request: Request) -> None:
    if not isinstance(tool, dict):
        raise Misread("type")
    kind, name = text_of(tool, "type"), text_of(tool, "name")
    if kind in ("", "custom"):
        if not name:
            raise Misread("name")
        extra: Extra = {}
        if not _TOOL.issuperset(tool):
            extra = {key: value for key, value in tool.items() if key not in _TOOL}
        strict = tool.get("strict")
        request.tools.append(
            Tool(
                name=name,
                description=text_of(tool, "description"),
                schema=tool.get("input_schema"),
                strict=strict if isinstance(strict, bool) else None,
                cache=tool.get("cache_control"),
                extra={NAME: extra} if extra else {},
            )
        )
    elif kind.startswith("web_search"):
        request.hosted.append(
            Hosted(
                kind="web_search",
                name=name,
                allowed_domains=_texts(tool, "allowed_domains"),
                blocked_domains=_texts(tool, "blocked_domains"),
                location=tool.get("user_location"),
                max_uses=_number(tool, "max_uses", int),
                extra={NAME: tool},
            )
        )
    else:
        request.hosted.append(Hosted(kind=_DATED.sub("", kind), name=name, extra={NAME: tool}))


def _thought(said: dict[str, Any], request: Request) -> None:
    """`thinking` and `output_config`. Where thinking is on, Anthropic shows it unless it is told not to."""
    thinking, config = object_of(said, "thinking") or {}, object_of(said, "output_config") or {}
    effort = text_of(config, "effort", "output_config.effort")
    sees = _SEES.get(text_of(thinking, "display", "thinking.display"), "auto")
    match thinking.get("type"):
        case "enabled":
            budget = _number(thinking, "budget_tokens", int)
            if budget is not None and budget < 0:
                raise Misread("thinking.budget_tokens")
            level = "auto" if budget is None else ""
            request.reasoning = Reasoning(level=level, budget=budget, summary=sees)
        case "adaptive":
            request.reasoning = Reasoning(level=effort or "xhigh", summary=sees)
        case "disabled":
            request.reasoning = Reasoning(level="none")
        case None:
            request.reasoning = Reasoning(level=effort) if effort else None
        case _:
            raise Misread("thinking.type")
    form = object_of(config, "format", "output_config.format") or object_of(said, "output_format") or {}
    if form.get("type") == "json_schema":
        request.output = Output(kind="schema", schema=form.get("schema"))
    for name, value in config.items():
        if name not in ("effort", "format"):
            request.rest[f"output_config.{name}"] = value


def _number(said: dict[str, Any], name: str, kind: type[Any]) -> Any:
    value = said.get(name)
    if value is None:
        return None
    if type(value) is int or (kind is float and type(value) is float):
        return kind(value)
    if type(value) is float and value.is_integer():
        return int(value)
    raise Misread(name)


def _texts(said: dict[str, Any], name: str) -> list[str]:
    value = said.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Misread(name)
    return value
