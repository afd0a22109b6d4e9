"""The configuration as it may be shown: every secret masked, and a mask that comes back read as the one key it masks.

A mask that stands for none, or for one of two, is refused: neither may a mask be stored, nor a key end up in another
entry, where it would be sent to another host. `config.masked_text` does the same to the file's text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, Final

import msgspec

from vaultd.config import yaml
from vaultd.config.model import Config
from vaultd.errors import Misconfigured

#: Enough to tell two keys apart, and never more than a third of one.
_SHOWN: Final = 4
_STARS: Final = "****"
_SECRET_KEYS: Final = frozenset(
    {"api-key", "api-keys", "secret-key", "client-secret", "generative-language-api-key", "remote-management-key"}
)
#: What lets people in here stands for itself in its own place alone: elsewhere it would be sent to a vendor.
_STAYS: Final = frozenset({"secret-key", "remote-management-key"})
#: Some endpoints take their key so, and a `base-url` may end in it.
_IN_QUERY: Final = re.compile(r"(?<=[?&])((?:api[-_]?)?key|(?:access[-_]?)?token)=[^&#]+", re.IGNORECASE)
#: A secret shorter than this is left out of other text only where it stands as a word of its own.
_WORD_MAX: Final = 12
#: And one shorter than this nowhere: as a header's value it may be any word.
_WORD_MIN: Final = 6


class Unclear(Misconfigured):
    """A mask that is given for a key, and stands for none or for several. `path`: where."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path


