"""A real daemon below a service manager: what it is handed, what it says, and what a client sees while it is away."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from service_manager import LONGEST, Manager, answer, knocks

from vaultd.net import supervisor

KEY = "supervised-CANARY-0123456789abcdef0123456789abcdef"
#: `make boot` has the long form, below a real systemd.
KILLS = int(os.environ.get("KILLS", "3"))
CLIENTS = 4
#: A third of it is how often the daemon says that it gets on.
PATIENCE = 1.5

Service = Callable[..., Manager]


@pytest.fixture
def service(home: dict[str, str], planted: Callable[[Path], Path]) -> Iterator[Service]:
    """`service()` is a manager whose daemon has not been started."""
    folder = Path(tempfile.mkdtemp(prefix="vaultd-service-"))  # not pytest's own: other users must get to the socket
    folder.chmod(0o755)
    config = planted(Path(home["XDG_CONFIG_HOME"], "vaultd", "config.yaml"))
    config.parent.mkdir(parents=True)
    config.write_text(f"api-keys: [{KEY}]\n")
    made: list[Manager] = []

    def make(mode: int = 0o660, watchdog: float = 0) -> Manager:
        made.append(Manager(folder, home, mode=mode, watchdog=watchdog))
        return made[-1]

    yield make
    for manager in made:
        manager.leaves()
    shutil.rmtree(folder)


def test_who_connects_while_it_starts_is_answered_and_ready_is_said_when_it_listens(service: Service) -> None:
    systemd = service()
    early = knocks(systemd.port, "/v1/models", KEY), knocks(systemd.admin_file, "/about")

    ready = systemd.up("--port", "1")

    assert ready["STATUS"].startswith("0 of 0 credentials usable")
    assert [answer(one).split()[1] for one in early] == ["200", "200"]
    systemd.says("--host and --port are not used: the service manager opened the sockets")
    systemd.says(f"listening address=http://127.0.0.1:{systemd.port}\n")


def test_a_reload_is_told_from_its_beginning_to_its_end(service: Service) -> None:
    systemd = service()
    systemd.up()
    for _ in range(2):
        os.kill(systemd.pid, signal.SIGHUP)
        assert systemd.hears("RELOADING")["MONOTONIC_USEC"].isdecimal()
        assert "STATUS" in systemd.hears("READY")


def test_a_stop_is_told_and_leaves_the_sockets_to_who_opened_them(service: Service) -> None:
    systemd = service()
    systemd.up()
    os.kill(systemd.pid, signal.SIGTERM)
    systemd.hears("STOPPING")
    late = knocks(systemd.port, "/v1/models", KEY), knocks(systemd.admin_file, "/about")
    assert systemd.process is not None
    assert systemd.process.wait(30) == 0
    assert systemd.admin_file.is_socket()

    systemd.up()

    assert [answer(one).split()[1] for one in late] == ["200", "200"]


def test_the_watchdog_hears_nothing_while_the_loop_is_blocked_and_all_is_well_after(
    service: Service, home: dict[str, str]
) -> None:
    systemd = service(watchdog=PATIENCE)
    systemd.up()
    systemd.hears("WATCHDOG")
    hole = Path(home["XDG_CONFIG_HOME"], "vaultd", "providers", "hole.yaml")
    hole.parent.mkdir()
    os.mkfifo(hole)  # who reads it waits in open(2) for a writer, and the daemon reads its manifests in its loop
    os.kill(systemd.pid, signal.SIGHUP)
    with pytest.raises(TimeoutError):  # longer than a manager would have waited
        while True:
            systemd.hears("WATCHDOG", seconds=2 * PATIENCE)

    with hole.open("w"):  # nothing is written, and the loop gets on
        hole.unlink()

    systemd.hears("WATCHDOG")


def test_the_watchdog_hears_nothing_while_nobody_is_let_in_though_the_loop_turns(service: Service) -> None:
    systemd = service(watchdog=PATIENCE)
    systemd.up()
    systemd.hears("WATCHDOG")
    before = resource.prlimit(systemd.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(systemd.pid, resource.RLIMIT_NOFILE, (3, before[1]))
    with pytest.raises(TimeoutError):
        while True:
            systemd.hears("WATCHDOG", seconds=2 * PATIENCE)

    resource.prlimit(systemd.pid, resource.RLIMIT_NOFILE, before)

    systemd.hears("WATCHDOG")


def test_killed_again_and_again_under_load_it_refuses_nobody(service: Service) -> None:
    systemd, seen, over = service(), Counter[str](), threading.Event()
    counted = threading.Condition()

    def client() -> None:
        while not over.is_set():
            try:
                how = answer(knocks(systemd.port, "/v1/models", KEY)).split()[1:2]
                became = how[0] if how else "cut"
            except ConnectionRefusedError:
                became = "refused"
            except OSError:
                became = "cut"
            with counted:
                seen[became] += 1
                counted.notify_all()

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    systemd.starts()
    for one in clients:
        one.start()
    try:
        for _ in range(KILLS):
            with counted:
                answered = seen["200"]
                assert counted.wait_for(lambda: seen["200"] > answered + CLIENTS, 60), seen  # noqa: B023
            systemd.ends(signal.SIGKILL)
            systemd.starts()
    finally:
        over.set()
        for one in clients:
            one.join()
    assert set(seen) <= {"200", "cut"}
    assert seen["200"] > KILLS * CLIENTS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_thr_44_on_an_inherited_socket_its_mode_decides_who_comes_in(
    service: Service, tool: Callable[[str], str]
) -> None:
    curl, ours, group = tool("curl"), 64201, 64200
    systemd = service(mode=0o660)
    os.chown(systemd.admin_file, 0, group)
    systemd.up()

    def asks(user: int, groups: list[int]) -> str:
        words = [curl, "--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{exitcode}"]
        words += ["--unix-socket", str(systemd.admin_file), "http://localhost/about"]
        done = subprocess.run(
            words, user=user, group=user, extra_groups=groups, capture_output=True, text=True, check=False, cwd="/"
        )
        return done.stdout

    assert asks(ours, [group]) == "200 0"
    assert asks(ours + 1, []) == "000 7"
    assert asks(0, []) == "200 0"


@pytest.mark.parametrize(
    ("mode", "names", "says"),
    [
        (0o666, "relay:admin", "everybody may connect (0666): set SocketMode=0660"),
        (0o660, "relay:vaultd-admin.socket", "a socket named 'vaultd-admin.socket'"),
    ],
)
def test_thr_44_a_socket_that_is_not_what_it_should_be_ends_the_start(
    service: Service, mode: int, names: str, says: str
) -> None:
    systemd = service(mode=mode)
    systemd.starts(names=names)
    assert systemd.process is not None
    assert systemd.process.wait(30) == 78
    systemd.says(says)


@pytest.mark.parametrize(
    ("relay", "says"),
    [
        (lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM), "no relay socket: ListenStream= must be an address"),
        (lambda: socket.socket(socket.AF_UNIX), "no relay socket: ListenStream= must be an address"),
        (tempfile.TemporaryFile, "no relay socket: Socket operation on non-socket"),
    ],
    ids=["datagrams", "another-kind", "file"],
)
def test_what_is_handed_in_and_no_listening_socket_ends_the_start_with_a_sentence(
    service: Service, relay: Callable[[], Any], says: str
) -> None:
    systemd = service()
    systemd.relay.close()
    systemd.relay = relay()
    systemd.starts()
    assert systemd.process is not None
    assert systemd.process.wait(30) == 78
    systemd.says(says)


def test_what_a_manager_says_to_one_process_is_kept_from_its_children_and_from_others() -> None:
    env = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "relay", "PATH": "/bin"}
    env |= {"NOTIFY_SOCKET": "/run/nobody", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}
    assert supervisor.inherited(env) == supervisor.Inherited()
    with closing(supervisor.Manager.found(env)) as manager:
        assert manager.patience == 0
    assert env == {"PATH": "/bin"}


def test_a_manager_with_an_abstract_address_hears_and_one_that_is_gone_hurts_nobody() -> None:
    name = f"vaultd-test-{os.getpid()}"
    with closing(supervisor.Manager.found({"NOTIFY_SOCKET": f"@{name}"})) as manager:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.bind(f"\0{name}")
            line.settimeout(LONGEST)
            manager.tell("READY=1", "STATUS=well")
            assert line.recv(100) == b"READY=1\nSTATUS=well"
        manager.tell("WATCHDOG=1")
    with closing(supervisor.Manager.found({"NOTIFY_SOCKET": "vsock:2:1"})) as manager:
        assert not manager
