"""What the template forks to have a commit disturbed: one whole renewal against a vendor that answers at once.

`commit` runs the real `work.renewal.renew` over the real owner; the vendor is a function, so that every system call
left is the vault's own. `look` is the next start: what does it find?
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from template import PACKET, Kind

from vaultd.effects import Reply, Send
from vaultd.errors import VaultdError
from vaultd.house import House, build
from vaultd.net.clock import SystemClock
from vaultd.work.renewal import Order, renew


def refresh_token(generation: int) -> str:
    """What the vendor gave for this generation of the login. The first is the sign-in's own."""
    return f"CANARY-refresh-{generation}"


class Renewing:
    """One house, one renewal at a time. The worker thread is one and stands before anybody traces it."""

    def __init__(self, control: socket.socket, house: House, id: str) -> None:  # noqa: A002
        self._control, self._house, self._id = control, house, id
        self._next = 0

    def say(self, what: str, **more: Any) -> None:
        self._control.send(json.dumps({"said": what} | more).encode())

    async def once(self) -> None:
        house = self._house
        credential = house.owner.get(self._id)
        assert credential is not None
        self._next = credential.generation + 1
        order = Order(self._id, house.catalog.provider(credential.provider), credential.generation)
        try:
            renewal = await renew(house.owner, order, send=self._answer, clock=SystemClock())
        except (VaultdError, OSError) as error:
            self.say("failed", reason=f"{type(error).__name__}: {error}")
        else:
            self.say("done", generation=renewal.credential.generation, troubles=dict(house.owner.troubles()))

    async def _answer(self, _effect: Send, *, proxy: str | None = None) -> Reply:
        self.say("sent")
        tokens = {"access_token": f"CANARY-access-{self._next}", "refresh_token": refresh_token(self._next)}
        body = json.dumps(tokens | {"token_type": "Bearer", "expires_in": 3600}).encode()
        return Reply(200, {"content-type": "application/json"}, body)


def commit(fds: list[int], args: dict[str, Any]) -> int:
    """Opens the house, waits for a word, renews: once and waits for another, or again and again (`args["ever"]`)."""
    if args.get("forgetful"):
        os.fsync = _fsync_of_the_file_alone

    async def work() -> None:
        control = socket.socket(fileno=fds[0])
        control.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        house = await build(args["env"], None, for_daemon=False)
        renewing = Renewing(control, house, args["id"])
        worker = await loop.run_in_executor(None, threading.get_native_id)
        renewing.say("ready", main=threading.get_native_id(), worker=worker)
        await loop.sock_recv(control, PACKET)
        await renewing.once()
        while args.get("ever"):
            await renewing.once()
        await loop.sock_recv(control, PACKET)

    asyncio.run(work())
    return 0


def _fsync_of_the_file_alone(fd: int, real: Callable[[int], None] = os.fsync) -> None:
    """The credential's own file and nothing else: no folder, and none of what is written beside it. ext4 makes a
    rename durable with any later fsync of the same disk, so the ledger's would stand in for the folder's."""
    if stat.S_ISREG(os.fstat(fd).st_mode) and Path(f"/proc/self/fd/{fd}").readlink().parent.name == "auth":
        real(fd)


def look(fds: list[int], args: dict[str, Any]) -> int:
    """A start, as far as the files go: what is held, refused, unsettled, left over."""

    async def work() -> dict[str, Any]:
        house = await build(args["env"], None, for_daemon=False)
        await house.owner.rescan()
        held = house.owner.get(args["id"])
        tokens = held.tokens if held is not None else None
        found: dict[str, Any] = {
            "generation": held.generation if held else 0,
            "refresh": tokens.refresh.reveal() if tokens and tokens.refresh else "",
            "refused": {**house.owner.refused(), **house.owner.troubles()},
            "unsettled": sorted(house.owner.unsettled()),
        }
        await house.close()
        return found

    with socket.socket(fileno=fds[0]) as control:
        found = asyncio.run(work())
        control.send(json.dumps({"said": "found", "left": _left(Path(args["env"]["HOME"]))} | found).encode())
    return 0


def _left(home: Path) -> list[str]:
    """What should not outlive a start: temporary files, emergency copies."""
    files = [Path(at, name).relative_to(home) for at, _, names in os.walk(home) for name in names]
    return [
        str(file) for file in files if file.suffix == ".tmp" or ("emergency" in file.parts and file.suffix == ".json")
    ]


KINDS: dict[str, Kind] = {"commit": commit, "look": look}
