"""A pretend vendor that speaks all formats, a daemon before it, and a person beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from answering import answers
from beside import CLIENTS, CONFIG, ROOT, Machine, Owner, installed
from ports import free_port


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    installed("node22")
    folder, home = tmp_path_factory.mktemp("machine"), tmp_path_factory.mktemp("r", numbered=True)
    log, told, config = folder / "upstream.jsonl", (folder / "vaultd.log").open("wb"), folder / "config.yaml"
    log.touch()
    up, port = free_port(), free_port()
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PYTHONPATH": str(ROOT)}
    config.write_text(CONFIG.format(port=port, auth=folder / "auth", upstream=f"http://127.0.0.1:{up}"))
    with (tmp_path_factory.getbasetemp() / "planted.txt").open("a") as notes:
        notes.write(f"{config}\n")
    vendor = [CLIENTS / "venv/bin/python", CLIENTS / "fake_upstream.py", "--port", str(up), "--log", log, "--quiet"]
    serve = [sys.executable, "-m", "vaultd", "serve", "--config", config]
    with subprocess.Popen(vendor) as upstream, subprocess.Popen(serve, env=env, stderr=told) as daemon:
        try:
            answers(f"http://127.0.0.1:{up}/v1/models", upstream)
            answers(f"http://127.0.0.1:{port}/healthz", daemon)
            yield Machine(f"http://127.0.0.1:{port}", log, env)
        finally:
            daemon.terminate()
            upstream.terminate()
    told.close()


@pytest.fixture
def owner(machine: Machine, tmp_path: Path, planted: Callable[[Path], Path]) -> Owner:
    return Owner(machine, tmp_path / "owner", planted)
