"""Several ways to one answer: the first that ends wins, the others are cancelled and have ended before it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def race(*ways: Coroutine[Any, Any, T]) -> T:
    """The result, or the exception, of whichever way ends first; of two at once, the one named first."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_held(way)) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in tasks if task.done()).result()
        for task in tasks:
            task.cancel()
    if isinstance(first, _Raised):
        raise first.error
    return first


class _Raised:
    def __init__(self, error: Exception) -> None:
        self.error = error


async def _held(way: Coroutine[Any, Any, T]) -> T | _Raised:
    """An exception as a value: a task group would wrap it in a group and cancel whoever waits."""
    try:
        return await way
    except Exception as error:  # noqa: BLE001 - raised again by `race`
        return _Raised(error)
