"""Tools as a client declares them: in `tools`, in an input item (Codex's lite models), or in a namespace."""

from __future__ import annotations

from typing import Any, Final, Literal

from vaultd.wire import expected
from vaultd.wire.ir import Choice, Hosted, Request, Tool

#: `web_search_preview`, `web_search_preview_2025_03_11`, `web_search_2025_08_26`, …
_SEARCH: Final = "web_search"
_BETWEEN: Final = "__"


def hosted_kind(kind: str) -> str:
    """All names of the web search are one."""
    return _SEARCH if kind.startswith(_SEARCH) else kind


def full_name(name: str, namespace: str) -> str:
    """A tool in a namespace, as every other format knows it. A tool that a search found has its own name for one."""
    return namespace + _BETWEEN + name if namespace and namespace != name else name


class Tools:
    """Adds to a request's tools. Of two with one name the later counts, in the place of the first."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._places: dict[str, int] = {}

    def declare(self, tools: list[Any], where: str, namespace: str = "") -> None:
        for at, tool in enumerate(tools):
            self._one(expected.mapping(tool, f"{where}[{at}]"), f"{where}[{at}]", namespace)

    def called(self, name: str, namespace: str) -> str:
        """The full name of a tool in the history: a namespace that nobody declared may be left out."""
        full = full_name(name, namespace)
        return name if full not in self._places and name in self._places else full

    def _one(self, tool: dict[str, Any], where: str, namespace: str) -> None:
        kind = expected.text(tool.get("type"), f"{where}.type") or "function"
        if kind == "namespace":
            name = expected.text(tool.get("name"), f"{where}.name")
            self.declare(expected.array(tool.get("tools"), f"{where}.tools"), f"{where}.tools", name)
        elif kind == "function" and isinstance(tool.get("function"), dict):  # chat's shape, which some clients send
            self._add("function", tool["function"], f"{where}.function", namespace)
        elif kind in ("function", "custom"):
            self._add("custom" if kind == "custom" else "function", tool, where, namespace)
        elif hosted_kind(kind) == _SEARCH:
            self._request.hosted.append(_search(tool, where))
        else:
            self._request.hosted.append(Hosted(kind=kind, name=kind, extra={"openai-responses": tool}))

    def _add(self, kind: Literal["function", "custom"], tool: dict[str, Any], where: str, namespace: str) -> None:
        name = expected.text(tool.get("name"), f"{where}.name")
        if not name:
            raise expected.wrong(f"{where}.name", "a tool's name")
        added = Tool(
            name=full_name(name, namespace),
            description=expected.text(tool.get("description"), f"{where}.description"),
            schema=tool.get("parameters") if kind == "function" else None,
            kind=kind,
            namespace=namespace if namespace != name else "",
            strict=expected.flag(tool.get("strict"), f"{where}.strict"),
            grammar=tool.get("format") if kind == "custom" else None,
        )
        place = self._places.setdefault(added.name, len(self._request.tools))
        self._request.tools[place : place + 1] = [added]


def _search(tool: dict[str, Any], where: str) -> Hosted:
    filters = expected.mapping(tool.get("filters"), f"{where}.filters")
    return Hosted(
        kind=_SEARCH,
        name=_SEARCH,
        allowed_domains=_strings(filters.get("allowed_domains")),
        blocked_domains=_strings(filters.get("blocked_domains")),
        location=tool.get("user_location"),
        extra={"openai-responses": tool},
    )


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def choice(said: Any) -> Choice | None:
    """`tool_choice`, which names a tool flatly, unlike chat's."""
    if said is None:
        return None
    if isinstance(said, str):
        if said not in ("auto", "none", "required"):
            raise expected.wrong("tool_choice", "auto, none, required or an object")
        return Choice(mode="auto" if said == "auto" else "none" if said == "none" else "required")
    said = expected.mapping(said, "tool_choice")
    if said.get("type") == "allowed_tools":
        tools = expected.array(said.get("tools"), "tool_choice.tools")
        names = [_named(tool, f"tool_choice.tools[{at}]") for at, tool in enumerate(tools)]
        return Choice(mode="required" if said.get("mode") == "required" else "auto", names=tuple(names))
    return Choice(mode="required", names=(_named(said, "tool_choice"),))


def _named(tool: Any, where: str) -> str:
    tool = expected.mapping(tool, where)
    nested = tool.get("function")
    name = expected.text(
        tool.get("name") or (nested.get("name") if isinstance(nested, dict) else None), f"{where}.name"
    )
    kind = expected.text(tool.get("type"), f"{where}.type")
    if name and kind in ("", "function", "custom"):
        return full_name(name, expected.text(tool.get("namespace"), f"{where}.namespace"))
    if not kind or kind in ("function", "custom"):
        raise expected.wrong(f"{where}.name", "a tool's name")
    return hosted_kind(kind)
