"""No link of any page leads nowhere: files and anchors, offline; to elsewhere, `make links`. No cell is lost either."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_pages import ROOT, all_pages, anchors, links, tokens

_BAR = re.compile(r"(?<!\\)\|")


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert {link: why for link in links(page) if (why := _lost(page, link))} == {}


def test_no_row_of_a_table_has_a_cell_more_than_its_head() -> None:
    """A bar parts cells even within code (GFM 4.10), and what is beyond the last column is shown nowhere."""
    cut = []
    for page in all_pages():
        lines, head = page.read_text().splitlines(), ""
        for token in tokens(page):
            if token.map and token.type in {"thead_open", "tr_open"}:
                row = lines[token.map[0]]
                head = row if token.type == "thead_open" else head
                cut += [f"{page.name}: {row}"] if len(_BAR.findall(row)) > len(_BAR.findall(head)) else []
    assert cut == []


def _lost(page: Path, link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme in {"http", "https", "mailto"}:
        return ""
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_relative_to(ROOT):
        return "outside of the repository"
    if not target.exists():
        return "no such file"
    if parts.fragment and target.suffix == ".md" and parts.fragment not in anchors(target):
        return f"no such heading in {target.relative_to(ROOT)}"
    return ""
