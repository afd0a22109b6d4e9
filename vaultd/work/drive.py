"""Performs a pure flow: the loop between `oauth`'s generators and the world, and the effects that need no person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from vaultd.effects import Effect, Flow, Now, Reply, Send, Wait
from vaultd.errors import SignInRequired, VaultdError
from vaultd.net.clock import Clock

T = TypeVar("T")

Perform = Callable[[Effect], Awaitable[Any]]


class Sender(Protocol):
    """`net.client.Client.send`."""

    async def __call__(self, effect: Send, *, proxy: str | None = None) -> Reply: ...


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


def unattended(send: Sender, clock: Clock, proxy: str | None = None) -> Perform:
    """Requests and time, with nobody there to ask."""

    async def perform(effect: Effect) -> Any:
        match effect:
            case Send():
                return await send(effect, proxy=proxy)
            case Wait(seconds):
                return await clock.sleep(seconds)
            case Now():
                return clock.boot()
            case _:
                raise SignInRequired("the vendor asks for a person; sign in again")

    return perform
