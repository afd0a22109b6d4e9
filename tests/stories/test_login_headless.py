"""Stories of `vaultd login` where no person sits at the machine: without any terminal, through `ssh -T`, in tmux, in a
network that nothing leads into, as another user, and where the service is installed but not reached."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from namespace import joined
from ports import free_port
from shell import Daemon
from signing_in import STRANGER, House, Login, beside_a_daemon, follow, is_shut, redirect_of, unreached

_NAMESPACE = Path(__file__).parents[1] / "parts" / "namespace.py"
_SIGNED_IN = "signed in: codex codex@example.com -> codex-codex@example.com"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, Daemon]]:
    with beside_a_daemon(tmp_path_factory) as both:
        yield both


@pytest.fixture
def house(running: tuple[House, Daemon]) -> House:
    return running[0]


@pytest.fixture
def alone(home: dict[str, str], house: House) -> House:
    """A house of the same vendors without a daemon."""
    return House(house.sandbox, home)


@pytest.fixture
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user, or make a network of its own")


@pytest.mark.parametrize(
    ("with_daemon", "words"),
    [(True, 'exec "$@" <&-'), (True, 'exec "$@" </dev/null'), (True, ': | "$@"'), (False, 'exec "$@" <&-')],
)
async def test_without_any_terminal(house: House, alone: House, with_daemon: bool, words: str) -> None:
    """stdin closed, empty, or a pipe that ends; no controlling terminal."""
    here = house if with_daemon else alone
    login = await here.login("--codex", "--no-browser", within=("setsid", "--wait", "sh", "-c", words, "sh"))
    await follow(await login.line())

    assert await login.end() == 0
    assert login.out[1:] == [_SIGNED_IN]
    assert here.sealed() == ["codex-codex@example.com.json"]
    assert await is_shut(here.ports["codex"])


def keyed(folder: Path) -> tuple[int, Path]:
    """A port, a key, and a configuration for both."""
    port, key = free_port(), folder / "key"
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {key}.pub\nPidFile none\n"
        "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n"
    )
    if os.geteuid() == 0:  # where it shuts its unprivileged half in
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    return port, key


@asynccontextmanager
async def sshd(folder: Path) -> AsyncIterator[list[str]]:
    """A server for one key of its own on loopback: the words that run a command through it without a terminal."""
    port, key = keyed(folder)
    server = await asyncio.create_subprocess_exec(
        "/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config"), stderr=asyncio.subprocess.PIPE
    )
    try:
        assert server.stderr is not None
        assert b"listening on" in (await server.stderr.readline())
        quiet = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
        whom = ["-p", str(port), "-i", str(key), f"{getpass.getuser()}@127.0.0.1"]
        yield ["ssh", "-T", "-F", "none", *quiet, *whom]
    finally:
        server.terminate()
        await server.wait()


async def test_sec_27_through_ssh_without_a_terminal_the_address_is_pasted(
    house: House, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    for name in ("ssh", "ssh-keygen", "/usr/sbin/sshd"):
        tool(name)
    async with sshd(tmp_path) as through:
        given = [f"{name}={value}" for name, value in house.env.items()]
        command = shlex.join(["env", *given, f"PYTHONPATH={Path.cwd()}", *house.command("--codex")])
        login = Login(
            await asyncio.create_subprocess_exec(
                *(*through, command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )
        url = await login.line()
        await login.type(await redirect_of(url))
        assert await login.end() == 0
    assert login.out[1:] == [_SIGNED_IN]
    assert re.search(rf"ssh -L {house.ports['codex']}:\S+ \S+@127\.0\.0\.1 -p \d+", login.err)
    assert await is_shut(house.ports["codex"])


async def test_in_tmux_a_person_types_the_command_and_pastes_the_address(
    house: House, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    tool("tmux")
    seen = tmp_path / "seen"
    os.mkfifo(seen)
    name = f"vaultd-{os.getpid()}"
    env = house.env | {"TMUX_TMPDIR": str(tmp_path), "PYTHONPATH": str(Path.cwd()), "TERM": "screen"}

    def tmux(*words: str) -> None:
        subprocess.run(["tmux", "-L", name, "-f", "/dev/null", *words], env=env, check=True)

    tmux("new-session", "-d", "-x", "500", "-y", "50", "sh")
    try:
        tmux("pipe-pane", f"exec cat > {seen}")
        reader = asyncio.StreamReader()
        loop, screen = asyncio.get_running_loop(), seen.open("rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), screen)

        shown = ""

        async def until(pattern: str) -> str:
            nonlocal shown
            while (found := re.search(pattern, shown)) is None:
                chunk = (await reader.read(4096)).decode()
                assert chunk, shown
                shown += chunk
            return found[1]

        tmux("send-keys", f"{shlex.join(house.command('--codex', '--no-browser'))}; echo ended=$?", "Enter")
        url = await until(r"(?:\n|\x1b\[K)(http://\S+)\r")
        tmux("send-keys", "-l", await redirect_of(url))
        tmux("send-keys", "Enter")
        assert await until(r"(?:\n|\x1b\[K)(signed in: [^\r]*)\r") == _SIGNED_IN
        assert await until(r"\nended=(\d+)") == "0"
        transport.close()
    finally:
        tmux("kill-server")
    assert await is_shut(house.ports["codex"])


@asynccontextmanager
async def way_out(house: House, folder: Path) -> AsyncIterator[tuple[str, ...]]:
    """The words that run a command in a network of its own, from which the vendor alone can be reached."""
    at = urlsplit(house.sandbox.url)

    async def out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await joined((reader, writer), await asyncio.open_connection(at.hostname, at.port))

    async with await asyncio.start_unix_server(out, folder / "out"):
        yield ("unshare", "--net", sys.executable, str(_NAMESPACE), str(at.port), str(folder / "out"))


@pytest.mark.usefixtures("root")
async def test_behind_nat_the_browser_cannot_come_back_so_the_address_is_pasted_or_a_code_entered(
    alone: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with way_out(alone, tmp_path_factory.mktemp("n")) as within:
        login = await alone.login("--codex", "--no-browser", within=within)
        url = await login.line()
        assert await is_shut(alone.ports["codex"]), "it listens in its own network"
        await login.type(await redirect_of(url))
        assert await login.end() == 0
        assert login.out[1:] == [_SIGNED_IN]

        device = await alone.login("--codex", "--device", within=within, stdin=asyncio.subprocess.DEVNULL)
        page, code = await device.line(), await device.line()
        await follow(f"{page}?user_code={code}")
        assert await device.end() == 0
    assert alone.sealed() == ["codex-codex@example.com.json"]


@pytest.mark.usefixtures("root")
async def test_a_daemon_in_a_container_without_a_published_port_is_signed_in_from_outside(
    alone: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with way_out(alone, tmp_path_factory.mktemp("n")) as within:
        daemon = await asyncio.create_subprocess_exec(
            *(*within, sys.executable, "-m", "vaultd", "serve", *alone.words, "--port", "0"),
            env=alone.env,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert daemon.stderr is not None
            while b"admin socket ready" not in await daemon.stderr.readline():
                pass
            login = await alone.login("--codex", "--no-browser")
            await login.type(await redirect_of(await login.line()))
            assert await login.end() == 0
        finally:
            daemon.terminate()
            await daemon.communicate()
    assert login.out[1:] == [_SIGNED_IN]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("listens", "mode", "code", "says"),
    [
        (False, 0o660, 78, r"for group root: sudo vaultd login --codex .*usermod -aG root nobody"),
        (False, 0o666, 78, r"sudo systemctl start vaultd-admin\.socket"),
        (True, 0o666, 6, r"nobody has answered .*journalctl -u vaultd\.service"),
    ],
)
async def test_a_service_that_is_not_reached_is_told_with_the_command_to_run(
    alone: House, tmp_path: Path, listens: bool, mode: int, code: int, says: str
) -> None:
    alone.words = ()
    login = await alone.login("--codex", within=(*unreached(tmp_path, listens=listens, mode=mode), *STRANGER))

    assert await login.end() == code
    assert re.search(says, login.err)
    assert login.out == []


@pytest.mark.usefixtures("root")
async def test_root_signs_in_through_the_service_that_was_stopped_and_never_in_a_folder_of_its_own(
    house: House, alone: House, tmp_path: Path
) -> None:
    """systemctl's part, which is to open the socket, is played: no systemd runs here."""
    real = f"{house.env['XDG_RUNTIME_DIR']}/vaultd/admin.sock"
    (tmp_path / "systemctl").write_text(
        '#!/bin/sh\n[ "$1" = show ] && exec echo loaded\n'
        f'[ "$*" = "start vaultd-admin.socket" ] && mkdir /run/vaultd && ln -s {real} /run/vaultd/admin.sock\n'
    )
    (tmp_path / "systemctl").chmod(0o755)
    booted = 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$@"'
    alone.words = ()
    login = await alone.login(
        "--codex",
        "--no-browser",
        within=("unshare", "--mount", "sh", "-c", booted, "sh"),
        PATH=f"{tmp_path}:/usr/bin:/bin",
    )
    await follow(await login.line())

    assert await login.end() == 0
    assert login.out[1:] == [_SIGNED_IN]
    assert alone.sealed() == [] and house.sealed() == ["codex-codex@example.com.json"]


async def test_a_callback_is_bound_elsewhere_in_a_container_alone(alone: House, house: House) -> None:
    refused = await alone.login("--codex", "--no-browser", "--callback-bind", "0.0.0.0")
    assert await refused.end() == 2
    assert "VAULTD_IN_CONTAINER=1" in refused.err

    login = await alone.login("--codex", "--no-browser", "--callback-bind", "::1", VAULTD_IN_CONTAINER="1")
    url = await login.line()
    assert await is_shut(alone.ports["codex"])
    with closing(socket.create_connection(("::1", alone.ports["codex"]))) as published:
        back = urlsplit(await redirect_of(url))
        published.sendall(f"GET {back.path}?{back.query} HTTP/1.1\r\nHost: {back.netloc}\r\n\r\n".encode())
        assert published.recv(12) == b"HTTP/1.1 303"
    assert await login.end() == 0

    beside = await house.login("--codex", "--callback-bind", "::1", VAULTD_IN_CONTAINER="1")
    assert await beside.end() == 2
    assert "belongs to vaultd serve" in beside.err
