"""Who may manage over the main port. Asked in this order: is it on, is the Host ours, is it no page of elsewhere, is
the peer not banned and near enough, is the key right.

Nothing here is a cookie, so no page can spend what a browser keeps; Host and Origin are looked at all the same, for a
key may lie in a page's own store (THR-20, THR-21). The admin socket does not come by here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from vaultd import __version__
from vaultd.config.model import Config
from vaultd.house import House
from vaultd.server import guard
from vaultd.server.management.bans import BAN, Bans, in_words
from vaultd.server.management.key import ManagementKey
from vaultd.server.management.route import Caller, Refused

_log = logging.getLogger("vaultd.audit")

#: What a page of an allowed origin may send and read. No credentials, ever: there are none that a browser would add.
_PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, PUT, POST, PATCH, DELETE",
    # The three for caches are sent by EasyCLI, a page in a window of its own.
    "Access-Control-Allow-Headers": "authorization, cache-control, content-type, expires, if-match, if-none-match, "
    "pragma, x-management-key",
    "Access-Control-Max-Age": "600",
}
_ELSEWHERE: Final = "a page of another site asks; `remote-management.allowed-origins` lists those that may"
_FROM_AFAR: Final = (
    "you are not on this machine, or come through a proxy: whoever may edit the configuration's file can set "
    "`remote-management.allow-remote` there"
)
_EXPOSED: Final = "content-disposition, etag, retry-after, x-cpa-version, x-cpa-commit, x-cpa-build-date"
#: By which CLIProxyAPI's panels and apps tell what they speak with. Told to whoever has shown the key.
VERSION: Final[Mapping[str, str]] = {
    "X-CPA-VERSION": __version__,
    "X-CPA-COMMIT": "none",
    "X-CPA-BUILD-DATE": "unknown",
}


class Gate:
    def __init__(self, house: House) -> None:
        self._house = house
        self._key = ManagementKey(house)
        self._bans = Bans()

    def headers(self, request: web.Request) -> Mapping[str, str]:
        """CORS, for exactly the origins that the configuration names (THR-22)."""
        said = {"Vary": "Origin"}
        origin = request.headers.get("Origin", "")
        if self._key.wanted and origin in self._house.config.remote_management.allowed_origins:
            said |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}
        return said

    def preflight(self, request: web.Request) -> web.Response:
        """A browser asks without the key, and hears the same whatever the path."""
        self._is_on()
        self._our_host(request)
        self._our_page(request)
        if request.headers.get("Origin", "") not in self._house.config.remote_management.allowed_origins:
            raise Refused(403, "origin not allowed", message="remote-management.allowed-origins")
        return web.Response(status=204, headers=_PREFLIGHT)

    def page(self, request: web.Request) -> None:
        """The panel's own files, which hold nothing: where they could not be used they are not given out. A link to
        them may stand on any page."""
        self._is_on()
        self._our_host(request)
        self._near_enough(guard.loopback(request))

    async def admit(self, request: web.Request) -> Caller:
        """Raises Refused, with CLIProxyAPI's words where it has any."""
        self._is_on()
        self._our_host(request)
        self._our_page(request)
        near, who = guard.loopback(request), guard.peer(self._house.config, request)
        if not near:
            self._not_banned(who)
        self._near_enough(near)
        presented = _presented(request.headers)
        if not presented:
            raise Refused(401, "missing management key")
        if not self._key.remembered(presented):
            await self._slowly(presented, who, near)
        if not near:
            self._bans.right(who)
        return Caller(who, near)

    async def _slowly(self, presented: str, who: str, near: bool) -> None:
        """The first time of a key. The machine's own people are neither counted nor kept waiting by others' guesses."""
        clock = self._house.clock
        if not near and (wait := self._bans.wait(clock.boot())):
            raise _later(429, f"too many wrong management keys: try again in {in_words(wait)}", wait)
        if await self._key.right(presented):
            if not near:
                self._not_banned(who)  # guesses that came at once are judged in turn
            return
        _log.warning("management key refused", extra={"who": who, "status": 401})
        await self._house.audit.denied(who, "management key refused")
        if not near and self._bans.wrong(who, clock.boot()):
            _log.warning("banned from management", extra={"who": who, "seconds": int(BAN)})
            await self._house.audit.denied(who, f"banned for {int(BAN)} s")
        raise Refused(401, "invalid management key")

    # --- each returns, or raises Refused ------------------------------------------------------------------------------

    def _is_on(self) -> None:
        if not self._key.wanted:
            raise Refused(404, "no such route")

    def _our_host(self, request: web.Request) -> None:
        """A page may point its own name at this address, but the browser still sends that name (THR-21)."""
        config = self._house.config
        for host in {request.host, request.headers.get("Host", "")}:
            if not guard.host_allowed(host, listen=config.host, allowed=config.allowed_hosts):
                raise Refused(
                    403, "host not allowed", message=f"vaultd is not known as {host[:100]!a}: add it to `allowed-hosts`"
                )

    def _our_page(self, request: web.Request) -> None:
        """THR-20. The page of ours that the browser got here, one of an allowed origin, or no page at all."""
        config, headers = self._house.config, request.headers
        origin = headers.get("Origin")
        if origin is None:
            if headers.get("Sec-Fetch-Site", "none").strip().lower() not in {"none", "same-origin"}:
                raise Refused(403, "origin not allowed", message=_ELSEWHERE)
            return
        own = _origin(scheme(config, request), headers.get("Host", ""))
        if origin.lower() != own and origin not in config.remote_management.allowed_origins:
            raise Refused(403, "origin not allowed", message=_apart(origin, own))

    def _not_banned(self, who: str) -> None:
        if left := self._bans.left(who, self._house.clock.boot()):
            raise _later(403, f"too many wrong management keys from here: banned for {in_words(left)} more", left)

    def _near_enough(self, near: bool) -> None:
        """From elsewhere only where that is said (THR-25); the password of the environment says so too."""
        if not near and not self._key.password and not self._house.config.remote_management.allow_remote:
            raise Refused(403, "remote management disabled", message=_FROM_AFAR)


def scheme(config: Config, request: web.Request) -> str:
    """As the client began its address. A proxy that ends TLS says so; only one that is trusted is believed."""
    if (request.remote or "") in config.trusted_proxies:
        return request.headers.get("X-Forwarded-Proto", request.scheme).rpartition(",")[2].strip().lower()
    return request.scheme


def _origin(scheme: str, host: str) -> str:
    """Of a page that is reached so. Browsers leave the usual port out (RFC 6454 §6.2), some proxies write it."""
    usual = {"http": ":80", "https": ":443"}.get(scheme)
    host = host.lower()
    return f"{scheme}://{host.removesuffix(usual) if usual else host}"


def _apart(origin: str, own: str) -> str:
    return (
        f"the page is of {origin[:100]!a}, and vaultd is reached as {own[:100]!a}. Is that one place, behind a proxy? "
        "Then have it send the browser's Host and X-Forwarded-Proto, and list it in `trusted-proxies`. A page kept "
        "elsewhere is listed in `remote-management.allowed-origins`"
    )


def _later(status: int, message: str, seconds: float) -> Refused:
    return Refused(status, message, headers={"Retry-After": str(math.ceil(seconds))})


def _presented(headers: Mapping[str, str]) -> str:
    authorization = headers.get("Authorization", "").strip()
    scheme, _, rest = authorization.partition(" ")
    bearer = rest.strip() if scheme.lower() == "bearer" else authorization
    return bearer or headers.get("X-Management-Key", "").strip()
