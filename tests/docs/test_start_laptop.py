"""A stranger copies every line of the laptop's page into a shell, on a fresh machine with the sandbox for a vendor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from markdown_pages import ROOT, blocks
from pasting import types_in
from ports import free_port
from shell import Daemon, Person

from vaultd.sandbox import Sandbox

PORT = "8317"
#: What the page runs, by what it is; installing is another test's (tests/package).
INSTALL, LOGIN, SERVE, ASK, MODELS, CONNECT, RECOVERY, DOCTOR = blocks(ROOT / "docs" / "start-laptop.md", "sh")


@pytest.fixture
def person(stranger: Person, sandbox: Sandbox) -> Person:
    """Whose vendors are the sandbox's, on ports nobody else uses."""
    overlay = sandbox.overlay()
    overlay["codex"]["oauth"] = overlay["codex"].get("oauth", {}) | {"redirect": {"port": free_port()}}
    sandbox.set("codex", any_port=True)
    stranger.configures(json.dumps({"port": free_port(), "providers": overlay}))
    return stranger


async def _copied(person: Person, block: str) -> str:
    """What the block prints. In a thread: the vendor lives in this process."""
    return await asyncio.to_thread(types_in, person, block.replace(PORT, _port(person)))


def _port(person: Person) -> str:
    return str(json.loads(person.config.read_text())["port"])


async def test_every_line_of_the_page_works_as_it_stands(
    person: Person, serves: Callable[..., Daemon], tool: Callable[[str], str]
) -> None:
    tool("curl")
    assert INSTALL.startswith("pipx install .")
    assert "signed in: codex codex@example.com -> codex-codex@example.com" in await _copied(person, LOGIN)

    assert SERVE == "vaultd serve\n"
    await asyncio.to_thread(serves, person, "--port", _port(person))

    answer = json.loads(await _copied(person, ASK))
    assert answer["choices"][0]["message"]["content"]
    assert "gpt-5" in await _copied(person, MODELS)

    await _copied(person, CONNECT)
    settings = json.loads((Path(person.env["HOME"]) / ".claude" / "settings.json").read_text())
    assert settings["env"]["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{_port(person)}"

    await _copied(person, RECOVERY)
    assert json.loads((Path(person.env["HOME"]) / "vaultd-recovery.jwk").read_text())["kty"] == "EC"
    checks = (await _copied(person, f"{DOCTOR.strip()} || true")).splitlines()
    assert [line for line in checks if line.startswith("fail")] == []
