"""What the operator asks for: `payload.default|override`. Not named in any manifest: these rules hold for every
vendor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from vaultd.catalog.hooks.shape import Body
from vaultd.catalog.manifest import FormatName
from vaultd.config.model import Payload, PayloadRule

#: The names that `payload` rules know formats by are CLIProxyAPI's; ours are accepted too.
_PROTOCOLS: Final[dict[FormatName, frozenset[str]]] = {
    "openai-chat": frozenset({"openai", "openai-chat"}),
    "openai-responses": frozenset({"codex", "openai-response", "openai-responses"}),
    "anthropic-messages": frozenset({"claude", "anthropic", "anthropic-messages"}),
    "gemini": frozenset({"gemini", "gemini-cli"}),
}
_STEP: Final = re.compile(r"(?:\\.|[^.\\])+")


def apply_payload(body: Body, fmt: FormatName, names: Iterable[str], payload: Payload) -> None:
    """A default is set where the member is missing, the first rule winning; an override always, the last winning."""
    if not payload.default and not payload.override:
        return
    known = tuple(names)
    for rules, only_missing in ((payload.default, True), (payload.override, False)):
        for rule in rules:
            if _matches(rule, fmt, known):
                for path, value in rule.params.items():
                    _set(body, _steps(path), value, only_missing=only_missing)


def _matches(rule: PayloadRule, fmt: FormatName, names: Sequence[str]) -> bool:
    return any(
        (not model.protocol or model.protocol.lower() in _PROTOCOLS[fmt])
        and any(fnmatchcase(name.lower(), model.name.lower()) for name in names)
        for model in rule.models
    )


def _steps(path: str) -> list[str]:
    r"""`a.b\.c.0` → a, b.c, 0."""
    return [re.sub(r"\\(.)", r"\1", step) for step in _STEP.findall(path)]


def _set(body: Body, path: Sequence[str], value: Any, *, only_missing: bool) -> None:
    top, rest = path[0], path[1:]
    if not rest:
        if not (only_missing and top in body):
            body.set(top, value)
        return
    tree = body.get(top)
    tree = tree if isinstance(tree, dict | list) else {}
    if _set_in(tree, rest, value, only_missing=only_missing):
        body.set(top, tree)


def _set_in(tree: Any, path: Sequence[str], value: Any, *, only_missing: bool) -> bool:
    """Sets the leaf, making objects on the way. False where it stays as it was."""
    for step, following in zip(path, (*path[1:], None), strict=True):
        key: Any = step
        if isinstance(tree, list):
            if not step.isdigit() or int(step) >= len(tree):
                return False
            key = int(step)
        present = key < len(tree) if isinstance(tree, list) else key in tree
        if following is None:
            if only_missing and present:
                return False
            tree[key] = value
            return True
        if not present or not isinstance(tree[key], dict | list):
            tree[key] = {}
        tree = tree[key]
    return False
