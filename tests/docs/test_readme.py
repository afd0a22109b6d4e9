"""The first minute in English and in Chinese: the same commands, links, rows."""

from __future__ import annotations

import re
from pathlib import Path

from markdown_pages import ROOT, blocks, links, tokens

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh.md"
COMMENT = re.compile(r"\s+#.*$", re.MULTILINE)


def test_both_have_the_same_commands() -> None:
    english, chinese = ([COMMENT.sub("", block) for block in blocks(page)] for page in (ENGLISH, CHINESE))
    assert english == chinese


def test_both_lead_to_the_same_pages_in_the_same_order_and_to_each_other() -> None:
    english, chinese = links(ENGLISH), links(CHINESE)
    assert (english[0], chinese[0]) == ("README.zh.md", "README.md")
    assert english[1:] == chinese[1:]


def test_both_have_the_same_headings_rows_and_words_of_code() -> None:
    def shape(page: Path) -> list[str]:
        return [token.type for token in tokens(page) if token.type in {"heading_open", "tr_open", "list_item_open"}]

    def code(page: Path) -> list[str]:
        inline = (child for token in tokens(page) for child in token.children or ())
        return sorted(child.content for child in inline if child.type == "code_inline")

    assert shape(ENGLISH) == shape(CHINESE)
    assert code(ENGLISH) == code(CHINESE)
