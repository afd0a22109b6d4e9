"""`vaultd demo`, as a person meets it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from ports import free_port

from vaultd.cli.demo.search import search

#: In the folder that is searched while it changes.
FILES = 50
VENDORS = ("codex", "claude", "gemini", "qwen", "iflow")


@pytest.fixture
def env(home: dict[str, str]) -> dict[str, str]:
    """The demo makes its folder in TMPDIR; a short one, for a unix socket's path has at most 107 bytes."""
    return {**home, "TMPDIR": home["XDG_RUNTIME_DIR"]}


@asynccontextmanager
async def demo(env: dict[str, str], *options: str) -> AsyncIterator[Process]:
    argv = ["-m", "vaultd", "demo", *options]
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, env=env, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert left(env["TMPDIR"]) == []  # its folder is gone,
    assert children(env["TMPDIR"]) == []  # and so is every program it started


async def read_until(process: Process, words: str) -> str:
    text = ""
    while words not in text:
        line = await process.stdout.readline()  # type: ignore[union-attr]
        assert line, text + (await process.stderr.read()).decode()  # type: ignore[union-attr]
        text += line.decode()
    return text


def left(folder: str) -> list[Path]:
    return list(Path(folder).iterdir())


def children(folder: str) -> list[int]:
    """Programs whose environment names the demo's folder, or that it started with the sandbox."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"HOME={folder}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def sandbox_of(env: dict[str, str]) -> int:
    (pid,) = [pid for pid in children(env["TMPDIR"]) if b"vaultd.sandbox" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return pid


async def test_once_it_signs_in_seals_renews_relays_and_ends_with_0(env: dict[str, str]) -> None:
    async with demo(env, "--once", "--port", str(free_port())) as process:
        out, complaints = await process.communicate()

    text = out.decode()
    assert process.returncode == 0, text + complaints.decode()
    for vendor in VENDORS:
        assert f"signed in: {vendor} " in text
        assert f"{vendor}-" in text.partition("5. ")[2].partition("6. ")[0]
    assert text.count("1 2 3 4 5 6 7 8 9 10 11 12") == len(VENDORS)
    assert text.partition("7. ")[2].count("answered clients of ") == len(VENDORS), "of every other format"
    assert text.count('{"protected":') == len(VENDORS)
    assert text.count("0600") == len(VENDORS)
    assert "CANARY; in" in text


async def test_it_stays_up_and_ends_in_error_when_the_vendor_is_killed_under_it(env: dict[str, str]) -> None:
    """Meanwhile another program has Codex's callback port: the demo pastes, as a person would."""
    port = free_port()
    stranger = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 1455)
    async with stranger, demo(env, "--port", str(port)) as process:
        text = await read_until(process, "Ctrl-C ends it all")
        key = text.partition("client key  ")[2].split()[0]
        url, headers = f"http://127.0.0.1:{port}/v1/models", {"Authorization": f"Bearer {key}"}
        async with aiohttp.request("GET", url, headers=headers) as answer:
            assert answer.status == 200
            assert "gpt-5" in {model["id"] for model in (await answer.json())["data"]}

        os.kill(sandbox_of(env), signal.SIGKILL)
        _, complaints = await process.communicate()

    assert process.returncode == 6
    assert b"the pretend vendor ended with exit status -9" in complaints


async def test_once_it_ends_in_error_when_the_vendor_is_killed_in_the_middle(env: dict[str, str]) -> None:
    async with demo(env, "--once", "--port", str(free_port())) as process:
        await read_until(process, "vaultd login --codex")
        os.kill(sandbox_of(env), signal.SIGKILL)
        await process.communicate()

    assert process.returncode not in {0, None}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
async def test_a_signal_ends_it_and_leaves_nothing(env: dict[str, str], number: int, status: int) -> None:
    async with demo(env, "--port", str(free_port())) as process:
        await read_until(process, "vaultd serve")
        process.send_signal(number)
        await process.communicate()

    assert process.returncode == status


def test_a_file_that_is_renewed_under_the_search_is_no_reason_to_end(tmp_path: Path) -> None:
    """A daemon renames over its files while the demo shows that they are sealed; at its size that is rare, here not."""
    (tmp_path / "planted").write_bytes(b"in clear")
    over = threading.Event()

    def renew() -> None:
        while not over.is_set():
            for n in range(FILES):
                (tmp_path / f"{n}.json.tmp").write_bytes(b"sealed")
            for n in range(FILES):
                (tmp_path / f"{n}.json.tmp").replace(tmp_path / f"{n}.json")

    renewing = threading.Thread(target=renew)
    renewing.start()
    try:
        for _ in range(50):
            found, _ = search(tmp_path, b"clear")
            assert found == [tmp_path / "planted"]
    finally:
        over.set()
        renewing.join()


async def test_a_taken_port_is_named_with_the_next_action(env: dict[str, str]) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        async with demo(env, "--once", "--port", str(port)) as process:
            _, complaints = await process.communicate()

    assert process.returncode == 5
    assert f"port {port} cannot be had".encode() in complaints
    assert b"--port" in complaints
