"""What every vaultd process does to itself before it holds a secret, and nothing else (THR-32, THR-33).

Undumpable: no core file, no ptrace and no read of `/proc/PID/{mem,environ}` by another process of the same user.
`exec` sets the flag back, so each process must do this for itself, first thing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

#: prctl(2), linux/prctl.h.
_PR_GET_DUMPABLE, _PR_SET_DUMPABLE, _PR_SET_NAME = 3, 4, 15


def harden() -> None:
    """Core size 0, files for nobody else, and undumpable where the kernel knows the word (Linux)."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def is_hardened() -> bool:
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        return False
    return resource.getrlimit(resource.RLIMIT_CORE)[0] == 0


def resident(pid: int | None) -> int | None:
    """Bytes that process holds in memory; None where there is none, 0 where nobody tells (`/proc` is Linux's)."""
    if pid is None:
        return None
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    except FileNotFoundError:
        return 0 if sys.platform != "linux" else None
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


def name_process(name: str) -> None:
    """What `ps` and `top` call it; at most 15 bytes (prctl(2), PR_SET_NAME)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)
