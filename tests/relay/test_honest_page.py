"""docs/honest-relay.md names every header, every hook and every member that is touched; nobody adds one in silence."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vaultd.catalog.hooks import req_codex
from vaultd.catalog.hooks.requests import REQUEST_HOOKS
from vaultd.catalog.load import load, shipped_folder
from vaultd.config.model import Alias, Compat, Config
from vaultd.work import headers

PAGE = (Path(__file__).parents[2] / "docs" / "honest-relay.md").read_text()
WORDS = set(re.findall(r"`([^`]+)`", PAGE))
COMPAT = Compat(name="acme", base_url="https://acme.example/v1", models=[Alias(name="m")])
PROVIDERS = load(shipped_folder(), None, Config(openai_compatibility=[COMPAT]), "a test").providers


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows() -> dict[str, tuple[set[str], str]]:
    """Hook → whose it is, what it changes."""
    cells = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \|", section("Hooks"), re.MULTILINE)
    return {hook: ({name.strip(" `") for name in whose.split(",")}, what) for hook, whose, what in cells}


def test_every_hook_is_a_row_and_every_row_a_hook() -> None:
    assert set(rows()) == set(REQUEST_HOOKS)


@pytest.mark.parametrize("hook", sorted(REQUEST_HOOKS))
def test_the_row_names_the_providers_that_have_the_hook(hook: str) -> None:
    having = {name for name, entry in PROVIDERS.items() if hook in entry.provider.api.hooks}
    assert {"openai-compatibility" if name == "acme" else name for name in having} == rows()[hook][0]


def test_the_row_of_codex_names_every_member_it_drops() -> None:
    assert {name for name in req_codex.REFUSED if f"`{name}`" not in rows()["codex-body"][1]} == set()


@pytest.mark.parametrize(
    ("title", "listed"),
    [
        ("Headers of the client that pass", [*headers.REQUEST, *headers.REQUEST_PREFIXES]),
        ("Headers of the vendor that come back", [*headers.ANSWER, *headers.ANSWER_PREFIXES]),
    ],
)
def test_the_allow_lists_are_those_of_the_page(title: str, listed: list[str]) -> None:
    told = {word for word in re.findall(r"`([^`]+)`", section(title)) if word == word.lower() and "/" not in word}
    assert told == set(listed)


def test_every_header_and_query_that_a_manifest_adds_is_named() -> None:
    for name, entry in PROVIDERS.items():
        api = entry.provider.api
        for header, value in [*api.headers.items(), *api.append_headers.items()]:
            assert f"{header}: {value}" in WORDS, name
            assert name in PAGE
        for header in api.fact_headers:
            assert header in WORDS, name
        for query in api.query.values():
            assert query in WORDS, name
