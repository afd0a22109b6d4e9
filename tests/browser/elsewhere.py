"""A page that is not ours: another origin, which tries what it can with the house."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

#: Asks as `fetch` does, and says what a script of this page may know of the answer.
ASKS = """async ([url, init]) => {
  try {
    const answer = await fetch(url, init);
    return {type: answer.type, status: answer.status, body: await answer.text()};
  } catch (error) {
    return {type: "refused", status: 0, body: ""};
  }
}"""


@dataclass(frozen=True)
class Elsewhere:
    origin: str


@asynccontextmanager
async def elsewhere(host: str, text: str = "<!doctype html><title>elsewhere</title>") -> AsyncIterator[Elsewhere]:
    """`host`: the name in its address, of this machine. `text`: of every page of it."""

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{tail:.*}", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield Elsewhere(f"http://{host}:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()
