"""A house with key credentials of all four formats, pointed at a stand-in vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pooled import Open, opened
from stand_in import CLIENT_KEY, ONE_OF_EACH, Relayed, Serve, Vendor

from vaultd.house import build
from vaultd.server.run import listening


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    vendor = Vendor()
    app = web.Application(client_max_size=1 << 28)
    app.router.add_route("*", "/{path:.*}", vendor.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    vendor.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield vendor
    await runner.cleanup()


@pytest.fixture
async def serve(home: dict[str, str], planted: Callable[[Path], Path], vendor: Vendor) -> AsyncIterator[Serve]:
    """`await serve(config)`: `{url}` in it is the vendor's address; the default has one credential of each format."""
    async with AsyncExitStack() as stack:

        async def start(config: str = ONE_OF_EACH) -> Relayed:
            path = Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            planted(path).write_text(f"api-keys: [{CLIENT_KEY}]\n" + config.format(url=vendor.url))
            house = await build(home, None, for_daemon=False)
            stack.push_async_callback(house.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            url = await stack.enter_async_context(listening(house, "127.0.0.1", 0))
            return Relayed(house, url, session)

        yield start


@pytest.fixture
async def pooled(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Open]:
    """`await pooled(part of the configuration, …)`: a house in front of the sandbox, whose time the test moves."""
    async with AsyncExitStack() as stack:
        yield partial(opened, home, planted, stack)
