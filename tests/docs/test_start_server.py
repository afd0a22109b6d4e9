"""What the server's page has an operator type is what `make boot` types on a machine of its own."""

from __future__ import annotations

from markdown_pages import ROOT, blocks


def test_the_lines_of_the_installation_are_those_that_are_tried() -> None:
    tried = (ROOT / "benchmarks" / "boot" / "operator.sh").read_text()
    first, *lines = blocks(ROOT / "docs" / "start-server.md", "sh")[0].splitlines()
    assert first == "python3 -m venv /opt/vaultd && /opt/vaultd/bin/pip install --quiet ."
    assert [line for line in lines if f"types '{line}'" not in tried] == []
    assert len(lines) < 10
