"""Performs a pure flow: the loop between `oauth`'s generators and the world. No effect is known here by name but those
that every caller performs alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from vaultd.effects import Effect, Flow
from vaultd.errors import VaultdError

T = TypeVar("T")

Perform = Callable[[Effect], Awaitable[Any]]


async def drive(flow: Flow[T], perform: Perform) -> T:
    """What the flow returns. An expected failure is thrown into it, where it may be answered; a cancellation closes it,
    and with it goes what it knew (SEC-25)."""
    try:
        effect = next(flow)
        while True:
            try:
                answer = await perform(effect)
            except VaultdError as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        flow.close()
