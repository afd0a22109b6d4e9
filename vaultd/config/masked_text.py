"""The configuration's text as it may be shown, and the text that is meant by one that was shown and edited.

Secrets are masked where they stand, so that comments, order and quotes are seen as they are. Comments hold keys too,
ones that are switched off most of all: what is a known key, or looks like one, is masked there as well.
"""

from __future__ import annotations

import re
from typing import Final

from vaultd.config import layout, write
from vaultd.config.layout import Layout, Path
from vaultd.config.masked import Masks, key_at, mask

#: A key that is commented out; a URL with a password; what the vendors' keys and ours begin with.
_COMMENTED: Final = re.compile(
    r"((?:api-key|secret-key|client-secret|management-key)s?[\"']?\s*:\s*[\"']?)(?!.*\.\.\.)([^\s\"',{}\]#<\[]{8,})"
    r"|(//)([^/@\s]+)(?=@)"
    r"|()\b((?:sk|vk|pk|key)-[A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{16,})"
)


def masked_text(text: str, source: str, masks: Masks | None = None) -> str:
    """Raises Misconfigured where the text is no configuration: then nobody can say what in it is a key."""
    place = Layout(text, source)
    raw = write.tree(text, source)
    masks = masks or Masks(raw)
    splices = [(start, end, _comment(text[start:end], masks)) for start, end in place.comments()]
    for path, start, end, quotes in place.scalars():
        value = str(write.at(raw, path))
        seen = masks.seen(key_at(path), value)
        if seen != value:
            splices.append((start, end, layout.scalar(seen, quotes)))
    return _spliced(text, splices)


def meant_text(text: str, old: str, source: str) -> str:
    """`text` with each mask in it replaced by the key that it stands for in `old`, as it is written there. Raises
    Unclear."""
    raw, before = write.tree(text, source), write.tree(old, source)
    masks = Masks(before)
    meant = masks.meant("", raw, before)
    place = Layout(text, source)
    written = _written(old, source)
    splices = []
    for path, start, end, quotes in place.scalars():
        value, given = str(write.at(meant, path)), str(write.at(raw, path))
        known, spelled = written.get(path, ("", ""))
        if value == given and masks.seen(key_at(path), known) == given:
            value = known
        if value != given:
            splices.append((start, end, spelled if known == value else layout.scalar(value, quotes)))
    was: dict[str, set[str]] = {}
    for start, end in Layout(old, source).comments():
        was.setdefault(_comment(old[start:end], masks), set()).add(old[start:end])
    for start, end in place.comments():
        originals = was.get(text[start:end], set())
        if len(originals) == 1:
            splices.append((start, end, next(iter(originals))))
    return _spliced(text, splices)


def _written(text: str, source: str) -> dict[Path, tuple[str, str]]:
    """Each scalar's value, and how it is written."""
    raw = write.tree(text, source)
    return {path: (str(write.at(raw, path)), text[start:end]) for path, start, end, _ in Layout(text, source).scalars()}


def _comment(text: str, masks: Masks) -> str:
    def hide(found: re.Match[str]) -> str:
        lead, secret = next((a, b) for a, b in zip(found.groups()[::2], found.groups()[1::2], strict=True) if b)
        return f"{lead or ''}{mask(secret) if lead != '//' else '****'}"

    return _COMMENTED.sub(hide, masks.hidden(text))


def _spliced(text: str, splices: list[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(splices, reverse=True):
        text = text[:start] + new + text[end:]
    return text
