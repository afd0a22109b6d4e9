"""JSON Schema on its way to vendors that know only a part of it.

All vendors want an object at the root of a tool's schema, and some refuse an object without `properties`. Gemini takes
the keywords its documentation lists for `responseJsonSchema` and refuses a request for some of the others; what those
say is told in the description, in the client's own words, so that the model still knows it. A property may have the
name of any keyword, so only places where a schema stands are looked into. Schemas are foreign: whatever makes no sense
in them is left out, and nothing here raises.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

Schema = dict[str, Any]

#: Deeper than any tool's schema seen; what a hostile one says below that is left as it is.
_DEEPEST: Final = 64
#: References can multiply: ten definitions of ten references each are ten thousand million nodes.
_MOST_NODES: Final = 20_000
_MOST_REFS: Final = 256

_UNIONS: Final = ("allOf", "anyOf", "oneOf")
_COMPOSED: Final = ("$ref", *_UNIONS)
#: Where schemas stand in a schema: below names, in a list or alone.
_NAMED: Final = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})
_PLACES: Final = _NAMED | {
    *_UNIONS,
    "prefixItems",
    "items",
    "additionalProperties",
    "contains",
    "not",
    "if",
    "then",
    "else",
}

#: Google, "Structured output" and `Schema` reference: kept as they are.
_KEPT: Final = ("minimum", "maximum", "minItems", "maxItems", "propertyOrdering")
#: All that most properties say.
_PLAIN: Final = frozenset({"type", "description"})
_FORMATS: Final = frozenset({"date-time", "date", "time", "int32", "int64", "float", "double"})
#: Not taken by Gemini, and worth knowing to who fills in the value.
_TOLD: Final = (
    "minLength",
    "maxLength",
    "pattern",
    "uniqueItems",
    "multipleOf",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minProperties",
    "maxProperties",
    "default",
    "examples",
    "example",
)


def objectified(schema: Any) -> Schema:
    """A tool's schema with an object at its root, no union there, no `$schema`, and `properties` in every object.

    `schema` itself where nothing has to change; it is never changed. What is no schema becomes one without properties.
    """
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    root = schema
    if "$ref" in root or "anyOf" in root or "oneOf" in root or "allOf" in root:
        root = _merged(root, schema, set())
    if "$schema" in root:
        root = {key: value for key, value in root.items() if key != "$schema"}
    if root.get("type") != "object":
        root = {**root, "type": "object"} if "type" in root else {"type": "object", **root}
    filled = _filled(root, 0)
    return filled if isinstance(filled, dict) else root


def _filled(node: Any, depth: int) -> Any:
    """`node` itself where nothing below it changes."""
    if depth > _DEEPEST:
        return node
    if isinstance(node, list):
        parts = [_filled(part, depth + 1) for part in node]
        return parts if any(new is not old for new, old in zip(parts, node, strict=True)) else node
    if not isinstance(node, dict):
        return node
    if _PLACES.isdisjoint(node) and node.get("type") != "object":
        return node
    changes: Schema = {}
    for key, value in node.items():
        if key not in _PLACES or not value or not isinstance(value, dict | list):
            continue
        new = _named(value, depth) if key in _NAMED else _filled(value, depth + 1)
        if new is not value:
            changes[key] = new
    if node.get("type") == "object" and not isinstance(node.get("properties"), dict):
        changes["properties"] = {}
    return {**node, **changes} if changes else node


def _named(members: Any, depth: int) -> Any:
    if not isinstance(members, dict):
        return members
    changes: Schema = {}
    for name, value in members.items():
        if isinstance(value, dict):
            new = _filled(value, depth + 1)
            if new is not value:
                changes[name] = new
    return {**members, **changes} if changes else members


def _merged(node: Schema, root: Schema, seen: set[str]) -> Schema:
    """A root with its reference and unions made part of it. Of alternatives all properties are allowed, and those
    required that each of them requires. `seen`: each definition is taken once, however often it is named."""
    merging = _Merging({key: value for key, value in node.items() if key not in _COMPOSED})
    required = _strings(node.get("required"))
    shared: set[str] | None = None
    for always, branch in _branches(node, root, seen):
        part = _merged(branch, root, seen) if any(key in branch for key in _COMPOSED) else branch
        merging.absorb(part)
        names = _strings(part.get("required"))
        if always:
            required += names
        elif part.get("type") != "null":
            shared = set(names) if shared is None else shared & set(names)
    required += sorted(shared or ())
    merged = merging.schema
    merged["type"] = "object"
    if required:
        merged["required"] = list(dict.fromkeys(required))
    else:
        merged.pop("required", None)
    return merged


def _branches(node: Schema, root: Schema, seen: set[str]) -> list[tuple[bool, Schema]]:
    """What a node is put together from; True for what always holds."""
    found: list[tuple[bool, Any]] = [(True, {"$ref": node["$ref"]})] if "$ref" in node else []
    for union in _UNIONS:
        if isinstance(node.get(union), list):
            found += [(union == "allOf", branch) for branch in node[union]]
    branches: list[tuple[bool, Schema]] = []
    for always, branch in found:
        ref = branch.get("$ref") if isinstance(branch, dict) else None
        if not isinstance(branch, dict) or (isinstance(ref, str) and ref in seen) or len(seen) > _MOST_REFS:
            continue
        if isinstance(ref, str):
            seen.add(ref)
        branches.append((always, _resolved(branch, root)))
    return branches


class _Merging:
    """One schema that takes in others. Each list and object is copied once, however many there are, and alternatives
    stand side by side: one in the other they would be nested deeper than any encoder goes."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._members: dict[str, Schema] = {}
        self._alternatives: dict[tuple[str, str], list[Any]] = {}

    def absorb(self, branch: Schema) -> None:
        for key, value in branch.items():
            if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
                self._absorb(key, value)
            elif key not in ("type", "required"):
                self.schema.setdefault(key, value)

    def _absorb(self, key: str, more: Schema) -> None:
        members = self._members.get(key)
        if members is None:
            own = self.schema.get(key)
            members = self._members[key] = dict(own) if isinstance(own, dict) else {}
            self.schema[key] = members
        for name, member in more.items():
            before = members.setdefault(name, member)
            said = self._alternatives.get((key, name))
            if said is not None:
                if member != said[-1]:
                    said.append(member)
            elif before is not member and before != member:
                said = self._alternatives[key, name] = [before, member]
                members[name] = {"anyOf": said}


