"""A stranger at a fresh machine: vaultd on the path, a browser that signs in to whatever it is shown, a vendor."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from shell import Person

from vaultd.sandbox import Sandbox

#: As `xdg-open` is called; it follows where the vendor's page sends it, which is how a person who is signed in looks.
_BROWSER = '#!/bin/sh\nexec curl --silent --show-error --location --output /dev/null "$1"\n'


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def stranger(home: dict[str, str], tmp_path: Path) -> Person:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "vaultd").symlink_to(Path(sys.executable).with_name("vaultd"))
    (programs / "xdg-open").write_text(_BROWSER)
    (programs / "xdg-open").chmod(0o755)
    return Person({**home, "PATH": f"{programs}:{home['PATH']}", "DISPLAY": ":0"})
