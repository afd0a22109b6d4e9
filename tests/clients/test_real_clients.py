"""Real clients, each one turn of talk and one with a tool, through the daemon to an upstream that speaks all dialects.

The client scripts and the upstream are the shared ones; a turn counts only if the client printed a hash that nobody but
the upstream could have made, and in the tool turn only if the client really read a secret file because it was told to.
A client that asks again and again is no success either: what reaches the upstream is counted, and held against what the
same client sends through a bare proxy. A few cases of each arrangement; with VAULTD_CLIENTS=core all of them.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from answering import answers
from arrangements import ARRANGEMENTS, CONFIG
from ports import free_port

TOOLS = Path(os.environ.get("VAULTD_TOOLS", Path(__file__).parents[2] / ".tools"))
CLIENTS = TOOLS / "clients"
KEY = "sk-clients-CANARY-0123456789abcdef0123"
SCRATCH = str(CLIENTS / "scratch")


@pytest.fixture(scope="module")
def clients() -> Path:
    if not (CLIENTS / ".done").exists():
        reason = "the real clients are not installed (.ci/run does it)"
        if os.environ.get("VAULTD_REQUIRE_TOOLS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return CLIENTS


@pytest.fixture(scope="module")
def upstream(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The pretend vendor: its address, and its log of what it was really sent."""
    port, log = free_port(), tmp_path_factory.mktemp("upstream") / "upstream.jsonl"
    log.touch()
    process = subprocess.Popen(
        [clients / "venv/bin/python", clients / "fake_upstream.py", "--port", str(port), "--log", log, "--quiet"]
    )
    try:
        answers(f"http://127.0.0.1:{port}/v1/models", process)
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait(40)


@pytest.fixture(scope="module")
def daemon(upstream: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a daemon in front of it."""
    folder = tmp_path_factory.mktemp("clients")
    port = free_port()
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(port=port, auth=folder / "auth", key=KEY, upstream=upstream[0]))
    with (tmp_path_factory.getbasetemp() / "planted.txt").open("a") as notes:
        notes.write(f"{config}\n")
    home = tmp_path_factory.mktemp("h")
    told = (folder / "vaultd.log").open("wb")
    served = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "serve", "--config", config],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home)},
        stderr=told,
    )
    try:
        answers(f"http://127.0.0.1:{port}/healthz", served)
        yield f"http://127.0.0.1:{port}"
    finally:
        served.terminate()
        served.wait(40)
        told.close()


@pytest.fixture(scope="module")
def bare(clients: Path, upstream: tuple[str, Path]) -> Iterator[str]:
    """The address of a bare proxy to the same upstream."""
    port = free_port()
    process = subprocess.Popen([clients / "venv/bin/python", clients / "passthrough.py", str(port), upstream[0]])
    try:
        answers(f"http://127.0.0.1:{port}/v1/models", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(40)


class Ran(NamedTuple):
    code: int
    turns: int
    #: That reached the upstream.
    requests: int
    said: str


def ran(clients: Path, case: str, base: str, key: str, models: dict[str, str], log: Path) -> Ran:
    before = len(log.read_text().splitlines())
    done = subprocess.run(
        ["bash", clients / "run_all.sh"],
        env=os.environ | models | {"BASE_URL": base, "API_KEY": key, "CASES": case, "SCRATCH_ROOT": SCRATCH},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    detail = (clients / "logs/run_all" / f"{case}.log").read_text()[-3000:]
    counted = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    turns = re.search(r"(\d+) turns ok", done.stdout)
    said = f"{done.stdout}\n{detail}"
    return Ran(done.returncode, int(turns[1]) if turns else 0, len(counted), said)


@pytest.fixture(scope="module")
def baseline(clients: Path, bare: str, upstream: tuple[str, Path]) -> Callable[[str], int]:
    """How many requests a case makes by itself. They are the clients' own affair and the same each time, so they are
    kept with the installed clients."""
    kept = clients / "baseline.json"

    def counted(case: str) -> int:
        known: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
        if case not in known:
            own = ran(clients, case, bare, "sk-bare-CANARY", ARRANGEMENTS["own"].env(), upstream[1])
            assert own.code == 0, own.said
            known[case] = own.requests
            kept.write_text(json.dumps(known))
        return known[case]

    return counted


TRIED = [(name, case) for name, arrangement in ARRANGEMENTS.items() for case in arrangement.cases]


@pytest.fixture(scope="module")
def table() -> Iterator[list[tuple[str, ...]]]:
    """What every case came to, told at the end (`make clients`)."""
    rows: list[tuple[str, ...]] = []
    yield rows
    for row in rows:
        print("{:8} {:20} {:5} turns {:>2}  requests {:>3}, by itself {:>3}".format(*row))  # noqa: T201


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("arrangement", "case"), TRIED)
def test_a_real_client_talks_and_uses_a_tool(
    arrangement: str,
    case: str,
    clients: Path,
    daemon: str,
    upstream: tuple[str, Path],
    baseline: Callable[[str], int],
    table: list[tuple[str, ...]],
) -> None:
    by_itself = baseline(case)
    found = ran(clients, case, daemon, KEY, ARRANGEMENTS[arrangement].env(), upstream[1])
    passed = found.code == 0 and found.requests <= by_itself + found.turns
    shown = (found.turns, found.requests, by_itself)
    table.append((arrangement, case, "ok" if passed else "FAIL", *map(str, shown)))
    assert found.code == 0, found.said
    assert found.requests <= by_itself + found.turns, f"{found.requests} requests for {found.turns} turns"


def test_what_reached_the_vendor_bears_no_client_key(daemon: str, upstream: tuple[str, Path]) -> None:
    """The client's key is for vaultd alone: the vendor sees the credential's (SEC: THR-11)."""
    sent = [json.loads(line) for line in upstream[1].read_text().splitlines()]
    assert len(sent) > len(TRIED)
    for request in (request for request in sent if "headers" in request):  # a socket's messages have none
        names = {name.lower(): value for name, value in request["headers"]}
        assert "x-forwarded-for" not in names
        assert not any(value.startswith(("sk-cli", "Bearer sk-cli")) for value in names.values()), request["path"]
