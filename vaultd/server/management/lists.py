"""Keys and vendors that are lists in the configuration: seen masked, changed by index, by match or whole.

An entry that is given anew keeps what CLIProxyAPI's programs of November 2025 do not know of (`weight`, and what its
later versions have): a page that never heard of a member cannot mean to remove it. `null` removes one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from vaultd.config import keys, legacy, write
from vaultd.config.masked import Masks, shown
from vaultd.config.write import Path
from vaultd.server.management.config import REFUSALS, saved, source
from vaultd.server.management.route import Call, Done, Query, Refused, Route
from vaultd.work.editing import Edit

Index = Annotated[int, Meta(ge=0, le=1_000_000)]
Entry = dict[str, Any]

#: Members that its programs of November 2025 do not know.
_OURS: Final = frozenset({"priority", "weight", "max-parallel", "excluded-models"})
#: How later panels switch a key off. They switch it on again by leaving this out.
_OFF: Final = ["*"]


class Texts(msgspec.Struct):
    items: list[str]


class Entries(msgspec.Struct):
    items: list[Entry]


class OneText(msgspec.Struct):
    """`index` and `value`; or `old` and `new`: where `old` is absent, `new` is added."""

    index: Index | None = None
    value: str | None = None
    old: str | None = None
    new: str | None = None


class OneEntry(msgspec.Struct):
    """Which by `index`, `match` (its key) or `name`; of `value` only what is named changes."""

    value: Entry
    index: Index | None = None
    match: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One list. `by`: the member that names an entry; `needs`: the one whose absence removes it."""

    name: str
    by: str
    needs: str = ""
    #: Whether removing what is not there is refused.
    strict: bool = False


_KINDS: Final = (
    Kind("gemini-api-key", "api-key", needs="api-key", strict=True),
    Kind("claude-api-key", "api-key"),
    Kind("codex-api-key", "api-key", needs="base-url"),
    Kind("openai-compatibility", "name", needs="base-url"),
)


@dataclass(frozen=True, slots=True)
class List:
    """One list of the file as it is now, in its present spelling."""

    text: str
    name: str
    source: str
    masks: Masks
    entries: list[Any]
    #: The places in the file of those that count: without a base-url one is left out, and stays where it is.
    counted: list[int]

    @classmethod
    def of(cls, text: str, name: str, source: str) -> List:
        masks = Masks(write.tree(text, source))
        text = write.modern(text, name, source)
        found = write.tree(text, source).get(name)
        entries = found if isinstance(found, list) else []
        needs = next((kind.needs for kind in _KINDS if kind.name == name and kind.needs == "base-url"), "")
        counted = [
            index for index, entry in enumerate(entries) if not needs or not isinstance(entry, dict) or entry.get(needs)
        ]
        return cls(text, name, source, masks, entries, counted)

    @property
    def seen(self) -> list[Any]:
        return [self.entries[index] for index in self.counted]

    def at(self, index: int) -> Path:
        if not 0 <= index < len(self.counted):
            raise Refused(404, "item not found")
        return (self.name, self.counted[index])

    def named(self, by: str, value: str) -> list[int]:
        """Whose `by` is `value` or what it masks. Raises Unclear."""
        words = [str(entry.get(by, "")) if isinstance(entry, dict) else str(entry) for entry in self.seen]
        key = by if by != "name" else ""
        wanted = self.masks.named(key, value, words, by)
        exact = [index for index, word in enumerate(words) if word == wanted]
        if by == "name" and not exact:
            return [index for index, word in enumerate(words) if word.lower() == wanted.lower()]
        return exact

    def put(self, path: Path, value: Any) -> str:
        return write.put(self.text, path, value, self.source)

    def remove(self, indexes: list[int]) -> str:
        text = self.text
        for index in sorted(indexes, reverse=True):
            text = write.remove(text, self.at(index), self.source)
        return text

    def replace(self, items: list[Any]) -> str:
        """Those that do not count stay, between the same neighbours as far as these do."""
        for index, entry in enumerate(self.entries):
            if index not in self.counted:
                items.insert(min(index, len(items)), entry)
        if not items and not self.entries:
            return write.remove(self.text, (self.name,), self.source)
        return self.put((self.name,), items)


def _edit(name: str, src: str, change: Callable[[List], str]) -> Edit:
    return lambda text: change(List.of(text, name, src))


