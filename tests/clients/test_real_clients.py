"""Real clients, each one turn of talk and one with a tool, through the daemon to an upstream that speaks all dialects.

The client scripts and the upstream are the shared ones; a turn counts only if the client printed a hash that nobody but
the upstream could have made, and in the tool turn only if the client really read a secret file because it was told to.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = Path(os.environ.get("VAULTD_TOOLS", Path(__file__).parents[2] / ".tools"))
CLIENTS = TOOLS / "clients"
KEY = "sk-clients-CANARY-0123456789abcdef0123"
CASES = ("claude-token", "codex-sse", "py-openai", "py-anthropic", "py-genai-v1beta", "raw-timing")

CONFIG = """\
port: {port}
auth-dir: {auth}
api-keys: [{key}]
claude-api-key: [{{api-key: up-CANARY-claude, base-url: "{upstream}"}}]
codex-api-key: [{{api-key: up-CANARY-codex, base-url: "{upstream}/v1"}}]
gemini-api-key: [{{api-key: up-CANARY-gemini, base-url: "{upstream}"}}]
openai-compatibility:
  - name: chat
    base-url: "{upstream}/v1"
    api-key-entries: [{{api-key: up-CANARY-chat}}]
    models: [{{name: gpt-5.5}}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)  # the port is not open yet: nothing to wait on but the port itself
        else:
            return
    raise AssertionError(f"{url} did not answer in 30 s")


@pytest.fixture(scope="module")
def clients() -> Path:
    if not (CLIENTS / ".done").exists():
        reason = "the real clients are not installed (.ci/run does it)"
        if os.environ.get("VAULTD_REQUIRE_TOOLS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return CLIENTS


@pytest.fixture(scope="module")
def daemon(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A daemon in front of the upstream: its address, and the upstream's log of what it was really sent."""
    folder = tmp_path_factory.mktemp("clients")
    log = folder / "upstream.jsonl"
    up_port, port = free_port(), free_port()
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(port=port, auth=folder / "auth", key=KEY, upstream=f"http://127.0.0.1:{up_port}"))
    with (tmp_path_factory.getbasetemp() / "planted.txt").open("a") as notes:
        notes.write(f"{config}\n")
    upstream = subprocess.Popen(
        [clients / "venv/bin/python", clients / "fake_upstream.py", "--port", str(up_port), "--log", log, "--quiet"]
    )
    wait_for(f"http://127.0.0.1:{up_port}/v1/models", upstream)
    home = tmp_path_factory.mktemp("h")
    told = (folder / "vaultd.log").open("wb")
    served = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "serve", "--config", config],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
        stderr=told,
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", served)
        yield f"http://127.0.0.1:{port}", log
    finally:
        for process in (served, upstream):
            process.terminate()
            process.wait(40)
        told.close()


@pytest.mark.parametrize("case", CASES)
def test_a_real_client_talks_and_uses_a_tool(case: str, clients: Path, daemon: tuple[str, Path]) -> None:
    base, _ = daemon
    done = subprocess.run(
        ["bash", clients / "run_all.sh"],
        env=os.environ | {"BASE_URL": base, "API_KEY": KEY, "CASES": case, "SCRATCH_ROOT": str(clients / "scratch")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    detail = (clients / "logs/run_all" / f"{case}.log").read_text()[-3000:]
    assert done.returncode == 0, f"{done.stdout}\n{detail}"


def test_what_reached_the_vendor_bears_no_client_key(daemon: tuple[str, Path]) -> None:
    """The client's key is for vaultd alone: the vendor sees the credential's (SEC: THR-11)."""
    _, log = daemon
    sent = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(sent) > len(CASES)
    for request in sent:
        names = {name.lower(): value for name, value in request["headers"]}
        assert "x-forwarded-for" not in names
        assert not any(value.startswith(("sk-cli", "Bearer sk-cli")) for value in names.values()), request["path"]
