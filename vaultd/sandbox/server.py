"""The loopback server that is all vendors at once, and the Sandbox that starts and stops it.

Every request passes `_serve`: recorded, struck by faults, handled, and a refusal put into words. A second listener
belongs to nobody: it records what reaches it, to prove that redirects to another host were not followed.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from vaultd.sandbox import control, vendors
from vaultd.sandbox.call import Call, Route, answer
from vaultd.sandbox.faults import serve
from vaultd.sandbox.records import Hit
from vaultd.sandbox.refusal import Refusal
from vaultd.sandbox.routes import ROUTES
from vaultd.sandbox.state import Vendor
from vaultd.sandbox.switches import Denial, Fault, Quota

#: Above the 64 MiB that a relay must pass, so that the relay's limit is met first.
_BODY_LIMIT = 80 * 1024 * 1024


class Sandbox:
    """All pretend vendors on one loopback port: `async with Sandbox() as sandbox`.

    `access_seconds` is the life of every vendor's access tokens where no switch says otherwise.
    """

    def __init__(
        self, *, port: int = 0, access_seconds: float | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._port = port
        self.state = {name: Vendor(rules, now, access_seconds) for name, rules in vendors.RULES.items()}
        self.other_hits: list[Hit] = []
        self._runners: list[web.AppRunner] = []
        self.url = ""
        self.other_url = ""

    async def __aenter__(self) -> Self:
        self.url = await self._listen(self._app(), self._port)
        self.other_url = await self._listen(self._other_app(), 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for vendor in self.state.values():
            vendor.release()
        for runner in reversed(self._runners):
            await runner.cleanup()

    def __getitem__(self, vendor: str) -> Vendor:
        return self.state[vendor]

    def overlay(self) -> dict[str, Any]:
        """The `providers:` config overlay that points every shipped manifest here."""
        return vendors.overlay(self.url)

    def key_bases(self) -> dict[str, str]:
        """`base-url` for key credentials, by provider id."""
        return vendors.key_bases(self.url)

    def set(self, vendor: str, **switches: Any) -> None:
        self.state[vendor].set(**switches)

    def fault(self, vendor: str, **fault: Any) -> None:
        """Arm a misbehaviour: see `switches.Fault`."""
        self.state[vendor].arm(msgspec.convert(fault, Fault))

    def exhaust(self, vendor: str, **quota: Any) -> None:
        """An allowance is used up: see `switches.Quota`."""
        self.state[vendor].exhaust(msgspec.convert(quota, Quota))

    def deny(self, vendor: str, **denial: Any) -> None:
        """Who or what is refused: see `switches.Denial`."""
        self.state[vendor].deny(msgspec.convert(denial, Denial))

    async def _listen(self, app: web.Application, port: int) -> str:
        # handler_cancellation: a client that hangs up must be seen, also while we wait between two events.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("GET", "/_control", self._control)
        app.router.add_route("POST", "/_control", self._control)
        app.on_response_prepare.append(self._dated)
        for name, rows in ROUTES.items():
            for route in rows:
                app.router.add_route(route.method, f"/{name}{route.path}", self._handler(self.state[name], route))
        return app

    async def _dated(self, request: web.Request, response: web.StreamResponse) -> None:
        """`Date` by the vendor's own clock, which may be wrong (RFC 9110 §6.6.1)."""
        vendor = self.state.get(request.path.split("/")[1])
        if vendor is not None:
            at = vendor.now() + vendor.switches.date_skew_seconds
            response.headers["Date"] = formatdate(at, usegmt=True)

    def _other_app(self) -> web.Application:
        async def record(request: web.Request) -> web.Response:
            self.other_hits.append(_hit("any", request, await request.read()))
            return answer({})

        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{tail:.*}", record)
        return app

    def _handler(self, vendor: Vendor, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            hit = _hit(route.at, request, await request.read())
            vendor.note(hit)
            call = Call(self.url, vendor, request, hit)
            secret = call.secret() if route.at == "llm" else ""
            if secret:
                vendor.begin(secret)
            try:
                response = await serve(call, route, self.other_url)
            except Refusal as refusal:
                response = answer(refusal.body, status=refusal.status)
                response.headers.update(refusal.headers)
            finally:
                if secret:
                    vendor.end(secret)
            hit.status = response.status
            return response

        return handle

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return answer(control.report(self.state, self.other_hits))
        return await control.perform(self.state, request)


def _hit(at: str, request: web.Request, body: bytes) -> Hit:
    pairs: Mapping[str, str] = request.headers
    return Hit(at, request.method, request.path, list(request.query.items()), list(pairs.items()), body)
