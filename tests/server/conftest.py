"""Houses that listen on free loopback ports, and go when the test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from serving import CLIENT_KEY, Serve, Serving

from vaultd.house import build
from vaultd.net.clock import Clock
from vaultd.server.run import listening, tls_context
from vaultd.server.slow import LIMITS, Limits


@pytest.fixture
async def serve(home: dict[str, str], planted: Callable[[Path], Path]) -> AsyncIterator[Serve]:
    """`await serve(config)` is a listening house; `api-keys` holds CLIENT_KEY unless the config names its own. Further
    names are variables of its environment."""
    async with AsyncExitStack() as stack:

        async def start(config: str = "", limits: Limits = LIMITS, clock: Clock | None = None, **env: str) -> Serving:
            path = Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            keys = "" if "api-keys" in config else f"api-keys: [{CLIENT_KEY}]\n"
            planted(path).write_text(keys + config)
            house = await build(home | env, None, for_daemon=False, clock=clock)
            stack.push_async_callback(house.close)
            address = await stack.enter_async_context(listening(house, "127.0.0.1", 0, tls_context(house), limits))
            parts = urlsplit(address)
            assert parts.port is not None
            return Serving(house, parts.hostname or "", parts.port)

        yield start
