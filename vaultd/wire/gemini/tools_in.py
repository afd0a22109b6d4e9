"""A Gemini client's tools, and which of them are to be called."""

from __future__ import annotations

from typing import Any, Final, Literal

from vaultd.wire.gemini.openapi import as_json_schema
from vaultd.wire.gemini.spelling import camel, listed, snake, structure, text, texts, wrong
from vaultd.wire.ir import Choice, Hosted, Request, Tool

#: All of these look things up in Google's index of the web.
_SEARCHES: Final = frozenset({"googleSearch", "googleSearchRetrieval", "enterpriseWebSearch"})
_DECLARED: Final = frozenset({"name", "description", "parameters", "parametersJsonSchema"})
#: VALIDATED is AUTO whose calls are held to their schema.
_MODES: Final[dict[str, Literal["auto", "none", "required"]]] = {
    "auto": "auto",
    "validated": "auto",
    "any": "required",
    "none": "none",
}


def read_tools(given: Any, request: Request) -> None:
    for element in [given] if isinstance(given, dict) else listed(given, "tools"):
        for name, value in structure(element, "tools[]").items():
            if name == "functionDeclarations":
                request.tools += [_tool(one, request.unread) for one in listed(value, name)]
            elif value is not None:
                request.hosted.append(_hosted(name, value))


def _tool(given: Any, unread: list[str]) -> Tool:
    declared = structure(given, "functionDeclarations[]")
    name = text(declared.get("name"), "functionDeclarations[].name")
    if not name:
        raise wrong("functionDeclarations[].name", "a name")
    unread += [f"functionDeclarations.{key}" for key, value in declared.items() if key not in _DECLARED and value]
    schema = declared.get("parametersJsonSchema")
    if schema is None:
        schema = declared.get("parameters")
    description = text(declared.get("description"), "functionDeclarations[].description")
    # Clients write OpenAPI's upper-case types into either.
    return Tool(name=name, description=description, schema=as_json_schema(schema))


def _hosted(name: str, value: Any) -> Hosted:
    extra = {"gemini": {name: value}}
    if name not in _SEARCHES:
        return Hosted(kind=snake(name), extra=extra)
    settings = camel(value) if isinstance(value, dict) else {}
    return Hosted(
        kind="web_search",
        blocked_domains=texts(settings.get("excludeDomains"), f"{name}.excludeDomains"),
        extra=extra,
    )


def read_choice(given: Any, request: Request) -> None:
    config = structure(given, "toolConfig")
    for name, value in config.items():
        if name != "functionCallingConfig" and value is not None:
            request.rest[f"toolConfig.{name}"] = value
    calling = structure(config.get("functionCallingConfig"), "functionCallingConfig")
    mode = _MODES.get(text(calling.get("mode"), "functionCallingConfig.mode").lower())
    if mode is not None:
        names = texts(calling.get("allowedFunctionNames"), "allowedFunctionNames")
        request.choice = Choice(mode=mode, names=tuple(names))
