"""Somebody with CLIProxyAPI's folder and configuration follows the page in its order, and finds every login then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import aiohttp
from markdown_pages import ROOT, blocks
from pasting import types_in
from ports import free_port
from shell import Daemon, Person

from vaultd.sandbox import Sandbox

STEPS = blocks(ROOT / "docs" / "coming-from-cliproxyapi.md", "sh")
KEY = "theirs-CANARY-89abcdef0123456789abcdef01234567"


async def test_the_steps_in_the_order_of_the_page_keep_every_login_and_key(
    stranger: Person, sandbox: Sandbox, planted: Callable[[Path], Path], serves: Callable[..., Daemon]
) -> None:
    home = Path(stranger.env["HOME"])
    # Their paths are the page's: ~/.config, whatever the environment says.
    stranger.env["XDG_CONFIG_HOME"] = str(home / ".config")
    access = sandbox["claude"].login("ann@example.com")
    folder = home / ".cli-proxy-api"
    folder.mkdir(mode=0o700)
    login = {"type": "claude", "email": "ann@example.com", "access_token": access.value}
    login |= {"refresh_token": access.family.refresh, "expired": "2099-01-01T00:00:00Z"}
    planted(folder / "claude-ann@example.com.json").write_text(json.dumps(login))
    (home / "CLIProxyAPI").mkdir()
    settings = {"port": free_port(), "auth-dir": "~/.cli-proxy-api", "api-keys": [KEY], "providers": sandbox.overlay()}
    planted(home / "CLIProxyAPI" / "config.yaml").write_text(json.dumps(settings))
    planted(home / ".config" / "vaultd" / "config.yaml")

    *moving, serve = STEPS
    assert serve == "vaultd serve\n"
    for step in moving:
        await asyncio.to_thread(types_in, stranger, step)
    assert [file.name for file in folder.glob("*.json") if "CANARY" in file.read_text()] == []

    daemon = await asyncio.to_thread(serves, stranger)
    listed = (await asyncio.to_thread(stranger.types, "credentials", "list", "--json")).json["data"]
    assert [(row["account"], row["state"]) for row in listed] == [("ann@example.com", "available")]
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{daemon.address}/v1/models", headers={"authorization": f"Bearer {KEY}"}) as answer,
    ):
        assert answer.status == 200
