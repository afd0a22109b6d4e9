"""One home with one daemon in it, in this process, in front of the sandbox: started, stopped, started again."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
from desk import HandClock

from vaultd.house import House, build
from vaultd.sandbox import Sandbox
from vaultd.server.run import listening


@dataclass
class Household:
    """`clock`: None is this machine's."""

    home: dict[str, str]
    sandbox: Sandbox
    clock: HandClock | None
    session: aiohttp.ClientSession
    house: House = field(init=False)
    url: str = ""
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start(self) -> None:
        self.house = await build(self.home, None, for_daemon=False, clock=self.clock)
        self._open.push_async_callback(self.house.close)
        self.url = await self._open.enter_async_context(listening(self.house, "127.0.0.1", 0))

    async def stop(self) -> None:
        await self._open.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()
