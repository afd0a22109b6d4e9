"""No link of any page leads nowhere: files and anchors, offline. Links to elsewhere are `make links`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_pages import ROOT, all_pages, anchors, links


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert {link: why for link in links(page) if (why := _lost(page, link))} == {}


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
