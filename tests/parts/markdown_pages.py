"""What the tests of the documentation share: every Markdown file, its links, anchors and code blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
#: Folders that hold nobody's pages of ours: environments, build results, packages of others.
_NOT_OURS = {"build", "dist", "node_modules"}


def all_pages() -> list[Path]:
    return sorted(
        page
        for page in ROOT.rglob("*.md")
        if not any(part.startswith(".") or part in _NOT_OURS for part in page.relative_to(ROOT).parts)
    )


@cache
def tokens(page: Path) -> list[Token]:
    return MarkdownIt("gfm-like", {"linkify": False}).parse(page.read_text())


def _below(page: Path) -> Iterator[Token]:
    for token in tokens(page):
        yield token
        yield from token.children or ()


def links(page: Path) -> list[str]:
    """Where the page's links and pictures lead, as written."""
    found = (token.attrGet("href") or token.attrGet("src") for token in _below(page))
    return [str(target) for target in found if target is not None]


def blocks(page: Path, *languages: str) -> list[str]:
    """The page's code blocks; of these languages only, where any are named."""
    return [t.content for t in tokens(page) if t.type == "fence" and (not languages or t.info.strip() in languages)]


@cache
def anchors(page: Path) -> frozenset[str]:
    """What a forge makes of the page's headings: lower case, no punctuation, a number for the second of a name."""
    seen: Counter[str] = Counter()
    found = set()
    stream = tokens(page)
    for opening, inline in pairwise(stream):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or () if child.type in {"text", "code_inline"})
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return frozenset(found)
