"""A daemon in front of a vendor that is not there yet: each suite brings its own, on the port the config names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ports import free_port
from shell import Daemon, Person

KEY = "sk-conformance-CANARY-0123456789abcdef"

#: No retry and no cooling: the recordings hold failures, and each must meet the next one.
CONFIG = """\
api-keys: [{key}]
request-retry: 0
disable-cooling: true
claude-api-key:
  - api-key: up-CANARY-claude
    base-url: {vendor}/anthropic
    models: [{{name: target-model, alias: m-anthropic}}, {{name: claude-sonnet-4-5-20250929, alias: m-sonnet}}]
codex-api-key:
  - api-key: up-CANARY-codex
    base-url: {vendor}/codex
    models: [{{name: target-model, alias: m-codex}}]
gemini-api-key:
  - api-key: up-CANARY-gemini
    base-url: {vendor}/gemini
    models:
      - {{name: target-model, alias: m-gemini}}
      - {{name: gemini-2.5-flash, alias: m-flash}}
      - {{name: gemini-2.5-pro, alias: m-pro}}
      - {{name: gemini-2.0-flash, alias: m-flash2}}
openai-compatibility:
  - name: fakechat
    base-url: {vendor}/chat/v1
    api-key-entries: [{{api-key: up-CANARY-chat}}]
    models: [{{name: target-model, alias: m-chat}}]
"""


@pytest.fixture(scope="module")
def suite(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """`suite("replay.py", "--dir", …)` is what the suite of that name said of a running daemon."""
    folder = tmp_path_factory.mktemp("conformance")
    runs = tmp_path_factory.mktemp("r", numbered=True)
    runs.chmod(0o700)
    person = Person(
        {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(runs),
            "PATH": os.environ["PATH"],
        }
    )
    port = free_port()
    person.configures(CONFIG.format(key=KEY, vendor=f"http://127.0.0.1:{port}"))
    with (tmp_path_factory.getbasetemp() / "planted.txt").open("a") as notes:
        notes.write(f"{person.config}\n")
    daemon = Daemon(person)

    def run(script: str, *words: str) -> str:
        done = subprocess.run(
            [
                sys.executable,
                script,
                "--base",
                daemon.address,
                "--key",
                KEY,
                "--upstream-port",
                str(port),
                *words,
                "-v",
            ],
            cwd=shared / "conformance",
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        print(done.stdout)  # noqa: T201 -- `make conformance` shows it
        assert done.stdout, done.stderr
        return done.stdout

    yield run
    daemon.ends()
