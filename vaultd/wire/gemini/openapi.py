"""Google's older schemas are OpenAPI 3.0's: types in upper case, `nullable`, bounds as texts. All others are told in
JSON Schema."""

from __future__ import annotations

from typing import Any, Final

#: As deep as any tool's schema seen; below it a schema stays as it is.
_DEEPEST: Final = 64
_BOUNDS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
#: Spelled in two ways, as all of Google's structures are.
_SPELLINGS: Final[dict[str, str]] = {
    "any_of": "anyOf",
    "one_of": "oneOf",
    "all_of": "allOf",
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
    "property_ordering": "propertyOrdering",
    "additional_properties": "additionalProperties",
}
_PARTS: Final = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_ALONE: Final = frozenset({"items", "additionalProperties", "not"})
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "defs"})


def as_json_schema(schema: Any, depth: int = 0) -> Any:
    """The same in JSON Schema; what is JSON Schema already comes out equal."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return schema
    new: dict[str, Any] = {}
    spelled: str
    for spelled, value in schema.items():
        key = _SPELLINGS.get(spelled, spelled)
        if key == "type":
            if value is not None and value != "TYPE_UNSPECIFIED":
                new[key] = _type(value)
        elif key != "nullable" and (key != "format" or value != "enum"):
            new[key] = _member(key, value, depth)
    if schema.get("nullable") is True:
        _nullable(new)
    return new


def _member(key: str, value: Any, depth: int) -> Any:
    if key in _ALONE:
        return as_json_schema(value, depth + 1)
    if key in _NAMED and isinstance(value, dict):
        return {name: as_json_schema(member, depth + 1) for name, member in value.items()}
    if key in _PARTS and isinstance(value, list):
        return [as_json_schema(member, depth + 1) for member in value]
    if key in _BOUNDS and isinstance(value, str) and value.isdecimal():
        return int(value)
    return value


def _type(value: Any) -> Any:
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, list):
        return [kind.lower() if isinstance(kind, str) else kind for kind in value]
    return value


def _nullable(new: dict[str, Any]) -> None:
    kind = new.get("type")
    if isinstance(kind, str):
        new["type"] = [kind, "null"]
    elif isinstance(new.get("anyOf"), list):
        new["anyOf"] = [*new["anyOf"], {"type": "null"}]
    if isinstance(new.get("enum"), list) and None not in new["enum"]:
        new["enum"] = [*new["enum"], None]
