"""The generated pages are current, and say something of every key."""

from __future__ import annotations

from pathlib import Path

import msgspec

from vaultd.catalog import document as manifest_document
from vaultd.config import document
from vaultd.config.masked import mask, masked
from vaultd.config.model import Config, KeyEntry, RemoteManagement

ROOT = Path(__file__).parents[2]


def test_the_configuration_page_is_current() -> None:
    assert (ROOT / document.PAGE).read_text() == document.page(), "run `make docs`"


def test_the_manifest_schema_is_current() -> None:
    assert (ROOT / manifest_document.PAGE).read_bytes() == manifest_document.schema(), "run `make docs`"


def test_every_key_has_a_meaning() -> None:
    for line in document.page().splitlines():
        if line.startswith("| `"):
            assert line.count("|") == 5
            assert len(line.rsplit("|", 2)[1].strip()) > 3, line


def test_shown_values_are_masked() -> None:
    config = Config(
        api_keys=["sk-CANARY7f3kQ9zR2mX8wL5vB1nH6tY4cJ0"],
        proxy_url="socks5://user:CANARY@proxy.example:1080",
        claude_api_key=[KeyEntry(api_key="CANARY-short", headers={"Authorization": "CANARY"})],
        remote_management=RemoteManagement(secret_key="CANARY"),
        providers={"codex": {"oauth": {"client-secret": "CANARY"}}},
    )
    shown = msgspec.json.encode(masked(config)).decode()
    assert "CANARY" not in shown
    assert "sk-C****4cJ0" in shown
    assert "socks5://****@proxy.example:1080" in shown
    assert mask("") == ""
