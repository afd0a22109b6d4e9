"""What the sandbox refuses, tried from inside it: each line is a deed and what became of it."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

_CLONE_NEWUSER = 0x10000000


def tried(deed: str, do: Callable[[], object]) -> None:
    try:
        do()
    except OSError as error:
        print(f"refused {deed}: {error.strerror}")
    else:
        print(f"ALLOWED {deed}")


def _namespace() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _setuid() -> None:
    file = Path(os.environ["STATE_DIRECTORY"], "setuid")
    file.touch()
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


tried("a write to /etc", lambda: Path("/etc/vaultd/mine").touch())
tried("a write to the program", lambda: Path("/opt/vaultd/mine").touch())
tried("a shell", lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True))
tried("root's home", lambda: list(Path("/root").iterdir()))
tried("the admin socket", lambda: Path("/run/vaultd/admin.sock").stat())
tried("a file in memory", lambda: os.memfd_create("mine"))
tried("a setuid file", _setuid)
tried("a user namespace", _namespace)
tried("a packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
tried("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
others = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()} - {os.getpid()}
print(f"{'ALLOWED' if others else 'refused'} a look at other processes: {len(others)} seen")
