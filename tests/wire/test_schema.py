"""Schemas on their way to vendors: nothing lost that a vendor could have taken, nothing left that it refuses."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.schema import for_gemini, objectified

NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "value": {"type": "string"}}}


@pytest.mark.parametrize("nothing", [None, True, "object", 3, [], ["object"]])
def test_what_is_no_schema_is_an_object_without_properties(nothing: Any) -> None:
    assert objectified(nothing) == for_gemini(nothing) == {"type": "object", "properties": {}}


def test_a_schema_in_order_is_given_back_itself() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}}
    assert objectified(schema) is schema


def test_an_object_gets_properties_wherever_a_schema_stands_but_not_in_a_value() -> None:
    schema = {
        "type": "object",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "properties": {
            "properties": {"type": "object"},
            "list": {"type": "array", "items": [{"type": "object"}]},
            "kept": {"default": {"type": "object"}, "enum": [{"type": "object"}]},
        },
    }
    assert objectified(schema) == {
        "type": "object",
        "properties": {
            "properties": {"type": "object", "properties": {}},
            "list": {"type": "array", "items": [{"type": "object", "properties": {}}]},
            "kept": {"default": {"type": "object"}, "enum": [{"type": "object"}]},
        },
    }


def test_a_union_at_the_root_is_one_object_that_requires_what_all_of_it_requires() -> None:
    schema = {
        "required": ["z"],
        "anyOf": [
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"]},
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b", "a"]},
            {"type": "null"},
        ],
        "allOf": [{"properties": {"c": {}}, "required": ["c"]}],
    }
    assert objectified(schema) == {
        "type": "object",
        "properties": {"c": {}, "a": {"type": "string"}, "b": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
        "required": ["z", "c", "a"],
    }


def test_a_root_that_is_a_reference_is_what_it_names() -> None:
    schema = {"$ref": "#/definitions/It", "definitions": {"It": {"properties": {"a": {"type": "string"}}}}}
    merged = objectified(schema)
    assert merged["type"] == "object"
    assert merged["properties"] == {"a": {"type": "string"}}


@pytest.mark.parametrize("kind", ["allOf", "anyOf"])
def test_definitions_that_multiply_are_taken_once(kind: str) -> None:
    names = "ABCDEFGHIJ"
    following = dict(zip(names, names[1:] + names[:1], strict=True))
    schema = {"$ref": "#/$defs/A", "$defs": {a: {kind: [{"$ref": f"#/$defs/{b}"}] * 10} for a, b in following.items()}}
    assert objectified(schema)["type"] == "object"
    assert len(msgspec.json.encode(for_gemini({"type": "object", "properties": {"a": schema}}))) < 1_000_000


def test_gemini_is_told_in_the_description_what_it_does_not_take_as_a_keyword() -> None:
    schema = {"type": "string", "description": "A city.", "minLength": 2, "format": "uri", "default": "Oslo"}
    assert for_gemini(schema) == {
        "type": "string",
        "description": "A city.\nminLength: 2, default: Oslo, format: uri",
    }


def test_gemini_keeps_its_own_keywords() -> None:
    schema = {
        "type": "object",
        "properties": {
            "at": {"type": "string", "format": "date-time"},
            "list": {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 1, "maxItems": 3},
            "kind": {"enum": ["a", 2, None]},
            "note": {"type": ["string", "null"]},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "required": ["at"],
    }
    assert for_gemini(schema) == schema


def test_keywords_gemini_refuses_are_gone_but_properties_of_their_names_are_not() -> None:
    named = {"format": {"type": "string"}, "default": {"type": "string"}, "title": {"type": "string"}}
    schema = {
        "$schema": "x",
        "$id": "y",
        "type": "object",
        "title": "T",
        "additionalProperties": False,
        "propertyNames": {"pattern": "x"},
        "patternProperties": {"^x": {}},
        "x-google": 1,
        "properties": {"properties": {"type": "object", "propertyNames": {}, "properties": named}},
        "required": ["properties", "absent", 3],
    }
    assert for_gemini(schema) == {
        "type": "object",
        "properties": {"properties": {"type": "object", "properties": named}},
        "required": ["properties"],
    }


def test_a_reference_is_put_in_place_and_one_to_itself_ends() -> None:
    schema = {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Node", "description": "The root."}},
        "$defs": {"Node": NODE},
    }
    assert for_gemini(schema) == {
        "type": "object",
        "properties": {
            "tree": {
                "type": "object",
                "description": "The root.",
                "properties": {"next": {"type": "object"}, "value": {"type": "string"}},
            }
        },
    }


def test_one_of_and_const_and_optional_say_the_same_in_geminis_words() -> None:
    assert for_gemini({"oneOf": [{"const": 1}, {"type": "string"}]}) == {"anyOf": [{"enum": [1]}, {"type": "string"}]}
    optional = {"anyOf": [{"type": "string", "description": "inner"}, {"type": "null"}], "description": "outer"}
    assert for_gemini(optional) == {"type": ["string", "null"], "description": "outer"}
    assert for_gemini({"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}]}) == {
        "properties": {"b": {}, "a": {}},
        "required": ["a"],
    }


def test_conditions_leave_their_properties() -> None:
    schema = {"type": "object", "properties": {"a": {}}, "then": {"properties": {"b": {"type": "string"}}}, "if": {}}
    assert for_gemini(schema) == {"type": "object", "properties": {"a": {}, "b": {"type": "string"}}}


keywords = st.sampled_from(
    [
        "type",
        "properties",
        "items",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "required",
        "enum",
        "const",
        "format",
        "description",
        "prefixItems",
        "default",
        "additionalProperties",
        "nullable",
        "if",
        "then",
        "minLength",
        "a",
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["object", "array", "null", "#/$defs/a", "#", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keywords, inner, max_size=4),
    max_leaves=25,
)


@pytest.mark.parametrize("kind", ["array", "string", "OBJECT", None, ["object", "null"]])
def test_a_tool_takes_an_object_whatever_its_schema_calls_it(kind: Any) -> None:
    assert objectified({"type": kind}) == {"type": "object", "properties": {}}


@given(st.dictionaries(keywords, values, max_size=6))
def test_whatever_a_schema_holds_it_is_read_and_not_touched(schema: dict[str, Any]) -> None:
    before = copy.deepcopy(schema)
    whole = objectified(schema)
    assert "$schema" not in whole
    assert not {"$ref", "anyOf", "oneOf", "allOf"} & whole.keys()
    assert isinstance(whole["properties"], dict)
    narrow = for_gemini(whole)
    assert _keys(narrow) <= _TAKEN
    assert schema == before
    assert objectified(whole) == whole


_TAKEN = {"type", "properties", "items", "prefixItems", "anyOf", "required", "enum", "format", "description"}


def _keys(schema: dict[str, Any]) -> set[str]:
    found = set(schema)
    for inner in [*schema.get("properties", {}).values(), *schema.get("anyOf", []), *schema.get("prefixItems", [])]:
        found |= _keys(inner)
    return found | _keys(schema["items"]) if "items" in schema else found
