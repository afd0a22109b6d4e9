"""The callback listener of one sign-in: loopback, both families or none, one shot, then gone (RFC 8252 §7.3).

Vendors registered `http://localhost:PORT/...`, and a browser may take either family for `localhost`: whoever holds the
other one would receive the code. So a port taken on one family means no listener at all, and the person pastes.

A container's own loopback cannot be published to the machine around it. There, and nowhere else, an operator may have
it bound to another address (`cli.callback_bind`), and what is published decides who reaches it.

Whether an answer is ours is `oauth.callback.judge`'s to say; here is only what HTTP adds. No parameter is ever echoed,
and nothing is logged: a request line here holds a code.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from vaultd.effects import AwaitRedirect
from vaultd.errors import PortTaken
from vaultd.net.holder import holder
from vaultd.oauth.callback import NotOursError, judge

#: Time for the browser to follow the redirect to the closing page; then the port is free for the next sign-in.
LINGER_SECONDS = 2.0
#: A browser opens a spare connection and says nothing on it.
_IDLE_SECONDS = 5.0

_ADDRESSES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
#: This machine has no such family, or no loopback in it: nobody can squat there.
_ABSENT = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "vaultd",
}
_DONE = "The answer has arrived. Go back to where you started the sign-in; this page can be closed."
_REFUSED = "The sign-in was refused. The reason stands where you started it; this page can be closed."

# aiohttp logs a request it cannot parse, with the offending line.
_silent = logging.getLogger("vaultd.callback")
_silent.disabled = True


class Listener:
    """One sign-in's listener: `open`, `answer`, `close`.

    Opened before the person is shown the address, so that no answer can be faster than the listener; a request that
    comes before `answer` is awaited waits for it.
    """

    def __init__(self, redirect_uri: str, bind: str = "") -> None:
        """`bind`: an address in place of loopback's."""
        self._bind = bind
        parts = urlsplit(redirect_uri)
        assert parts.port is not None
        self.port = parts.port
        self._path = parts.path
        self._done_path = parts.path.rstrip("/") + "/done"
        self._hosts = {f"{name}:{parts.port}" for name in ("127.0.0.1", "[::1]", "localhost")}
        loop = asyncio.get_running_loop()
        self._expected: asyncio.Future[AwaitRedirect] = loop.create_future()
        self._answer: asyncio.Future[Mapping[str, str]] = loop.create_future()
        self._page_seen = asyncio.Event()
        self._web = web.Server(
            self._handle, access_log=None, logger=_silent, keepalive_timeout=_IDLE_SECONDS, lingering_time=0
        )
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        """Listens. Raises PortTaken, naming the holder where it can be seen."""
        loop = asyncio.get_running_loop()
        socks = _bound(_addresses(self._bind), self.port)
        try:
            # Held before they serve: a server whose maker is cancelled meanwhile would keep the port for ever.
            for sock in socks:
                self._servers.append(await loop.create_server(self._web, sock=sock, start_serving=False))
            for server in self._servers:
                await server.start_serving()
        except BaseException:
            self._stop_listening()
            for sock in socks:
                sock.close()
            raise

    async def close(self) -> None:
        """Stops listening; after an answer only once the browser has its closing page, or two seconds have gone by."""
        try:
            if self._answer.done():
                await self._closing_page_fetched()
        finally:
            self._stop_listening()
            self._expected.cancel()
            self._answer.cancel()
            await self._web.shutdown(timeout=1.0)

    async def answer(self, effect: AwaitRedirect) -> Mapping[str, str]:
        """The judged parameters of the one answer that is ours."""
        if not self._expected.done():
            self._expected.set_result(effect)
        found = await asyncio.shield(self._answer)
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._stop_listening)
        return found

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _closing_page_fetched(self) -> None:
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                await self._page_seen.wait()
        except TimeoutError:
            pass

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if request.rel_url.raw_path == self._done_path:
            return self._closing_page()
        expected = await asyncio.shield(self._expected)
        params = parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True)
        try:
            found = judge(params, expected.state, expected.issuer, issuer_required=expected.issuer_required)
        except NotOursError:
            return page(400, "This is not the answer that this sign-in waits for.")
        if self._answer.done():
            return page(410, "This answer has been delivered before.")
        self._answer.set_result(found)
        # 303: the browser asks for a clean address, and code and state leave its bar and history (RFC 9700 §4.12).
        return web.Response(status=303, headers={**HEADERS, "Location": self._done_path})

    def _refusal(self, request: web.BaseRequest) -> web.Response | None:
        """What no sign-in's answer looks like; none of it uses up the one shot (SEC-16, SEC-21)."""
        if not self._bind and not _from_loopback(request):
            return page(403, "Only this machine may answer.")
        # An absolute-form target overrides `request.host`; both must be right.
        if request.headers.get("Host", "") not in self._hosts or request.host not in self._hosts:
            return page(400, "This is not the address of this sign-in.")
        if request.method != "GET":
            return page(405, "Only GET.", {"Allow": "GET"})
        if request.rel_url.raw_path not in {self._path, self._done_path}:
            return page(404, "There is nothing here.")
        if any("prefetch" in request.headers.get(name, "").lower() for name in ("Sec-Purpose", "Purpose", "X-Moz")):
            return page(503, "Not for looking ahead.")
        return None

    def _closing_page(self) -> web.Response:
        if not self._answer.done() or self._answer.cancelled():
            return page(404, "There is nothing here.")
        self._page_seen.set()
        return page(200, _REFUSED if "error" in self._answer.result() else _DONE, {"Connection": "close"})


def _addresses(bind: str) -> Sequence[tuple[socket.AddressFamily, str]]:
    if not bind:
        return _ADDRESSES
    return [(socket.AF_INET6 if ":" in bind else socket.AF_INET, bind)]


def _bound(addresses: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    """A socket on each of them that this machine has; all or none."""
    bound: list[socket.socket] = []
    try:
        for family, address in addresses:
            try:
                bound.append(_listening(family, address, port))
            except OSError as error:
                if error.errno in _ABSENT:
                    continue
                raise PortTaken(_why(error, family, address, port)) from None
    except PortTaken:
        for sock in bound:
            sock.close()
        raise
    if not bound:
        raise PortTaken("this machine has no address to listen on for the browser's answer")
    return bound


def _listening(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port in TIME_WAIT may be had again; one that somebody listens on may not: never SO_REUSEPORT (SEC-13).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(16)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _why(error: OSError, family: socket.AddressFamily, address: str, port: int) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"port {port} on {address} cannot be had ({error.strerror})"
    by = holder(family, port)
    return f"port {port} on {address} is taken" + (f" by {by}" if by else "")


def _from_loopback(request: web.BaseRequest) -> bool:
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback
    except ValueError:
        return False


def page(status: int, text: str, extra: Mapping[str, str] | None = None) -> web.Response:
    body = f"<!doctype html><html lang=en><meta charset=utf-8><title>vaultd</title><p>{text}</p></html>\n"
    headers = {**HEADERS, **(extra or {})}
    return web.Response(status=status, text=body, content_type="text/html", headers=headers)
