"""What the template forks: the real `vaultd serve` but for the port it would listen on, and its keeper.

A daemon here is the command itself (`vaultd.cli`): configuration, keys, owner, renewer, file events. In place of the
HTTP server it is handed a conversation with the driver, who plays the requests that meet a refused token.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from functools import partial
from typing import Any

import uvloop
from template import PACKET, Kind

import vaultd.cli.serve
import vaultd.verbs.status
from vaultd.cli.main import run
from vaultd.errors import VaultdError
from vaultd.house import House
from vaultd.net.process import harden
from vaultd.vault.credential import Credential


def daemon(fds: list[int], args: dict[str, Any]) -> int:
    """`vaultd serve` in the environment `args["env"]`. Descriptors: the driver's line, the template's desk."""
    os.environ.clear()
    os.environ.update(args["env"])
    harden()
    control, _desk = fds
    return run(["serve"], serve=partial(_serve, socket.socket(fileno=control), args["id"]))


async def _serve(control: socket.socket, id: str, house: House, _host: str, _port: int) -> None:  # noqa: A002
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

KINDS: dict[str, Kind] = {"daemon": daemon}