async def _change(call: Call, name: str, change: Callable[[List], str]) -> Done:
    await saved(call, _edit(name, source(call), change))
    return Done()


# --- lists of texts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextRoutes:
    """`generative-language-api-key` is a view of the Gemini list: its keys alone. A write leaves nothing but those."""

    name: str
    behind: str

    async def read(self, call: Call) -> dict[str, list[str]]:
        config = call.house.config
        plain = config.api_keys if self.behind == self.name else [entry.api_key for entry in config.gemini_api_key]
        return {self.name: list(plain) if call.reveal else shown(self.name, list(plain))}

    async def replace(self, call: Call) -> Done:
        items: list[str] = call.body.items if isinstance(call.body, Texts) else call.body

        def of(found: List) -> str:
            return self._stored(found, found.masks.meant(self.name, items, self._words(found), self.name))

        return await _change(call, self.behind, of)

    async def patch(self, call: Call) -> Done:
        body: OneText = call.body
        if (body.index is None or body.value is None) and (body.old is None or body.new is None):
            raise Refused(400, "invalid body", message="give index and value, or old and new")

        def of(found: List) -> str:
            words = self._words(found)
            if body.index is not None and body.value is not None:
                place, new = body.index, body.value
                if place >= len(words):
                    raise Refused(404, "item not found")
            else:
                old, new = found.masks.named(self.name, (body.old or "").strip(), words, "old"), body.new or ""
                place = words.index(old) if old in words else len(words)
            was = words[place] if place < len(words) else None
            words[place : place + 1] = [found.masks.meant(self.name, new.strip(), was, self.name)]
            return self._stored(found, words)

        return await _change(call, self.behind, of)

    async def remove(self, call: Call) -> Done:
        index, value = call.query.get("index", ""), call.query.get("value", "").strip()
        if not index and not value:
            raise Refused(400, "missing index or value")

        def of(found: List) -> str:
            words = self._words(found)
            if index:
                if not 0 <= int(index) < len(words):
                    raise Refused(404, "item not found")
                return self._stored(found, words[: int(index)] + words[int(index) + 1 :])
            gone = found.masks.named(self.name, value, words, "value")
            return self._stored(found, [word for word in words if word != gone]) if gone in words else found.text

        return await _change(call, self.behind, of)

    def _words(self, found: List) -> list[str]:
        return [str(entry.get("api-key", "")) if isinstance(entry, dict) else str(entry) for entry in found.entries]

    def _stored(self, found: List, words: list[str]) -> str:
        words = list(dict.fromkeys(word.strip() for word in words if word.strip()))
        return found.replace([*words] if self.behind == self.name else [{"api-key": word} for word in words])


# --- lists of entries -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EntryRoutes:
    kind: Kind

    async def read(self, call: Call) -> dict[str, list[Entry]]:
        name = self.kind.name
        entries = msgspec.to_builtins(getattr(call.house.config, name.replace("-", "_")))
        return {name: entries if call.reveal else shown(name, entries)}

    async def replace(self, call: Call) -> Done:
        items: list[Entry] = call.body.items if isinstance(call.body, Entries) else call.body
        name, needs = self.kind.name, self.kind.needs

        def of(found: List) -> str:
            # Without defaults, of which an answer is full: only then can be seen what is the same.
            given = keys.tidied((name,), [_present(item) for item in items], None)
            given = found.masks.meant(name, given, keys.tidied((name,), found.seen, None), name)
            where = write.matched(found.seen, given)
            kept = [_kept(item, found.seen[where[i]] if i in where else {}) for i, item in enumerate(given)]
            kept = [item for item in kept if not needs or item.get(needs)]
            if needs == "api-key":  # CLIProxyAPI counts a Gemini key once
                kept = list({str(item[needs]): item for item in reversed(kept)}.values())[::-1]
            return found.replace(keys.tidied((name,), kept, found.seen))

        return await _change(call, name, of)

    async def patch(self, call: Call) -> Done:
        body: OneEntry = call.body
        by, needs = self.kind.by, self.kind.needs
        match = body.name if by == "name" else body.match
        if body.index is None and match is None:
            raise Refused(400, "invalid body", message=f"give index or {'name' if by == 'name' else 'match'}")

        def of(found: List) -> str:
            index = body.index if body.index is not None else _first(found.named(by, (match or "").strip()))
            path, old = found.at(index), found.seen[index]
            value = found.masks.meant(self.kind.name, _present(body.value), old, write.dotted(path))
            if needs in value and not value[needs]:
                return found.remove([index])
            whole = {**(old if isinstance(old, dict) else {}), **value}
            return found.put(path, keys.tidied(path, whole, old))

        return await _change(call, self.kind.name, of)

    async def remove(self, call: Call) -> Done:
        by = self.kind.by
        index, name = call.query.get("index", ""), call.query.get(by, "").strip()
        if not index and not name:
            raise Refused(400, f"missing {by} or index")

        def of(found: List) -> str:
            gone = [int(index)] if index else found.named(by, name)
            base = call.query.get("base-url")
            if base is not None and len(gone) > 1:  # one key at several addresses: later panels say which
                gone = [one for one in gone if str(found.seen[one].get("base-url") or "") == base.strip()]
            if not gone and self.kind.strict:
                raise Refused(404, "item not found")
            return found.remove(gone) if gone else found.text

        return await _change(call, self.kind.name, of)


