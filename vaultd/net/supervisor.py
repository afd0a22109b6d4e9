"""systemd's side of a daemon: sockets that were opened for it, and what it says of itself.

sd_listen_fds(3) is three variables and sd_notify(3) one datagram: less code than looking after a binding, and no
libsystemd where there is none. The variables are taken out of the environment, for a child is not who they speak to.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from vaultd.errors import Misconfigured

#: SD_LISTEN_FDS_START.
_FIRST: Final = 3
#: A manager with a full queue is behind, not gone; one that hangs must not stop the loop for longer.
_SEND_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Inherited:
    """Listening sockets that outlive this process: who connects while it is away waits in their backlog."""

    relay: list[socket.socket] = field(default_factory=list)
    admin: socket.socket | None = None


def inherited(env: MutableMapping[str, str]) -> Inherited:
    """What `LISTEN_FDS` hands to this process, by name. Raises Misconfigured for a socket that nobody can use."""
    pid, count, names = (env.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return Inherited()
    found: dict[str, list[socket.socket]] = {"relay": [], "admin": []}
    given = names.split(":") if names else []
    for index in range(int(count)):
        name = given[index] if index < len(given) else ""
        if name not in found:
            raise Misconfigured(
                f"the service manager hands in a socket named {name!r}: FileDescriptorName= must be relay or admin"
            )
        found[name].append(_taken(_FIRST + index, name))
    if len(found["admin"]) > 1:
        raise Misconfigured("the service manager hands in more than one admin socket: one ListenStream= is enough")
    return Inherited(found["relay"], next(iter(found["admin"]), None))


def _taken(number: int, name: str) -> socket.socket:
    """The descriptor as the socket that it is said to be."""
    families = {"relay": (socket.AF_INET, socket.AF_INET6), "admin": (socket.AF_UNIX,)}[name]
    try:
        taken = socket.socket(fileno=number)
    except OSError as error:
        raise Misconfigured(f"the service manager hands in no {name} socket: {error.strerror}") from error
    taken.set_inheritable(False)
    taken.setblocking(False)
    if taken.family not in families or not taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        kind = "an address and a port" if name == "relay" else "a path"
        raise Misconfigured(
            f"the service manager hands in no {name} socket: ListenStream= must be {kind}, and Accept=no"
        )
    return taken


class Manager:
    """Who started this daemon and wants to hear of it; where that is nobody, nothing is said."""

    def __init__(self, address: str = "", patience: float = 0.0) -> None:
        self._address = address
        #: Kept open: a process without a file to spare must still be able to say so, or not to say that all is well.
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._line.settimeout(_SEND_SECONDS)
        #: The watchdog's seconds: silent for as long, and the daemon is ended. 0 where there is none.
        self.patience = patience

    @classmethod
    def found(cls, env: MutableMapping[str, str]) -> Manager:
        address, usec, pid = (env.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        ours = usec.isdecimal() and pid in {"", str(os.getpid())}
        # A path or, with @, a name; systemd's AF_VSOCK is for the machine's first process alone.
        return cls(address if address[:1] in {"/", "@"} else "", int(usec) / 1e6 if ours else 0.0)

    def __bool__(self) -> bool:
        return bool(self._address)

    def tell(self, *words: str) -> None:
        """One datagram. A manager that is gone is no reason to fail."""
        if not self._address:
            return
        name = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError):
            self._line.sendto("\n".join(words).encode(), name)

    def close(self) -> None:
        self._line.close()

    def reloading(self) -> None:
        """The moment by the clock that systemd tells old words from new ones with (sd_notify(3))."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
