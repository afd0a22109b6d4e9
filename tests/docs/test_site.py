"""The site builds without a warning, and every page of docs/ is on it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_pages import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, planted: Callable[[Path], Path]) -> Path:
    """Built as `make site` builds it."""
    out = tmp_path_factory.mktemp("site")
    line = re.search(r"sphinx-build (.*) \. build/site", (ROOT / "Makefile").read_text())
    assert line is not None
    words = [
        sys.executable,
        "-m",
        "sphinx",
        *line.group(1).split(),
        "-d",
        str(out / "doctrees"),
        ".",
        str(out / "html"),
    ]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # The page for contributors tells what every test token contains.
    planted(out / "doctrees" / "CONTRIBUTING.doctree")
    return planted(out / "html" / "CONTRIBUTING.html").parent


def test_the_site_builds_with_every_link_and_no_warning(site: Path) -> None:
    assert {page.stem for page in PAGES} == {page.stem for page in (site / "docs").glob("*.html")}


def test_every_page_is_reached_from_the_start(site: Path) -> None:
    start = (site / "docs" / "index.html").read_text()
    assert [page.name for page in PAGES if f'href="{page.stem}.html"' not in start and page.stem != "index"] == []
    assert "docs/index.html" in (site / "index.html").read_text()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="(https?:[^"]+)"')
    assert [found for page in site.rglob("*.html") for found in loads.findall(page.read_text())] == []
