"""A service manager, as systemd is one to a daemon: holds its sockets, starts it with them, and hears what it says."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

LONGEST = 30.0
#: Beyond the descriptors that a daemon is handed, which begin with 3.
_HIGH = 100


class Manager:
    """One service with a relay and an admin socket in `folder`, which has a short name and outlives the daemon."""

    def __init__(self, folder: Path, env: Mapping[str, str], *, mode: int = 0o660, watchdog: float = 0) -> None:
        self.env = dict(env)
        self.relay = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self.relay.getsockname()[1]
        self.admin_file = folder / "admin.sock"
        self.admin = socket.socket(socket.AF_UNIX)
        self.admin.bind(str(self.admin_file))
        self.admin.listen(128)
        self.admin_file.chmod(mode)
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.line.bind(str(folder / "notify"))
        self.env["NOTIFY_SOCKET"] = str(folder / "notify")
        if watchdog:
            self.env["WATCHDOG_USEC"] = str(int(watchdog * 1e6))
        self.process: subprocess.Popen[str] | None = None
        self.log: list[str] = []
        self._more = threading.Condition()
        self._reader: threading.Thread | None = None

    def starts(self, *words: str, names: str = "relay:admin") -> None:
        """Descriptors and environment as sd_listen_fds(3) has them; the process that is named is the one that reads."""
        high = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, _HIGH) for one in (self.relay, self.admin)]
        handed = " ".join(f"{3 + index}<&{fd} {fd}<&-" for index, fd in enumerate(high))
        shell = f'exec {handed}; LISTEN_PID=$$ exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", shell, sys.executable, "-m", "vaultd", "serve", *words],
            env={**self.env, "LISTEN_FDS": "2", "LISTEN_FDNAMES": names},
            pass_fds=high,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for fd in high:
            os.close(fd)
        self._reader = threading.Thread(target=self._reads, args=[self.process])
        self._reader.start()

    def _reads(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                with self._more:
                    self.log.append(line)
                    self._more.notify_all()

    def says(self, words: str) -> None:
        """Waits for a line of its log that holds them."""
        with self._more:
            assert self._more.wait_for(lambda: any(words in line for line in self.log), LONGEST), self.log

    def hears(self, word: str, seconds: float = LONGEST) -> dict[str, str]:
        """The next datagram that says `word`, as a mapping. Raises TimeoutError where none comes."""
        self.line.settimeout(seconds)
        while True:
            told = dict(part.partition("=")[::2] for part in self.line.recv(4096).decode().splitlines())
            if word in told:
                return told

    def up(self, *words: str) -> dict[str, str]:
        self.starts(*words)
        return self.hears("READY")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ends(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(LONGEST)

    def leaves(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.ends(signal.SIGKILL)
        if self._reader is not None:
            self._reader.join(LONGEST)
        for one in (self.relay, self.admin, self.line):
            one.close()


def question(path: str, key: str = "") -> bytes:
    bearer = f"Authorization: Bearer {key}\r\n" if key else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{bearer}\r\n".encode()


def answer(connection: socket.socket) -> str:
    """All of it. Empty where the connection was cut before the first byte."""
    parts = []
    connection.settimeout(LONGEST)
    with connection:
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


def knocks(where: Path | int, path: str, key: str = "") -> socket.socket:
    """A connection on which a question waits for its answer."""
    if isinstance(where, Path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(where))
    else:
        connection = socket.create_connection(("127.0.0.1", where))
    connection.sendall(question(path, key))
    return connection
