"""The sandbox vendor beside a test that blocks: in a thread of its own, with its switches at hand."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vaultd.sandbox import Sandbox


@contextmanager
def vendors(**options: Any) -> Iterator[Sandbox]:
    """`with vendors(access_seconds=60) as sandbox`: the same Sandbox, served from another thread."""
    started: list[Sandbox] = []
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with Sandbox(**options) as sandbox:
            started.append(sandbox)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10), "the sandbox did not start"
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
