"""The page Settings tells what each key means in the language of its person: English comes with the key itself, Chinese
stands in the page's own texts, which a new key has to join."""

from __future__ import annotations

import re
from pathlib import Path

from vaultd import server
from vaultd.config import keys

TEXTS = Path(server.__file__).parent / "panel" / "texts" / "settings.zh.js"


def test_every_key_of_the_configuration_is_told_in_chinese_and_none_that_is_gone() -> None:
    told = re.findall(r'^  "settings\.says\.([\w.-]+)":', TEXTS.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(key.path for key in keys.every())
