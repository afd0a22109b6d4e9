"""Ports for what is told its port before it opens it.

Not the system's own choice: between our asking and the opening, the system may give the port to somebody else, and with
two processes of the suite at work it does. These lie beneath what Linux gives out by itself (from 32768 on,
`ip_local_port_range`), each process of the suite has a stretch of its own, and none is given out twice before all are.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from typing import Any

from vaultd.sandbox import Sandbox

_LOWEST = 18000
#: More than a run asks for. Seven lanes fit, more than two only where a worker was lost.
_STRETCH = 2000
_lane = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 7
#: Another run on this machine most likely begins elsewhere.
_begin = random.randrange(_STRETCH)
_numbers = itertools.cycle(_LOWEST + _lane * _STRETCH + (_begin + n) % _STRETCH for n in range(_STRETCH))


def free_port() -> int:
    return next(port for port in _numbers if _is_free(port))


def own_callbacks(sandbox: Sandbox) -> dict[str, Any]:
    """The overlay that leads to the sandbox, its logins ending at ports that nobody else on this machine wants."""
    overlay = sandbox.overlay()
    for name in ("codex", "claude", "gemini", "iflow"):
        sandbox.set(name, any_port=True)
        overlay[name].setdefault("oauth", {})["redirect"] = {"port": free_port()}
    return overlay


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
