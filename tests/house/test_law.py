"""The house's own rules, held by a test where no linter holds them."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "vaultd").rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_fits_its_room(path: Path) -> None:
    """500 lines a file, 70 a function: beyond that there is a seam nobody has found yet."""
    text = path.read_text()
    assert len(text.splitlines()) <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 70, f"{node.name} is too long"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_says_why_it_exists(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree), "no module docstring"


def test_no_room_is_called_miscellaneous() -> None:
    assert not [p for p in SOURCES if p.stem in {"utils", "common", "helpers", "base", "manager"}]


def test_only_the_terminal_prints() -> None:
    printing = [
        p.relative_to(ROOT)
        for p in SOURCES
        if any(
            isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "print"
            for n in ast.walk(ast.parse(p.read_text()))
        )
    ]
    assert printing in ([], [Path("vaultd/cli/terminal.py")])


def test_the_repository_speaks_of_the_project_alone() -> None:
    """No machine path, no registry host: what is true on one machine only does not belong here."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    bad = re.compile(rb"/root/|(?<!vaultd)(?<!tests)/work/|/home/[a-z]{3,}/|pypi\.org|registry\.npmjs")
    here = Path(__file__)
    found = [
        n for n in names if n and (ROOT / n).is_file() and (ROOT / n) != here and bad.search((ROOT / n).read_bytes())
    ]
    assert found == []
