"""A process that has imported everything once and forks from there: a daemon in hundredths of a second, not in one.

What it forks is real: each child is a process of its own with a session of its own, and dies of `kill -9` alone. It
stays single threaded as long as it lives, for only such a process may fork without a surprise, and it reaps its
children only where it says so, so that a pid it kills is the one it meant.

argv: the descriptor on which it takes orders (SOCK_SEQPACKET: one JSON object a packet, descriptors beside it).
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any

#: One packet: an environment, a configuration's path, a credential. Linux takes 200 kB.
PACKET = 65536

#: What a child runs. It gets the descriptors that came with the order and the order's `args`; it returns an exit code.
Kind = Callable[[list[int], dict[str, Any]], int]


class Template:
    def __init__(self, orders: socket.socket, kinds: dict[str, Kind]) -> None:
        self._orders = orders
        self._kinds = kinds
        self._selector = selectors.DefaultSelector()
        #: pid → (lane, kind) of who was not reaped yet.
        self._children: dict[int, tuple[str, str]] = {}
        self._desks: dict[int, socket.socket] = {}

    def run(self) -> None:
        """Until the driver's end of the socket closes; then nobody is left behind."""
        wakes, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._selector.register(wakes, selectors.EVENT_READ, lambda: self._reap(wakes))
        self._selector.register(self._orders, selectors.EVENT_READ, lambda: self._take(self._orders, ""))
        while self._orders.fileno() >= 0:
            for key, _ in self._selector.select():
                key.data()
        for pid in self._children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _take(self, where: socket.socket, lane: str) -> None:
        """One order: of the driver, or of a daemon of `lane` that needs its keeper."""
        if where.fileno() < 0:
            return
        try:
            packet, fds, _, _ = socket.recv_fds(where, PACKET, 8)
        except ConnectionResetError:
            packet, fds = b"", []
        if not packet:
            self._close(where)
            return
        order = json.loads(packet)
        lane = lane or order["lane"]
        if order["do"] == "start":
            answer = {"pid": self._start(lane, order["kind"], fds, order.get("args", {}))}
        elif order["do"] == "kill":
            answer = {"killed": self._kill(lane, order["kinds"])}
        else:
            answer = {"left": sorted(kind for of, kind in self._children.values() if of == lane)}
        with suppress(BrokenPipeError, ConnectionResetError):
            where.send(json.dumps(answer).encode())

    def _start(self, lane: str, kind: str, fds: list[int], args: dict[str, Any]) -> int:
        desk, inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            self._become(kind, [*fds, inside.fileno()], args)
        for fd in fds:
            os.close(fd)
        inside.close()
        self._children[pid] = (lane, kind)
        self._desks[pid] = desk
        self._selector.register(desk, selectors.EVENT_READ, lambda: self._take(desk, lane))
        return pid

    def _become(self, kind: str, fds: list[int], args: dict[str, Any]) -> None:
        """The child: nothing of its siblings is left open in it. Never returns."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            log = os.open(args.get("log", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            for number, stream in ((os.open(os.devnull, os.O_RDWR), (0, 1)), (log, (2,))):
                for fd in stream:
                    os.dup2(number, fd)
            kept = {0, 1, 2, *fds}
            for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  - numbers, not paths
                if int(name) not in kept:
                    with suppress(OSError):
                        os.close(int(name))
            code = self._kinds[kind](fds, args)
        except BaseException:  # noqa: BLE001  - whatever it is, the child may not go on as a template
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _kill(self, lane: str, kinds: list[str]) -> int:
        """SIGKILL to those of the lane, and every one of them is gone when this returns."""
        self._reap()
        struck = [pid for pid, (of, kind) in self._children.items() if of == lane and kind in kinds]
        for pid in struck:
            os.kill(pid, signal.SIGKILL)
        for pid in struck:
            os.waitpid(pid, 0)
            del self._children[pid]
            if "keeper" in kinds:  # one that a dead daemon still asks for would be a survivor of everything's end
                self._close(self._desks[pid])
            del self._desks[pid]
        return len(struck)

    def _close(self, where: socket.socket) -> None:
        if where.fileno() >= 0:
            self._selector.unregister(where)
            where.close()

    def _reap(self, wakes: int | None = None) -> None:
        if wakes is not None:
            with suppress(BlockingIOError):
                os.read(wakes, 4096)
        for pid in list(self._children):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._children[pid], self._desks[pid]  # an order it left is read first: the selector has it


def main() -> None:
    import committing
    import serving

    orders = socket.socket(fileno=int(sys.argv[1]))
    gc.collect()
    gc.freeze()  # what stands now is shared with every child: a collection that touched it would copy it
    Template(orders, serving.KINDS | committing.KINDS).run()


if __name__ == "__main__":
    main()