def _resolved(node: Schema, root: Schema) -> Schema:
    """What a node's local reference names, its own keywords before the target's; the node where it names nothing."""
    ref = node.get("$ref")
    own = {key: value for key, value in node.items() if key != "$ref"}
    target = _found(ref, root) if isinstance(ref, str) else None
    return own if target is None else {**target, **own}


def _found(ref: str, root: Schema) -> Schema | None:
    """`#`, or a JSON pointer in this document (RFC 6901); None for any other."""
    at: Any = root
    if not ref.startswith("#"):
        return None
    for step in ref[1:].split("/")[1:]:
        at = at.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(at, dict) else None
    return at if isinstance(at, dict) else None


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def for_gemini(schema: Any) -> Schema:
    """What Gemini takes as `parametersJsonSchema` or `responseJsonSchema`: its keywords, nothing else.

    References are put in their place; where a definition holds itself, it ends at its type. `schema` is never changed.
    """
    if not isinstance(schema, dict):
        return {"type": "object", "properties": {}}
    return _Narrowing(schema).node(schema, ())


class _Narrowing:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._nodes = 0

    def node(self, node: Any, within: tuple[str, ...], depth: int = 0) -> Schema:
        """`within`: the references that are being followed."""
        if not isinstance(node, dict):
            return {}
        self._nodes += 1
        if node.keys() <= _PLAIN and type(node.get("type")) is str and type(node.get("description", "")) is str:
            return node
        ref = node.get("$ref")
        if isinstance(ref, str):
            if ref in within or self._nodes > _MOST_NODES:
                return _end(_resolved(node, self._root))
            return self.node(_resolved(node, self._root), (*within, ref), depth + 1)
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            return _end(node)
        new: Schema = {}
        _type_of(node, new)
        _values(node, new)
        self._members(node, new, within, depth)
        self._items(node, new, within, depth)
        self._unions(node, new, within, depth)
        _described(node, new)
        return new

    def _members(self, node: Schema, new: Schema, within: tuple[str, ...], depth: int) -> None:
        members = node.get("properties")
        if isinstance(members, dict):
            new["properties"] = {name: self.node(member, within, depth + 1) for name, member in members.items()}
        for branch in ("if", "then", "else"):
            condition = node.get(branch)
            if isinstance(condition, dict) and isinstance(condition.get("properties"), dict):
                told = new.setdefault("properties", {})
                for name, member in condition["properties"].items():
                    if name not in told:
                        told[name] = self.node(member, within, depth + 1)
        known = new.get("properties")
        if known is None:
            return
        named = _strings(node.get("required"))
        # Draft 3 marks the property itself.
        for name, member in members.items() if isinstance(members, dict) else ():
            if isinstance(member, dict) and member.get("required") is True:
                named.append(name)
        required = [name for name in dict.fromkeys(named) if name in known]
        if required:
            new["required"] = required

    def _items(self, node: Schema, new: Schema, within: tuple[str, ...], depth: int) -> None:
        items, prefix = node.get("items"), node.get("prefixItems")
        if isinstance(items, list):  # until draft 2019-09
            items, prefix = node.get("additionalItems"), items
        if isinstance(items, dict):
            new["items"] = self.node(items, within, depth + 1)
        if isinstance(prefix, list):
            new["prefixItems"] = [self.node(item, within, depth + 1) for item in prefix]

    def _unions(self, node: Schema, new: Schema, within: tuple[str, ...], depth: int) -> None:
        together = node.get("allOf")
        for branch in together if isinstance(together, list) else []:
            _join(new, self.node(branch, within, depth + 1))
        found = [b for union in ("anyOf", "oneOf") if isinstance(node.get(union), list) for b in node[union]]
        branches = [self.node(branch, within, depth + 1) for branch in found if isinstance(branch, dict)]
        said = [branch for branch in branches if branch.get("type") != "null"]
        if len(said) == 1:
            _join(new, said[0])
            if len(branches) > 1:
                _nullable(new)
        elif said:
            new["anyOf"] = branches


