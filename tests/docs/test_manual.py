"""What the command line says of itself on paper: docs/commands.md and the manual page."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from markdown_pages import ROOT

from vaultd.cli import document, main


def test_both_pages_are_current() -> None:
    assert (ROOT / document.COMMANDS_PAGE).read_text() == document.page(), "run `make docs`"
    assert (ROOT / document.MANUAL).read_text() == document.manual(), "run `make docs`"


def test_every_command_is_told_with_every_exit_code() -> None:
    told = {entry.path.split()[1] for entry in document.entries()}
    assert told == set(main.COMMANDS)
    codes = {code for _, code in main.EXIT_CODES} | {main.USAGE, main.INTERNAL, main.INTERRUPTED, main.READER_GONE}
    assert codes <= set(document.EXIT_CODES)


def test_the_manual_is_no_mans_error(tool: Callable[[str], str]) -> None:
    page = str(ROOT / document.MANUAL)
    judged = subprocess.run([tool("mandoc"), "-T", "lint", "-W", "error", page], capture_output=True, check=False)
    assert (judged.returncode, judged.stdout) == (0, b"")
    shown = subprocess.run([tool("mandoc"), "-T", "utf8", page], capture_output=True, text=True, check=True).stdout
    plain = "".join(char for i, char in enumerate(shown) if char != "\b" and shown[i + 1 : i + 2] != "\b")
    assert "vaultd credentials set [OPTIONS] CREDENTIAL" in plain
    assert "--max-parallel" in plain, "options are hyphens that can be copied, not dashes"
