"""What the template forks: the real `vaultd serve` but for the port it would listen on, and its keeper.

A daemon here is the command itself (`vaultd.cli`): configuration, keys, owner, renewer, file events. In place of the
HTTP server it is handed a conversation with the driver, who plays the requests that meet a refused token.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import uvloop
from template import PACKET, Kind

import vaultd.cli.serve
import vaultd.verbs.status
from vaultd.cli.main import run
from vaultd.errors import VaultdError
from vaultd.house import House
from vaultd.keeper.far import keep
from vaultd.net.process import harden
from vaultd.vault.credential import Credential


def daemon(fds: list[int], args: dict[str, Any]) -> int:
    """`vaultd serve` in the environment `args["env"]`. Descriptors: the driver's line, the template's desk."""
    os.environ.clear()
    os.environ.update(args["env"])
    harden()
    control, desk = (socket.socket(fileno=fd) for fd in fds)
    return run(["serve"], serve=partial(_serve, control, partial(_fork, desk, args["log"]), args["id"]))


def keeper(fds: list[int], _args: dict[str, Any]) -> int:
    """`python -m vaultd.keeper`."""
    harden()
    keep(fds[0])
    return 0


class Forked:
    """A keeper that is the template's child and nobody else's."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return 0 if select.select([self._fd], [], [], 0)[0] else None

    def kill(self) -> None:
        signal.pidfd_send_signal(self._fd, signal.SIGKILL)


def _fork(desk: socket.socket, log: str, end: socket.socket) -> Forked:
    """In place of an exec, which costs half a second."""
    order = {"do": "start", "kind": "keeper", "args": {"log": log}}
    socket.send_fds(desk, [json.dumps(order).encode()], [end.fileno()])
    return Forked(json.loads(desk.recv(PACKET))["pid"])


async def _serve(
    control: socket.socket,
    spawn: Callable[[socket.socket], Forked],
    id: str,  # noqa: A002
    house: House,
    _host: str,
    _port: int,
) -> None:
    house.keeper.spawn = spawn
    control.setblocking(False)
    loop = asyncio.get_running_loop()

    def say(what: str, **more: Any) -> None:
        refused = {**house.owner.refused(), **house.owner.troubles()}
        words = {"said": what, "refused": refused, "unsettled": sorted(house.owner.unsettled())}
        control.send(json.dumps(words | _holding(house.owner.get(id)) | more).encode())

    house.owner.changed(lambda: say("changed"))
    say("up")
    while packet := await loop.sock_recv(control, PACKET):
        order = json.loads(packet)["do"]
        credential = house.owner.get(id)
        rejected = credential.bearer if credential is not None and order == "renew" else None
        say("ordered" if order == "renew" else "asked")
        try:
            await house.renewer.fresh(id, rejected=rejected)
        except VaultdError as error:
            say("failed", reason=str(error))
        else:
            say("done")


def _holding(credential: Credential | None) -> dict[str, Any]:
    """The login as this daemon has it. It goes to the driver alone, over a socket pair."""
    if credential is None or credential.tokens is None or credential.tokens.refresh is None:
        return {"generation": 0, "refresh": "", "bearer": "", "dead": ""}
    return {
        "generation": credential.generation,
        "refresh": credential.tokens.refresh.reveal(),
        "bearer": credential.bearer.reveal() if credential.bearer else "",
        "dead": credential.dead.reason if credential.dead else "",
    }


#: Imported here, so that no child pays for what the command imports when it needs it.
_WARM = (uvloop, vaultd.cli.serve, vaultd.verbs.status)

KINDS: dict[str, Kind] = {"daemon": daemon, "keeper": keeper}
