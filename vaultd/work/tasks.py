"""The one place that makes tasks: a reference is kept, a failure is logged, nothing outlives `close`.

A bare `asyncio.create_task` may be collected while it runs, and swallows its exception.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("vaultd.tasks")


class Tasks:
    """A set of running tasks, by name."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The class alone: a message from below may quote what it choked on (THR-28).
            _log.error("task failed task=%s error=%s", task.get_name(), type(error).__name__)

    async def close(self) -> None:
        """Cancels what still runs and waits for it."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
