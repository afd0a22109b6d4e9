"""Who holds a TCP port here, as far as /proc shows: to be named in the error that says the port is taken (SEC-12)."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

_LISTENING = "0A"


def holder(family: socket.AddressFamily, port: int) -> str:
    """`pid 4242 (python3)`, `uid 1000` where the process cannot be seen, or nothing."""
    for uid, inode in _listeners(family, port):
        return _process(inode) or f"uid {uid}"
    return ""


def _listeners(family: socket.AddressFamily, port: int) -> list[tuple[str, str]]:
    """(uid, inode) of listening sockets on `port`: fields 1, 3, 7 and 9 of proc(5)'s net/tcp table."""
    table = Path("/proc/net/tcp6" if family == socket.AF_INET6 else "/proc/net/tcp")
    found = []
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.append((fields[7], fields[9]))
    return found


def _process(inode: str) -> str:
    """The process that has the socket open; other users' cannot be looked into."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_leads_to(fd, inode) for fd in (process / "fd").iterdir()):
                return f"pid {process.name} ({(process / 'comm').read_text().strip()})"
    return ""


def _leads_to(fd: Path, inode: str) -> bool:
    try:
        return str(fd.readlink()) == f"socket:[{inode}]"
    except OSError:
        return False  # closed since it was listed; the next may be the one
