"""A page that watches: its end of the stream of events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from managed import BASE, KEY, Managed


@dataclass
class Watching:
    """A page's end of the stream."""

    answer: aiohttp.ClientResponse

    async def hears(self, topic: str) -> Any:
        """The data of the topic's next event; those of others go by."""
        while True:
            name, data = await self.next()
            if name == topic:
                return data

    async def next(self) -> tuple[str, Any]:
        frame = b""
        while not (frame := await self.answer.content.readuntil(b"\n\n")).startswith(b"event: "):
            pass
        name, _, data = frame.decode().removeprefix("event: ").partition("\ndata: ")
        return name, json.loads(data)


@asynccontextmanager
async def watching(here: Managed, topics: str = "") -> AsyncIterator[Watching]:
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{here.url}{BASE}/events{f'?topics={topics}' if topics else ''}"
    async with here.session.get(url, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        yield Watching(answer)
