"""Every command that a page tells a person to type is one that vaultd has, with the options it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from markdown_pages import ROOT, all_pages, blocks, tokens

from vaultd.cli import document

#: A command line, up to what ends it in a shell or in prose.
_COMMAND = re.compile(r"(?:^|[\s(|&;/])(?:vaultd )*vaultd ((?:[^\s|&;)#>]+ *)+)", re.MULTILINE)
#: Of the root, and of every command.
_EVERYWHERE = {"--help", "-h", "--version", "--config"}
#: Written from the commands themselves, and a list of what was: what is gone may stand there.
_PAGES = [page for page in all_pages() if page.name not in {"commands.md", "CHANGELOG.md"}]


@cache
def _known() -> dict[str, set[str]]:
    """The words of each command, and its options."""
    return {
        entry.path: {name.split()[0] for names, _ in entry.options for name in re.split(r"[,/] ?", names)}
        for entry in document.entries()
    }


def _named(page: Path) -> Iterator[str]:
    inline = (child for token in tokens(page) for child in token.children or () if child.type == "code_inline")
    for text in [*(child.content for child in inline), *blocks(page, "sh", "")]:
        yield from _COMMAND.findall(text.replace("\\\n", " "))


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_it_names_is_one_that_vaultd_has(page: Path) -> None:
    assert [why for words in _named(page) if (why := _wrong(words.split()))] == []


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_word_of_make_that_it_names_exists(page: Path) -> None:
    rules = "".join(file.read_text() for file in [ROOT / "Makefile", *ROOT.glob("*.mk")])
    words = set(re.findall(r"^([a-z-]+):", rules, re.MULTILINE))
    inline = (child for token in tokens(page) for child in token.children or () if child.type == "code_inline")
    texts = [*(child.content for child in inline), *blocks(page, "sh", "")]
    assert {word for text in texts for word in re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)} <= words


def _wrong(words: list[str]) -> str:
    """What is wrong with a command line; nothing where nothing is."""
    path = "vaultd"
    for word in words:
        if f"{path} {word}" not in _known():
            break
        path += f" {word}"
    if path == "vaultd":
        # Else the word is a service's, a user's or a folder's name, or `vaultd COMMAND`.
        return f"no such command: {' '.join(words)}" if re.fullmatch("[a-z][a-z-]*", words[0]) else ""
    options = {word.partition("=")[0].strip("[],") for word in words if word.startswith("--")}
    if path == "vaultd login":
        options -= {word for word in options if word.removeprefix("--") in {"acme", "…", "<id>"}}
    unknown = options - _known()[path] - _EVERYWHERE
    return f"{path} has no {', '.join(sorted(unknown))}" if unknown else ""
