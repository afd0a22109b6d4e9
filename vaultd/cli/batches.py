"""What is too much for one request to the daemon goes in several, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

T = TypeVar("T")

#: What a daemon's socket takes in one request is 1 MiB (`server.admin`), and JSON makes text longer.
_CHARACTERS: Final = 384 * 1024
#: Each login is some writes that wait for the disk, 50 ms on a slow one; a request is given 90 s (`net.local`).
_COUNT: Final = 200


def batches(items: Iterable[T], length: Callable[[T], int]) -> Iterator[list[T]]:
    """One that is longer than a request by itself is sent by itself."""
    batch: list[T] = []
    size = 0
    for item in items:
        more = length(item)
        if batch and (size + more > _CHARACTERS or len(batch) == _COUNT):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += more
    if batch:
        yield batch