def _first(found: list[int]) -> int:
    if not found:
        raise Refused(404, "item not found")
    return found[0]


def _present(entry: Entry) -> Entry:
    """With older spellings turned into the present ones, and no white space around what was pasted."""
    entry = {name: value.strip() if isinstance(value, str) else value for name, value in entry.items()}
    older = entry.pop("api-keys", None)
    if isinstance(older, list):
        entry["api-key-entries"] = [*(entry.get("api-key-entries") or []), *({"api-key": key} for key in older)]
    return entry


def _kept(new: Entry, old: Any, where: str = "") -> Entry:
    """`new` with what it is silent on and may not know of."""
    if not isinstance(old, dict):
        return new
    unknown = _OURS if not where else frozenset()
    later = {name for place, names in legacy.LATER.items() if place.endswith(f"[]{where}") for name in names.split()}
    kept = {name: value for name, value in old.items() if name in unknown | later and name not in new}
    if kept.get("excluded-models") == _OFF:
        del kept["excluded-models"]
    for name, members in new.items():
        before = old.get(name)
        if isinstance(members, list) and isinstance(before, list) and name in {"models", "api-key-entries"}:
            place = write.matched(before, members)
            below = ".models[]" if name == "models" else ""
            kept[name] = [
                _kept(member, before[place[i]], below) if i in place and isinstance(member, dict) else member
                for i, member in enumerate(members)
            ]
    return new | kept


# --- the four of each -------------------------------------------------------------------------------------------------


def _four(
    name: str, what: str, does: TextRoutes | EntryRoutes, bodies: tuple[Any, Any], answers: Any, named: Query
) -> Iterator[Route]:
    also = REFUSALS | {404: "`item not found`"}
    reveal = Query("reveal", "In clear; from this machine only.", "boolean")
    query = (Query("index", "Which, from 0.", "integer"), named)
    whole, one = bodies
    yield Route("GET", f"/{name}", does.read, f"{what}.", "config", (reveal,), answers=answers, theirs=True)
    yield Route("PUT", f"/{name}", does.replace, f"Replaces: {what}.", "config", body=whole, also=also, theirs=True)
    yield Route("PATCH", f"/{name}", does.patch, f"Changes one of: {what}.", "config", body=one, also=also, theirs=True)
    yield Route("DELETE", f"/{name}", does.remove, f"Removes one of: {what}.", "config", query, also=also, theirs=True)


def _text_routes(name: str, behind: str, what: str) -> Iterator[Route]:
    bodies, answers = (list[str] | Texts, OneText), dict[str, list[str]]
    return _four(name, what, TextRoutes(name, behind), bodies, answers, Query("value", "The key, or its mask."))


def _entry_routes(kind: Kind) -> Iterator[Route]:
    what = next(key.says for key in keys.every() if key.path == kind.name).rstrip(".")
    bodies, answers = (list[Entry] | Entries, OneEntry), dict[str, list[Entry]]
    query = Query(kind.by, "The entry's name." if kind.by == "name" else "The key, or its mask.")
    return _four(kind.name, what, EntryRoutes(kind), bodies, answers, query)


ROUTES: Final[tuple[Route, ...]] = (
    *_text_routes("api-keys", "api-keys", "Client keys of the configuration"),
    *_text_routes("generative-language-api-key", "gemini-api-key", "Gemini keys, without what else is set for them"),
    *(route for kind in _KINDS for route in _entry_routes(kind)),
)
