"""The panel as it is shipped: what is vendored is what its authors published, nothing is inline or from elsewhere, and
every text stands in both languages. Read from the files; what a browser makes of them is for the browser's stories."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

import pytest

import vaultd.server
from vaultd.work.health.codes import FAULTS

PANEL: Final = Path(vaultd.server.__file__).parent / "panel"
VENDOR: Final = PANEL / "vendor"
OWN: Final = sorted(
    path for suffix in ("js", "css", "html") for path in PANEL.rglob(f"*.{suffix}") if VENDOR not in path.parents
)
ENGLISH: Final = sorted(path for path in (PANEL / "texts").iterdir() if path.name.endswith(("en.js",)))
#: A line of a file of texts: `"key": "what it says",`.
TEXT: Final = re.compile(r'^  "([^"]+)":\s*\n?\s*"((?:[^"\\]|\\.)*)",?$', re.MULTILINE)


def texts(path: Path) -> dict[str, str]:
    return dict(TEXT.findall(path.read_text()))


def rows() -> dict[str, tuple[str, str]]:
    """File → licence and hash, as the README's table has them."""
    found = re.findall(
        r"^\| `([^`]+)` \|.*\]\(([^)]+)\) \| `([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.MULTILINE
    )
    return {name: (licence, digest) for name, licence, digest in found}


def test_every_vendored_file_is_named_with_its_licence_and_its_hash() -> None:
    shipped = {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}}
    assert shipped == set(rows())
    for name, (licence, digest) in rows().items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
        assert "Licen" in (VENDOR / licence).read_text() or "LICEN" in (VENDOR / licence).read_text()


def test_the_one_edited_file_is_the_published_one_but_for_its_neighbours_name() -> None:
    published = (VENDOR / "hooks.js").read_text().replace('from"./preact.js"', 'from"preact"')
    assert hashlib.sha256(published.encode()).hexdigest() in (VENDOR / "README.md").read_text()


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = (PANEL / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\ssrc=)[^>]*>|<style|\sstyle=|\son\w+=", page) == []
    for path in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert path.startswith("/panel/")
        assert (PANEL / path.removeprefix("/panel/")).is_file(), path


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(PANEL)))
def test_a_file_says_why_it_is_there_and_is_no_longer_than_any_other_of_ours(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= 500
    assert source.startswith(("//", "/*", "<!doctype html>\n<!--"))
    # An address is a sample's, told to a person, and never fetched: those are built from what the daemon answers.
    assert re.findall(r"""(?:import|from|fetch|url)\s*\(?\s*["']?(?:https?:)?//""", source) == []
    assert re.findall(r"\beval\(|new Function\(|innerHTML|dangerouslySetInnerHTML|document\.write", source) == []


@pytest.mark.parametrize("path", ENGLISH, ids=lambda path: path.name)
def test_every_text_is_there_in_chinese_with_the_same_parameters(path: Path) -> None:
    english, chinese = texts(path), texts(path.with_name(path.name.replace("en.js", "zh.js")))
    # Chinese has no singular of its own; what the daemon says in English has a text in Chinese alone.
    assert {key for key in english if not key.endswith(".one")} <= set(chinese)
    for key in english.keys() & chinese.keys():
        assert set(re.findall(r"\{(\w+)\}", chinese[key])) == set(re.findall(r"\{(\w+)\}", english[key])), key


def test_every_text_that_is_asked_for_is_there() -> None:
    known = {key for path in ENGLISH for key in texts(path)}
    for path in OWN:
        for key in re.findall(r"""\bt\(\s*"([^"$]+)"\s*[,)]""", path.read_text()):
            assert key in known, f"{path.name}: {key}"


def test_every_fault_has_its_meaning_in_chinese() -> None:
    found = texts(PANEL / "texts" / "findings.zh.js")
    assert {key.removeprefix("finding.") for key in found} == set(FAULTS)
