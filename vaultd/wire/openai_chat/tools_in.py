"""A client's tools and what it says of their use."""

from __future__ import annotations

import re
from typing import Any, Final

from vaultd.wire import expected
from vaultd.wire.ir import Choice, Hosted, Tool
from vaultd.wire.refusal import Refusal

_SNAKE: Final = re.compile(r"_([a-z])")
_WEB_SEARCH: Final = "web_search"


def read_tools(said: dict[str, Any]) -> tuple[list[Tool], list[Hosted]]:
    tools: list[Tool] = []
    hosted: list[Hosted] = []
    for at, item in enumerate(expected.array(said.get("tools"), "tools")):
        name = f"tools[{at}]"
        tool = expected.mapping(item, name)
        kind = tool.get("type")
        if kind == "function" or (kind is None and isinstance(tool.get("function"), dict)):
            tools.append(_function(tool, name))
        elif kind == "custom":
            tools.append(_custom(tool, name))
        else:
            hosted.append(_hosted(tool, name))
    for at, function in enumerate(expected.array(said.get("functions"), "functions")):
        tools.append(_function(expected.mapping(function, f"functions[{at}]"), f"functions[{at}]"))
    options = said.get("web_search_options")
    if options is not None:
        location = expected.mapping(options, "web_search_options").get("user_location")
        hosted.append(Hosted(kind=_WEB_SEARCH, location=_location(location)))
    return tools, hosted


def _function(said: dict[str, Any], name: str) -> Tool:
    """Some clients leave the inner object out, as Responses does."""
    inner = said.get("function")
    if inner is None:
        inner = said
    else:
        name = f"{name}.function"
    inner = expected.mapping(inner, name)
    parameters = inner.get("parameters")
    return Tool(
        name=_named(inner, name),
        description=expected.text(inner.get("description"), f"{name}.description"),
        schema=None if parameters is None else expected.mapping(parameters, f"{name}.parameters"),
        strict=expected.flag(inner.get("strict"), f"{name}.strict"),
        cache=said.get("cache_control"),
    )


def _custom(said: dict[str, Any], name: str) -> Tool:
    inner = expected.mapping(said.get("custom") or said, f"{name}.custom")
    form = inner.get("format")
    if isinstance(form, dict) and isinstance(form.get("grammar"), dict):
        form = {"type": form.get("type", "grammar"), **form["grammar"]}
    return Tool(
        name=_named(inner, f"{name}.custom"),
        description=expected.text(inner.get("description"), f"{name}.custom.description"),
        kind="custom",
        grammar=form,
    )


def _named(said: dict[str, Any], name: str) -> str:
    found = expected.text(said.get("name"), f"{name}.name")
    if not found:
        raise Refusal(400, "bad-request", f"'{name}.name' is missing")
    return found


def _hosted(said: dict[str, Any], name: str) -> Hosted:
    """Chat has no hosted tools: with a type it is Responses' declaration, without one Google's, in snake case."""
    kind = expected.text(said.get("type"), f"{name}.type")
    if not kind:
        return _google(said, name)
    if not kind.startswith(_WEB_SEARCH):
        return Hosted(kind=kind, name=expected.text(said.get("name"), f"{name}.name"), extra={"openai-responses": said})
    filters = expected.mapping(said.get("filters"), f"{name}.filters")
    return Hosted(
        kind=_WEB_SEARCH,
        name=expected.text(said.get("name"), f"{name}.name"),
        allowed_domains=_domains(filters.get("allowed_domains"), f"{name}.filters.allowed_domains"),
        blocked_domains=_domains(filters.get("blocked_domains"), f"{name}.filters.blocked_domains"),
        location=_location(said.get("user_location")),
        max_uses=expected.integer(said.get("max_uses"), f"{name}.max_uses"),
        extra={"openai-responses": said},
    )


def _google(said: dict[str, Any], name: str) -> Hosted:
    """`{google_search: {}}`."""
    found = next((key for key, value in said.items() if isinstance(value, dict)), None)
    if found is None:
        raise Refusal(400, "bad-request", f"'{name}.type' is missing")
    camel = _SNAKE.sub(lambda letter: letter[1].upper(), found)
    kind = re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), camel)
    kind = _WEB_SEARCH if kind == "google_search" else kind
    return Hosted(kind=kind, extra={"gemini": {camel: said[found]}})


def _location(value: Any) -> Any:
    """Chat wraps the place in `approximate`, the others do not."""
    if isinstance(value, dict) and isinstance(value.get("approximate"), dict):
        return {"type": "approximate", **value["approximate"]}
    return value


def _domains(value: Any, name: str) -> list[str]:
    return [expected.text(item, name) for item in expected.array(value, name)]


def read_choice(said: dict[str, Any]) -> Choice | None:
    value = said.get("tool_choice")
    if value is None:
        value = said.get("function_call")
    if value is None:
        return None
    if isinstance(value, str):
        if value in ("auto", "none"):
            return Choice(mode="auto" if value == "auto" else "none")
        if value in ("required", "any"):  # `any` is Mistral's
            return Choice(mode="required")
        raise Refusal(400, "bad-request", "'tool_choice' is none of none, auto and required")
    chosen = expected.mapping(value, "tool_choice")
    if chosen.get("type") == "allowed_tools":
        inner = expected.mapping(chosen.get("allowed_tools") or chosen, "tool_choice.allowed_tools")
        tools = expected.array(inner.get("tools"), "tool_choice.allowed_tools.tools")
        names = tuple(_chosen(expected.mapping(tool, "tool_choice.allowed_tools.tools")) for tool in tools)
        return Choice(mode="required" if inner.get("mode") == "required" else "auto", names=names)
    return Choice(mode="required", names=(_chosen(chosen),))


def _chosen(said: dict[str, Any]) -> str:
    """The name of a function or custom tool; a hosted one goes by its type."""
    kind = said.get("type")
    inner = said.get(kind) if kind in ("function", "custom") else said.get("function")
    name = (inner if isinstance(inner, dict) else said).get("name") or kind
    if not isinstance(name, str) or not name or name in ("function", "custom"):
        raise Refusal(400, "bad-request", "'tool_choice' names no tool")
    return _WEB_SEARCH if name.startswith(_WEB_SEARCH) and name == kind else name
