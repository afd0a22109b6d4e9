"""A stranger follows docs/providers.md: the page's own manifest, with the addresses of a vendor nobody has heard of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from markdown_pages import ROOT, blocks
from ports import free_port
from shell import Person

from vaultd.sandbox import Sandbox

MANIFEST = blocks(ROOT / "docs" / "providers.md", "yaml")[0]


async def test_the_pages_manifest_signs_in_serves_and_is_renewed(
    stranger: Person, sandbox: Sandbox, tool: Callable[[str], str]
) -> None:
    tool("curl")
    manifest = stranger.config_dir / "providers" / "acme.yaml"
    manifest.parent.mkdir(parents=True)
    text = MANIFEST
    for theirs, ours in {
        "https://acme.example/oauth": f"{sandbox.url}/invented",
        "https://api.acme.example": f"{sandbox.url}/invented",
        "acme-cli": "invented-client",
        "port: 17171": f"port: {free_port()}",
    }.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    manifest.write_text(text)

    assert (await _types(stranger, "config", "check")).startswith("ok:")
    assert "-> acme-invented@example.com" in await _types(stranger, "login", "--acme")
    assert "acme-large" in await _types(stranger, "models", "list")
    assert "renewed:" in await _types(stranger, "credentials", "refresh", "acme-invented@example.com")


async def _types(person: Person, *words: str) -> str:
    """In a thread: the vendor lives in this process."""
    done = await asyncio.to_thread(person.types, *words)
    assert done.code == 0, done.err
    return done.out
