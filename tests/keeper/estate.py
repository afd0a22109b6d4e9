"""A person's machine with logins at the pretend vendor, and a house or a daemon in it whose keeper is real."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from desk import login
from shell import Daemon, Person

from vaultd.house import House, build
from vaultd.sandbox import Sandbox
from vaultd.sandbox.state import Vendor
from vaultd.vault.credential import Credential
from vaultd.work.renewal import Order

T = TypeVar("T")


@dataclass
class Estate:
    sandbox: Sandbox
    env: dict[str, str]
    person: Person
    houses: list[House] = field(default_factory=list)
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def vendor(self) -> Vendor:
        return self.sandbox["codex"]

    async def signed_in(self, email: str = "", *, aged: float = 0.0) -> Credential:
        """A login that was made `aged` seconds ago; its access token lives an hour."""
        return await (await self.house()).owner.settle(login(self.sandbox, "codex", email, time.time() - aged))

    async def house(self, *, for_daemon: bool = False) -> House:
        self.houses.append(await build(self.env, None, for_daemon=for_daemon))
        return self.houses[-1]

    async def daemon(self) -> Daemon:
        self.daemons.append(await asyncio.to_thread(Daemon, self.person))
        return self.daemons[-1]

    async def on_disk(self, id: str) -> Credential:  # noqa: A002
        found = (await self.house()).owner.get(id)
        assert found is not None
        return found

    async def asked(self, times: int = 1) -> None:
        """Until the vendor was asked for tokens so often."""
        await self.vendor.until(lambda: self.vendor.counts["requests:token"] >= times)

    async def stopped_with_the_answer_before_it(self, parent: int, times: int = 1) -> int:
        """The keeper of `parent`, which has asked the vendor and not read what it answered: the token is spent, and its
        successor is nowhere but in the kernel. The token endpoint must hang."""
        await self.asked(times)
        keeper = await keeper_of(parent)
        os.kill(keeper, signal.SIGSTOP)
        renewals = self.vendor.counts["renewals"]
        self.vendor.release()
        await eventually(lambda: self.vendor.counts["renewals"] > renewals)
        return keeper

    async def leave(self) -> None:
        self.vendor.release()
        for house in self.houses:
            await house.close()
        for daemon in self.daemons:
            await asyncio.to_thread(daemon.ends)


def configured(person: Person, sandbox: Sandbox, **more: object) -> None:
    person.configures(json.dumps({"providers": sandbox.overlay(), **more}))


def children(pid: int) -> list[int]:
    """Of a process, whichever thread of it made them."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


async def keeper_of(pid: int) -> int:
    """The one keeper of a process, once it has one."""
    return (await eventually(lambda: [child for child in children(pid) if is_keeper(child)]))[0]


def is_gone(pid: int) -> bool:
    """Not even a zombie is left."""
    return not Path(f"/proc/{pid}").exists()


def is_keeper(pid: int) -> bool:
    try:
        return b"vaultd.keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def lives(pid: int) -> bool:
    """Whether it still does anything: a zombie that nobody reaps any more does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


async def ended(pid: int) -> None:
    await eventually(lambda: not lives(pid))


async def eventually(condition: Callable[[], T]) -> T:
    """Other processes tell nobody what becomes of them: looked at until it holds; pytest's limit is the deadline."""
    while not (found := condition()):  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.01)
    return found


async def renewed(house: House, id: str) -> Credential:  # noqa: A002
    """Ordered of its keeper, whatever the renewer thinks of the time."""
    held = house.owner.snapshot()[id]
    return (await house.keeper(Order(id, house.catalog.provider(held.provider), held.generation))).credential


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def resident_kb(pid: int) -> int:
    """Its memory at its largest."""
    return int(status(pid)["VmHWM"].split()[0])


def name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().rstrip("\n")


def given(pid: int) -> bytes:
    """Its arguments, and its environment where we may see it."""
    about = Path(f"/proc/{pid}")
    environment = (about / "environ").read_bytes() if os.geteuid() == 0 else b""
    return (about / "cmdline").read_bytes() + environment


def files(pid: int) -> list[str]:
    """What it has open. One may be closed while we look."""
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return found


def listening(pid: int) -> list[str]:
    """The TCP sockets of its on which it listens (proc(5): state 0A)."""
    inodes = {held[len("socket:[") : -1] for held in files(pid) if held.startswith("socket:[")}
    rows = [row.split() for table in ("tcp", "tcp6") for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and row[9] in inodes]
