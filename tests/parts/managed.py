"""A daemon in front of the sandbox, as a page or a script with the management key sees it, and its user's browser."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from desk import HandClock
from household import Household

from vaultd.sandbox import Sandbox

KEY = "CANARY-management-key"
CLIENT_KEY = "sk-CANARY-client-0123456789abcdef"
BASE = "/v0/management"
CODE_VENDORS = ("claude", "codex", "gemini", "iflow")


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Managed(Household):
    """Its manager. `ports`: where each vendor's callback is waited for."""

    ports: dict[str, int] = field(default_factory=dict)

    async def asks(self, method: str, path: str, body: Any = None, **sent: Any) -> Told:
        """With the management key. `sent`: what else the request has, as aiohttp names it."""
        headers = {"Authorization": f"Bearer {KEY}", **sent.pop("headers", {})}
        if body is not None:
            sent |= {"data": json.dumps(body)}
            headers.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.url + BASE + path, headers=headers, **sent) as answer:
            return Told(answer.status, answer.headers, await answer.read())

    async def browses(self, url: str, **sent: Any) -> Told:
        """A browser at an address: redirects are followed unless `allow_redirects` says no."""
        async with self.session.get(url, **sent) as page:
            return Told(page.status, page.headers, await page.read())

    async def redirect_of(self, url: str) -> str:
        """Where the vendor sends the browser: what stands in its address bar if nothing listens there."""
        return (await self.browses(url, allow_redirects=False)).headers["Location"]

    async def chats(self, model: str) -> Told:
        """A client asks for an answer."""
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "say hello"}]})
        headers = {"Authorization": f"Bearer {CLIENT_KEY}", "Content-Type": "application/json"}
        async with self.session.post(self.url + "/v1/chat/completions", data=body, headers=headers) as answer:
            return Told(answer.status, answer.headers, await answer.read())

    def files(self) -> dict[str, bytes]:
        """What stands in the credentials' folder."""
        return {file.name: file.read_bytes() for file in self.house.owner.folder.glob("*.json")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def managed(
    home: dict[str, str], planted: Callable[[Path], Path], *, by_hand: bool = False, config: Any = None
) -> AsyncIterator[Managed]:
    """Vendors whose callback ports are free ones: the fixed ones belong to whoever holds them. `by_hand`: the test
    moves the time."""
    clock = HandClock() if by_hand else None
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(now=clock.true) if clock else Sandbox())
        overlay, ports = sandbox.overlay(), {}
        for vendor in CODE_VENDORS:
            ports[vendor] = free_port()
            sandbox.set(vendor, any_port=True)
            overlay[vendor].setdefault("oauth", {})["redirect"] = {"port": ports[vendor]}
        whole = {"api-keys": [CLIENT_KEY], "providers": overlay, "remote-management": {"secret-key": KEY}}
        path = Path(home["XDG_CONFIG_HOME"]) / "vaultd" / "config.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        planted(path).write_text(json.dumps(whole | (config(sandbox) if config else {})))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        one = Managed(home, sandbox, clock, session, ports=ports)
        await one.start()
        stack.push_async_callback(one.stop)
        yield one