def _end(node: Schema) -> Schema:
    kind = node.get("type")
    description = node.get("description")
    end: Schema = {"type": kind} if isinstance(kind, str) else {}
    if isinstance(description, str):
        end["description"] = description
    return end


def _type_of(node: Schema, new: Schema) -> None:
    kind = node.get("type")
    if isinstance(kind, list):
        kinds = _strings(kind)
        kind = kinds[0] if len(kinds) == 1 else kinds
    if kind and isinstance(kind, str | list):
        new["type"] = kind
    if node.get("nullable") is True:
        _nullable(new)


def _nullable(new: Schema) -> None:
    kind = new.get("type")
    if isinstance(kind, str) and kind != "null":
        new["type"] = [kind, "null"]
    elif isinstance(kind, list) and "null" not in kind:
        new["type"] = [*kind, "null"]
    elif "anyOf" in new:
        new["anyOf"] = [*new["anyOf"], {"type": "null"}]


def _values(node: Schema, new: Schema) -> None:
    values = node.get("enum")
    if isinstance(values, list) and values:
        new["enum"] = values
    elif "const" in node:
        new["enum"] = [node["const"]]
    for key in _KEPT:
        if key in node:
            new[key] = node[key]
    if isinstance(form := node.get("format"), str) and form in _FORMATS:
        new["format"] = form


def _described(node: Schema, new: Schema) -> None:
    description = node.get("description")
    # What a branch said of itself counts where the node says nothing.
    lines = [description] if isinstance(description, str) else [new["description"]] if "description" in new else []
    told = [f"{key}: {_said(node[key])}" for key in _TOLD if key in node]
    form = node.get("format")
    if isinstance(form, str) and form not in _FORMATS:
        told.append(f"format: {form}")
    if isinstance(more := node.get("additionalProperties"), dict) and more:
        told.append(f"additionalProperties: {_said(more)}")
    if told:
        lines.append(", ".join(told))
    if lines:
        new["description"] = "\n".join(lines)


def _said(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _join(new: Schema, branch: Schema) -> None:
    """All that `branch` says, where the node itself says nothing of the kind."""
    for key, value in branch.items():
        if key == "properties":
            new["properties"] = {**value, **new.get("properties", {})}
        elif key == "required":
            new["required"] = list(dict.fromkeys([*new.get("required", []), *value]))
        elif key not in new:
            new[key] = value
