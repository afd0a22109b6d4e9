"""A person's machine with one login on it, made by the real house: what the crash tests kill, strike and unplug."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from desk import login

from vaultd.house import build
from vaultd.sandbox import Sandbox


def environment(home: Path) -> dict[str, str]:
    ours = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return ours | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "LANG": "C.UTF-8",
    }


async def signed_in(home: Path, sandbox: Sandbox | None = None, provider: str = "codex") -> str:
    """Configures a fresh `home` for the sandbox, where there is one that listens, and leaves a login. Its id."""
    config = home / "config" / "vaultd" / "config.yaml"
    for folder in (config.parent, home / "run"):
        folder.mkdir(parents=True, mode=0o700)
    config.write_text(json.dumps({"providers": sandbox.overlay()} if sandbox else {}))
    house = await build(environment(home), None, for_daemon=False)
    try:
        return (await house.owner.settle(login(sandbox or Sandbox(), provider, "", time.time()))).id
    finally:
        await house.close()
