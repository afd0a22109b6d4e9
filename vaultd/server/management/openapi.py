"""The management API as OpenAPI 3.1, from the routes themselves: nothing else is in it, and no route is missing.

Types come from msgspec, which is also what reads the bodies, so that the page and the checks cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import msgspec

from vaultd import __version__
from vaultd.server.management.app import INTEGER_MOST
from vaultd.server.management.route import VARIABLE, Error, Query, Route
from vaultd.server.management.table import BASE, ROUTES

_REF: Final = "#/components/schemas/{name}"
_TEXTS: Final = frozenset({"text/plain", "text/csv"})
_ERROR: Final = {"$ref": "#/components/schemas/Error"}

#: What any route may answer, and why; a route's `also` says what it means there.
ALWAYS: Final = {
    400: "The query is not as declared, or what it asks for is not so.",
    401: "No management key, or a wrong one.",
    403: "Banned, remote, or a Host or Origin that is not ours.",
    404: "Management is off, or there is no such thing.",
    429: "Too many unknown keys are being tried, by whomever: ask again after `Retry-After`.",
    500: "A fault of vaultd's; its log says more.",
    503: "Not now: ask again after `Retry-After`.",
}
WITH_BODY: Final = {413: "The body is too large.", 415: "The body is of another type, or packed."}


@cache
def page() -> bytes:
    """The whole page, as it is served."""
    return msgspec.json.encode(document())


def document(routes: tuple[Route, ...] = ROUTES) -> dict[str, Any]:
    types = [kind for route in routes for kind in (route.body, route.answers) if _has_schema(kind)]
    schemas, components = msgspec.json.schema_components([*types, Error], ref_template=_REF)
    schema_of = {_key(kind): schema for kind, schema in zip(types, schemas, strict=False)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.plain_path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "vaultd management",
            "version": __version__,
            "description": "On once there is `remote-management.secret-key` or `MANAGEMENT_PASSWORD`.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": BASE}],
        "security": [{"bearer": []}, {"header": []}],
        "tags": [{"name": group} for group in dict.fromkeys(route.group for route in routes)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "The management key."},
                "header": {"type": "apiKey", "in": "header", "name": "X-Management-Key"},
            },
        },
    }


def statuses(route: Route) -> dict[int, str]:
    """Every status it may answer but its 200, with what it means."""
    said = ALWAYS | (WITH_BODY if route.body is not None else {}) | dict(route.also)
    return dict(sorted(said.items()))


def _operation(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _id(route),
        "summary": route.says,
        "tags": [route.group],
        "responses": {"200": _answer(route, schema_of)} | dict(_refusals(route)),
    }
    if parameters := [*_path_parameters(route), *(_query_parameter(query) for query in route.query)]:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.bare,
            "content": {kind: _body(route, kind, schema_of) for kind in route.takes},
        }
    return operation


def _id(route: Route) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.plain_path)
    return "_".join([route.method.lower(), *words])


def _answer(route: Route, schema_of: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind.strip() for kind in route.gives.split(",")]
    # YAML and events are read by their own rules: nothing is said of their shape here.
    content: dict[str, Any] = {kind: {"schema": {"type": "string"} if kind in _TEXTS else {}} for kind in kinds}
    if "application/json" in content:
        content["application/json"] = {"schema": schema_of.get(_key(route.answers), {})}
    return {"description": route.says, "content": content}


def _refusals(route: Route) -> Iterator[tuple[str, dict[str, Any]]]:
    for status, means in statuses(route).items():
        said: dict[str, Any] = {"description": means}
        if status >= 400:
            said["content"] = {"application/json": {"schema": _ERROR}}
        if status in {429, 503}:
            said["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
        yield str(status), said


def _body(route: Route, kind: str, schema_of: dict[str, Any]) -> dict[str, Any]:
    if route.body is not bytes:
        return {"schema": schema_of[_key(route.body)]}
    if kind == "multipart/form-data":
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        return {"schema": {"type": "object", "properties": {"file": file}, "required": ["file"]}}
    return {"schema": {} if kind == "application/json" else {"type": "string"}}


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name, pattern in VARIABLE.findall(route.path):
        # Without a pattern of its own aiohttp takes anything but a slash and braces.
        schema = {"type": "string", "minLength": 1, "pattern": f"^(?:{pattern or '[^{}/]+'})$"}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameter(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "in": "query",
        "required": query.required,
        "description": query.says,
        "schema": _query_schema(query),
    }


def _query_schema(query: Query) -> dict[str, Any]:
    if query.choices:
        return {"type": "string", "enum": list(query.choices)}
    match query.type:
        case "integer" | "number":
            return {"type": query.type, "minimum": -INTEGER_MOST, "maximum": INTEGER_MOST}
        case "boolean":
            return {"type": "string", "enum": ["1", "0", "true", "false", "yes", "no", "on", "off", ""]}
    return {"type": "string", "minLength": 1} if query.required else {"type": "string"}


def _has_schema(kind: Any) -> bool:
    return kind is not None and kind is not bytes


def _key(kind: Any) -> str:
    """Types such as `list[str]` and unions are equal without being the same object."""
    return repr(kind)