def masked(config: Config) -> dict[str, Any]:
    """Key as in the file → value, in the order of the model."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    return {key: shown(key, value) for key, value in plain.items()}


def mask(secret: str) -> str:
    if not secret:
        return ""
    if len(secret) < 6 * _SHOWN:
        return _STARS
    return f"{secret[:_SHOWN]}{_STARS}{secret[-_SHOWN:]}"


def shown(key: str, value: Any) -> Any:
    """`value` as it may be shown where it stands at `key`."""
    if isinstance(value, Mapping):
        return {name: shown(_below(key, name), member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [shown(key, member) for member in value]
    if not isinstance(value, str):
        return value
    if key in _SECRET_KEYS:
        return mask(value)
    if key == "webhook-url":  # who knows its path may post there
        return re.sub(r"(?<=://)(?:[^/@]*@)?([^/?#]*)[/?#].*", rf"\1/{_STARS}", value, flags=re.DOTALL)
    if not key.endswith("-url"):
        return value
    return _IN_QUERY.sub(rf"\1={_STARS}", re.sub(r"(?<=//)[^/@]*@", f"{_STARS}@", value))


def secret_at(key: str) -> bool:
    """Whether text at `key` may hold a secret."""
    return key in _SECRET_KEYS or key.endswith("-url")


def key_at(path: tuple[str | int, ...]) -> str:
    """The key that decides what a value may be: the last one on its path; within `headers` each may be a secret."""
    names = [step for step in path if isinstance(step, str)]
    if not names:  # a text that is nothing but `null`
        return ""
    return "api-key" if "headers" in names[:-1] else names[-1]


class Masks:
    """The secrets of one configuration, and what is shown in their place."""

    def __init__(self, *trees: Any) -> None:
        """`trees`: the configuration as it was read, older spellings and all."""
        self._known: dict[str, set[str]] = {}
        words: dict[str, str] = {}
        for tree in trees:
            for key, value in _scalars("", tree):
                seen = shown(key, value)
                if seen != value:
                    words[value] = seen
                    if key not in _STAYS:
                        self._known.setdefault(seen, set()).add(value)
        self._words = sorted(words.items(), key=lambda pair: len(pair[0]), reverse=True)

    def hidden(self, text: str) -> str:
        """Any other text, with every secret that is known left out."""
        for word, seen in self._words:
            if len(word) >= _WORD_MAX:
                text = text.replace(word, seen)
            elif len(word) >= _WORD_MIN:
                text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", seen.replace("\\", r"\\"), text)
        return text

    def seen(self, key: str, value: str) -> str:
        """Text as it may be shown where it stands at `key`, other secrets within it left out."""
        found = str(shown(key, value))
        return found if key in _SECRET_KEYS else self.hidden(found)

    def meant(self, key: str, value: Any, old: Any = None, path: str = "") -> Any:
        """`value` with every mask in it replaced by what it stands for. `old`: what stood in its place, which a mask
        that fits both stands for first. Raises Unclear."""
        path = path or key
        if isinstance(value, Mapping):
            was = old if isinstance(old, Mapping) else {}
            return {
                name: self.meant(_below(key, name), member, was.get(name), yaml.join(path, str(name)))
                for name, member in value.items()
            }
        if isinstance(value, list):
            before = old if isinstance(old, list) else []
            return [
                self.meant(key, member, counterpart, f"{path}[{index}]")
                for index, (member, counterpart) in enumerate(
                    zip(value, _counterparts(key, value, before), strict=True)
                )
            ]
        if not isinstance(value, str) or not secret_at(key) or _STARS not in value:
            return value
        if isinstance(old, str) and value in (old, shown(key, old), self.seen(key, old)):
            return old
        return self._one(self._known.get(value, set()), path)

    def named(self, key: str, value: str, among: Iterator[str] | list[str], path: str) -> str:
        """The key that `value` names, itself or its mask; `value` where it is neither. Raises Unclear."""
        keys = set(among)
        if value in keys or _STARS not in value:
            return value
        return self._one({secret for secret in keys if shown(key, secret) == value}, path)

    def _one(self, found: set[str], path: str) -> str:
        if len(found) == 1:
            return next(iter(found))
        if found:
            raise Unclear(path, "this mask stands for more than one key; write the key itself")
        raise Unclear(
            path, "this is a mask, and no key that it stands for is in the configuration; write the key itself"
        )


def _below(key: str, name: Any) -> str:
    # A header set by hand is as likely a key as not.
    return "api-key" if key == "headers" else str(name)


def _scalars(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _scalars(_below(key, name), member)
    elif isinstance(value, list):
        for member in value:
            yield from _scalars(key, member)
    elif isinstance(value, str) and value:
        yield key, str(value)


def _counterparts(key: str, new: list[Any], old: list[Any]) -> list[Any]:
    """For each member of `new` the one of `old` that it was, or None where that is not certain: the same, as far as can
    be seen; else the only one left of that key or name."""
    seen = [shown(key, member) for member in old]
    found: list[Any] = [None] * len(new)
    free = set(range(len(old)))

    def take(fits: Callable[[Any, Any], bool]) -> None:
        for index, member in enumerate(new):
            if found[index] is not None:
                continue
            fitting = [i for i in sorted(free) if fits(seen[i], member)]
            rivals = [j for j, other in enumerate(new) if found[j] is None and _alike(other, member)]
            if fitting and (len({_text(old[i]) for i in fitting}) == 1 or len(fitting) == len(rivals)):
                found[index] = old[fitting[0]]
                free.remove(fitting[0])

    take(lambda left, right: _text(left) == _text(right))
    take(lambda left, right: _name(left) is not None and _name(left) == _name(right))
    return found


def _alike(one: Any, other: Any) -> bool:
    return bool(_text(one) == _text(other))


def _name(entry: Any) -> str | None:
    if isinstance(entry, Mapping):
        return next((f"{at}={entry[at]}" for at in ("api-key", "name", "id") if entry.get(at)), None)
    return None


def _text(value: Any) -> Hashable:
    """For comparing what a file says with what came as JSON: there a number is text too. Nested as it is: text of text
    would double its quotes at each level."""
    if isinstance(value, Mapping):
        members = {str(name): _text(member) for name, member in value.items() if member is not None}
        return ("{}", *sorted(members.items(), key=lambda member: member[0]))
    if isinstance(value, list):
        return ("[]", *map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
