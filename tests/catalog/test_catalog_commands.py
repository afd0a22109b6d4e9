"""`vaultd providers` and `vaultd config`, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

KEY = "sk-CANARY7f3kQ9zR2mX8wL5vB1nH6tY4cJ0"


def typed(home: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vaultd", *args], env=home, capture_output=True, text=True, check=False, timeout=60
    )


def written(home: dict[str, str], text: str) -> Path:
    file = Path(home["XDG_CONFIG_HOME"], "vaultd", "config.yaml")
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_providers_list_and_show_tell_every_origin(home: dict[str, str]) -> None:
    file = written(home, "providers: {claude: {oauth: {refresh-ahead: 1h}}}")
    listed = json.loads(typed(home, "providers", "list", "--json").stdout)["data"]
    assert {"id": "qwen", "ways": ["device"], "formats": ["openai-chat"], "sunset": "2026-04-15", "verified": "none",
            "name": "Qwen (Qwen Code)"} in listed  # fmt: skip
    shown = json.loads(typed(home, "providers", "show", "claude", "--json").stdout)["data"]
    origins = {row["key"]: (row["value"], row["origin"]) for row in shown}
    assert origins["oauth.refresh-ahead"] == ("1h", f"config {file}")
    assert origins["endpoints.api"] == ("https://api.anthropic.com", "shipped")
    assert origins["oauth.default-lifetime"] == ("1h", "default")


def test_an_unknown_provider_is_exit_78_with_the_nearest(home: dict[str, str]) -> None:
    done = typed(home, "providers", "show", "cloude")
    assert (done.returncode, done.stdout) == (78, "")
    assert "(nearest: claude)" in done.stderr


def test_config_check_says_what_is_wrong_in_one_line(home: dict[str, str]) -> None:
    file = written(home, "prot: 8317")
    done = typed(home, "config", "check")
    assert done.returncode == 78
    assert done.stderr.splitlines() == [f"vaultd: {file}: prot: no such key (nearest: port)"]
    answer = json.loads(typed(home, "config", "check", "--json").stdout)
    assert answer["ok"] is False
    assert "nearest: port" in answer["error"]


def test_config_check_tells_what_is_worth_knowing(home: dict[str, str], planted: Callable[[Path], Path]) -> None:
    planted(written(home, "api-keys: [sk-CANARY-1]\ncodex-api-key: [{api-key: CANARY, base-url: 'http://10.0.0.1'}]"))
    login = Path(home["XDG_STATE_HOME"], "vaultd", "auth", "iflow-a@b.example.json")
    login.parent.mkdir(parents=True)
    login.touch()
    done = typed(home, "config", "check", "--json")
    assert done.returncode == 0
    weak, plain, sunset = json.loads(done.stdout)["warnings"]
    assert weak.startswith("api-keys[0] is weak")
    assert plain.startswith("codex-api-key[0].base-url is plain http")
    assert sunset.startswith("iflow: closed by its vendor on 2026-04-17")
    assert "CANARY" not in done.stdout + done.stderr


def test_config_show_prints_defaults_and_masks_keys(home: dict[str, str], planted: Callable[[Path], Path]) -> None:
    planted(written(home, f"api-keys: [{KEY}]"))
    done = typed(home, "config", "show")
    assert "port: 8317" in done.stdout.splitlines()
    assert KEY not in done.stdout
    assert json.loads(typed(home, "config", "show", "--json").stdout)["api-keys"] == ["sk-C****4cJ0"]
