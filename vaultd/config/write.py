"""Edits to the configuration's text that keep its comments and its order. Pure: text in, text out.

What stands is never written again: the place of an edit is found by the parser's own marks, and only that span of the
text is replaced, so that quoting, spacing, line ends and comments elsewhere are what they were, to the byte. (A round
trip through an emitter loses flow spacing, comment columns, and the comment above the neighbour of what is removed.)
What is new is written by ruamel.yaml. Each edit is read back by the strict reader and compared with what was meant.

What is removed takes along the comments on and between its own lines; comments above and below it stay.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vaultd.config import legacy, yaml
from vaultd.config.layout import Layout, Odd
from vaultd.config.yaml import Plain
from vaultd.errors import Misconfigured

#: `("claude-api-key", 0, "proxy-url")`.
Path = tuple[str | int, ...]

#: By what an entry of a list is known when the list is given anew: the first of these that it has.
_NAMES: Final = ("api-key", "name", "id")
#: The present spellings of keys at the top, each with the older ones that say the same.
_OLDER: Final[Mapping[str, tuple[str, ...]]] = {
    "ws-auth": ("ws_auth",),
    "gemini-api-key": ("generative-language-api-key",),
    "api-keys": ("auth",),
    "openai-compatibility": (),
}


def put(text: str, path: Path, value: Any, source: str) -> str:
    """`text` with `value` at `path`: the rest of it unchanged, and entries of lists that stay where they are kept with
    their comments. Raises Misconfigured where the text is no configuration or cannot be edited so."""
    before = tree(text, source)
    wanted = _with(before, path, value)
    for attempt in (lambda: _put(text, path, value, source), *_coarser(text, path, wanted, source)):
        try:
            after: str = attempt()
        except (Odd, Misconfigured):
            continue
        if _reads(after, wanted, source):
            return after
    raise Misconfigured(f"{source}: {dotted(path)}: its text is written in a way that cannot be edited; do it by hand")


def remove(text: str, path: Path, source: str) -> str:
    """`text` without what stands at `path`; as it is where nothing does."""
    before = tree(text, source)
    if at(before, path) is NOTHING:
        return text
    wanted = _without(before, path)
    try:
        after = Layout(text, source).without(path)
    except (Odd, Misconfigured):
        after = ""
    if after and _reads(after, wanted, source):
        return after
    if len(path) == 1:
        if not wanted and _reads(after, wanted, source):
            return after
        raise Misconfigured(f"{source}: {dotted(path)}: cannot be taken out of this text; do it by hand")
    return put(text, path[:-1], at(wanted, path[:-1]), source)


def modern(text: str, key: str, source: str) -> str:
    """`text` with older spellings of the top-level `key` turned into the present one, so that an edit of this does not
    leave another word on the matter. What is in force stays the same."""
    raw = tree(text, source)
    for older in _OLDER.get(key, ()):
        if older not in raw:
            continue
        value = _folded(raw, key)
        if key in raw or older == "auth" or value is None:
            text = remove(text, (older,), source)
        else:
            text = Layout(text, source).renamed((older,), key)
        if value is not None:
            text = put(text, (key,), value, source)
    if key == "openai-compatibility":
        text = _modern_entries(text, source)
    return text


def dotted(path: Path) -> str:
    """As errors name it: `claude-api-key[0].proxy-url`."""
    said = ""
    for step in path:
        said = f"{said}[{step}]" if isinstance(step, int) else yaml.join(said, step)
    return said


def steps(name: str) -> Path:
    """The path of a dotted key of the model: `remote-management.allowed-origins`, `claude-api-key[0].proxy-url`."""
    found: list[str | int] = []
    for step in name.split("."):
        key, *indexes = step.replace("]", "").split("[")
        found += [key, *(int(index) for index in indexes)] if all(i.isdecimal() for i in indexes) else [step]
    return tuple(found)


def says(raw: Any, wanted: Any, *, exact: bool = False) -> bool:
    """Whether what was read says what is wanted. `exact`: a number or truth in quotes is text, as in `payload`."""
    if isinstance(wanted, Mapping):
        if not isinstance(raw, dict):
            return False
        kept, meant = _some(raw), _some(wanted)
        return kept.keys() == meant.keys() and all(
            says(kept[key], meant[key], exact=exact or key == "payload") for key in kept
        )
    if isinstance(wanted, Sequence) and not isinstance(wanted, str):
        return (
            isinstance(raw, list)
            and len(raw) == len(wanted)
            and all(says(left, right, exact=exact) for left, right in zip(raw, wanted, strict=True))
        )
    if raw is None or wanted is None or isinstance(raw, dict | list):
        return raw is None and wanted is None
    if isinstance(wanted, str):
        right = isinstance(raw, Plain) == isinstance(wanted, Plain) or isinstance(yaml.natural(raw), str)
        return str(raw) == str(wanted) and (right or not exact)
    value = yaml.natural(raw if exact else Plain(raw))
    return not isinstance(value, str) and value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


# --- the edit ---------------------------------------------------------------------------------------------------------


def _put(text: str, path: Path, value: Any, source: str) -> str:
    raw = tree(text, source)
    if (old := at(raw, path)) is not NOTHING:
        return _changed(text, path, old, value, source)
    known = next(length for length in range(len(path), -1, -1) if at(raw, path[:length]) is not NOTHING)
    for step in reversed(path[known + 1 :]):
        value = [value] if isinstance(step, int) else {step: value}
    return _added(text, path[:known], path[known], value, source)


def _changed(text: str, path: Path, old: Any, value: Any, source: str) -> str:
    """What stands at `path` says `old`: no look at the text but where something is different, for each takes
    milliseconds and a list may be long."""
    if says(old, value, exact=path[:1] == ("payload",)):
        return text
    if isinstance(old, dict) and isinstance(value, Mapping) and _some(value) and old:
        return _put_mapping(text, path, old, value, source)
    if isinstance(old, list) and isinstance(value, list) and value and old:
        return _put_list(text, path, old, value, source)
    return Layout(text, source).replaced(path, value)


def _added(text: str, where: Path, step: str | int, value: Any, source: str) -> str:
    layout = Layout(text, source)
    return layout.inserted(where, step, value) if isinstance(step, int) else layout.added(where, step, value)


def _put_mapping(text: str, path: Path, old: dict[str, Any], new: Mapping[str, Any], source: str) -> str:
    meant = {key: value for key, value in new.items() if value is not None}
    for key, value in meant.items():  # first what is new: a mapping that loses its last member would go
        if key in old:
            text = _changed(text, (*path, key), old[key], value, source)
        else:
            text = Layout(text, source).added(path, key, value)
    for key in old:
        if key not in meant:
            text = Layout(text, source).without((*path, key))
    return text


def _put_list(text: str, path: Path, old: list[Any], new: list[Any], source: str) -> str:
    where = matched(old, new)
    for index in sorted(set(range(len(old))) - set(where.values()), reverse=True):
        text = Layout(text, source).without((*path, index))
    # What stays, by its place in the text; and the places it is to have.
    stays = sorted(where, key=lambda j: where[j])
    if stays != sorted(stays):
        text = Layout(text, source).ordered(path, [stays.index(j) for j in sorted(stays)])
    for place, j in enumerate(sorted(where)):
        text = _changed(text, (*path, place), old[where[j]], new[j], source)
    index = 0
    while index < len(new):
        run = list(itertools.takewhile(lambda i: i not in where, range(index, len(new))))
        if run:
            text = Layout(text, source).inserted(path, index, *new[index : index + len(run)])
        index += len(run) + 1
    return text


def matched(old: list[Any], new: list[Any]) -> dict[int, int]:
    """Which entries stay, new index → old: the same entry, else that of the same key or name, else what stood in its
    place."""
    where: dict[int, int] = {}
    free = dict(enumerate(old))

    def match(same: Any) -> None:
        for j, value in enumerate(new):
            if j not in where:
                i = next((i for i in sorted(free, key=lambda i: (i != j, i)) if same(i, j, free[i], value)), None)
                if i is not None:
                    where[j] = i
                    del free[i]

    match(lambda _i, _j, left, right: says(left, right))
    match(lambda _i, _j, left, right: _named(left) == _named(right) is not None)
    match(lambda i, j, _left, _right: i == j)
    return where


def _named(entry: Any) -> tuple[str, str] | None:
    if isinstance(entry, Mapping):
        return next(((name, str(entry[name])) for name in _NAMES if isinstance(entry.get(name), str | int)), None)
    # A bare key of an older spelling, and the entry that holds it now.
    return ("api-key", str(entry)) if isinstance(entry, str) else None


def _coarser(text: str, path: Path, wanted: Any, source: str) -> list[Any]:
    """The value anew in one piece, then what it stands in: comments within are lost, the values never."""
    ways = []
    for length in range(len(path), 0, -1):
        upper = path[:length]
        value = at(wanted, upper)
        if at(tree(text, source), upper) is not NOTHING:
            ways.append(lambda upper=upper, value=value: Layout(text, source).replaced(upper, value))
    return ways


# --- older spellings --------------------------------------------------------------------------------------------------


def _folded(raw: dict[str, Any], key: str) -> Any:
    """What `key` says once older spellings are folded in; None where nothing says anything."""
    draft = {name: copy.deepcopy(raw[name]) for name in (key, *_OLDER[key]) if name in raw}
    legacy.fold(draft, [])
    return draft.get(key)


def _modern_entries(text: str, source: str) -> str:
    entries = tree(text, source).get("openai-compatibility")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict) and isinstance(keys := entry.get("api-keys"), list):
            at: Path = ("openai-compatibility", index)
            newer = entry.get("api-key-entries")
            if newer is None and "api-key-entries" not in entry:
                text = Layout(text, source).renamed((*at, "api-keys"), "api-key-entries")
            else:
                text = remove(text, (*at, "api-keys"), source)
            both = [*(newer or []), *({"api-key": str(key)} for key in keys)]
            text = put(text, (*at, "api-key-entries"), both, source)
    return text


# --- trees ------------------------------------------------------------------------------------------------------------

NOTHING: Final = object()


def tree(text: str, source: str) -> dict[str, Any]:
    """What the strict reader reads, before any key means something."""
    raw = yaml.load(text, source)
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise Misconfigured(f"{source}: a mapping of keys is expected")
    return raw


def _reads(text: str, wanted: dict[str, Any], source: str) -> bool:
    try:
        return says(tree(text, source), wanted)
    except Misconfigured:
        return False


def _some(members: Mapping[str, Any]) -> dict[str, Any]:
    """Null and an empty section say nothing, as no key does."""
    return {
        key: value
        for key, value in members.items()
        if value is not None and not (isinstance(value, Mapping) and not _some(value))
    }


def at(raw: Any, path: Path) -> Any:
    """What stands at `path`; `NOTHING` where nothing does."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(raw, list) or not 0 <= step < len(raw):
                return NOTHING
            raw = raw[step]
        elif not isinstance(raw, Mapping) or step not in raw:
            return NOTHING
        else:
            raw = raw[step]
    return raw


def _with(raw: Any, path: Path, value: Any, above: Path = ()) -> Any:
    if not path:
        return value
    step, rest, here = path[0], path[1:], (*above, path[0])
    if isinstance(step, int):
        items = list(raw) if isinstance(raw, list) else []
        if step > len(items):
            raise Misconfigured(f"{dotted(here)}: there is no such entry")
        items[step : step + 1] = [_with(items[step] if step < len(items) else None, rest, value, here)]
        return items
    members = dict(raw) if isinstance(raw, Mapping) else {}
    members[step] = _with(members.get(step), rest, value, here)
    return members


def _without(raw: Any, path: Path) -> Any:
    step, rest = path[0], path[1:]
    changed: Any = list(raw) if isinstance(raw, list) else dict(raw)
    if rest:
        changed[step] = _without(changed[step], rest)
    else:
        del changed[step]
    return changed
