"""A house that answers on a loopback port, as a client sees it that writes its requests byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vaultd.house import House

CLIENT_KEY = "sk-CANARY-client-0123456789abcdef"

MODELS = """
openai-compatibility:
  - name: acme
    base-url: http://127.0.0.1:9/v1
    api-key-entries: [{api-key: sk-CANARY-1}]
    models: [{name: acme-large-2, alias: large}, {name: acme-small}]
"""


async def until_cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """All that a peer hears; not being cut off fails the test."""
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@dataclass(frozen=True)
class Heard:
    """One answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Serving:
    """A house that answers on `port`."""

    house: House
    host: str
    port: int

    async def say(self, request: bytes) -> Heard:
        """Sends these bytes on a connection of their own and reads until the server closes it."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return parsed(answer)

    async def get(self, path: str, *, key: str | None = CLIENT_KEY, host: str = "", **headers: str) -> Heard:
        return await self.send("GET", path, b"", key=key, host=host, **headers)

    async def send(
        self, method: str, path: str, body: bytes, *, key: str | None = CLIENT_KEY, host: str = "", **headers: str
    ) -> Heard:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'{self.host}:{self.port}'}", "Connection: close"]
        if key is not None:
            lines.append(f"Authorization: Bearer {key}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return await self.say("\r\n".join([*lines, "", ""]).encode() + body)


def parsed(answer: bytes) -> Heard:
    """An HTTP/1.1 answer that ends with its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Heard(int(first.split()[1]), headers, body)


Serve = Callable[..., Any]
