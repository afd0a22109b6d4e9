"""Waiting for file events ends when it is told to, whatever happens in that moment."""

from __future__ import annotations

import asyncio

import pytest
from watchdog.events import FileModifiedEvent

from vaultd.net.watch import Eye


async def test_an_event_in_the_moment_of_a_cancellation_does_not_swallow_it() -> None:
    eye = Eye()
    waiting = asyncio.get_running_loop().create_task(eye.hint(60))
    await asyncio.sleep(0)
    eye.on_any_event(FileModifiedEvent("/somewhere/config.yaml"))
    await asyncio.sleep(0)  # the event is set; whoever waits for it has not run yet
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    eye.close()
