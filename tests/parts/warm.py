"""Commands that start warm: forked from a process that imported all of `vaultd` once, which costs half a second each.

What it forks is real: a process with the command's own words, environment and streams, that ends as any Python ends.
That a cold start works too is told wherever a test starts `python -m vaultd` itself, as each daemon is started.

argv: the descriptor on which orders come (SOCK_SEQPACKET): one JSON object a packet, and beside it the command's stdin,
stdout and stderr, and the pipe that is told its pid and its exit code.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

#: One packet: an environment and a command's words. Linux takes 200 kB.
PACKET = 65536
#: What a pipe takes without a reader (pipe(7)).
PIPE = 65536


def run(words: Sequence[str], env: Mapping[str, str], stdin: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` of `python -m vaultd`; raises TimeoutExpired, and then nobody is left."""
    order = json.dumps({"words": words, "env": dict(env), "cwd": str(Path.cwd())}).encode()
    with ExitStack() as ours:
        with ExitStack() as theirs:
            pipes = [_pipe(ours, theirs, theirs_first) for theirs_first in (True, False, False, False)]
            socket.send_fds(_template(), [order], [their for _, their in pipes])
        typed, *told = [our for our, _ in pipes]
        typed.write(_fits(stdin.encode()))
        typed.close()
        out, err, end = _gather([one.fileno() for one in told], words, seconds)
    _, code = end.split()
    return subprocess.CompletedProcess(words, int(code), out.decode(), err.decode())


def _pipe(ours: ExitStack, theirs: ExitStack, theirs_first: bool) -> tuple[io.FileIO, int]:
    reads, writes = os.pipe()
    our, their = (writes, reads) if theirs_first else (reads, writes)
    theirs.callback(os.close, their)
    return ours.enter_context(io.FileIO(our, "w" if theirs_first else "r")), their


def _fits(data: bytes) -> bytes:
    assert len(data) <= PIPE, "more than a pipe takes: start this command cold"
    return data


def _gather(fds: list[int], words: Sequence[str], seconds: float) -> list[bytes]:
    """All that comes until each of them is closed; the last is told the pid first."""
    said, deadline = dict.fromkeys(fds, b""), time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for fd in fds:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(deadline - time.monotonic())
            if not ready:
                os.kill(int(said[fds[-1]].split()[0]), signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(words), seconds, said[fds[0]], said[fds[1]])
            for key, _ in ready:
                chunk = os.read(key.fd, PIPE)
                said[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
    return list(said.values())


@functools.cache
def _template() -> socket.socket:
    """One for each process that runs tests. Nobody else holds our end, so that it ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        argv = [sys.executable, __file__, str(theirs.fileno())]
        # The tree that these tests stand in, whichever one is installed.
        env = {"LANG": "C.UTF-8", "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
        template = subprocess.Popen(argv, pass_fds=[theirs.fileno()], env=env)
    atexit.register(_end, template, ours)
    return ours


def _end(template: subprocess.Popen[bytes], ours: socket.socket) -> None:
    ours.close()
    template.wait()


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """Each order's command; None at the end, in the process that took them. Two forks a command: one waits for it."""
    while True:
        packet, fds, _, _ = socket.recv_fds(orders, PACKET, 4)
        if not packet:
            return None
        if os.fork() == 0:
            orders.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            pid = os.fork()
            if pid == 0:
                _take(fds)
                return dict(json.loads(packet))
            for fd in fds[:3]:
                os.close(fd)
            os.write(fds[3], f"{pid} ".encode())
            _, status = os.waitpid(pid, 0)
            os.write(fds[3], str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        for fd in fds:
            os.close(fd)


def _take(fds: list[int]) -> None:
    """These three are its streams, and nothing else is open in it."""
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
    os.closerange(3, max(fds) + 1)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        old = getattr(sys, name)
        raw = io.FileIO(old.fileno(), mode, closefd=False)
        again = io.TextIOWrapper(
            io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw),
            encoding=old.encoding,
            errors=old.errors,
            line_buffering=name == "stderr",
        )
        setattr(sys, name, again)
        setattr(sys, f"__{name}__", again)


def main() -> None:
    import vaultd.cli
    import vaultd.house
    import vaultd.verbs
    from vaultd import __main__ as program

    for module in pkgutil.walk_packages(vaultd.cli.__path__, "vaultd.cli."):
        importlib.import_module(module.name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who waited for a command is nobody's business
    gc.collect()
    gc.freeze()
    order = _serve(socket.socket(fileno=int(sys.argv[1])))
    if order is None:
        return
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv[:] = [str(program.__file__), *order["words"]]
    program.main()


if __name__ == "__main__":
    main()
