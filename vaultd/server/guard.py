"""Who may come in: the client key on relay routes, loopback and Host rules where there is none, errors in the client's
own shape. No open relay, ever: a house without client keys admits nobody.

One wrapper for every route, no middleware: a refusal raised anywhere behind it becomes an answer here.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web

from vaultd.catalog.manifest import FormatName
from vaultd.config.model import Config
from vaultd.errors import VaultdError
from vaultd.house import House
from vaultd.server.slow import LIMITS, Limits, body_deadline
from vaultd.wire.formats import FORMATS
from vaultd.wire.refusal import Refusal
from vaultd.work.metrics.series import Route
from vaultd.work.story import CLIENT_GONE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Rule = Callable[[House, web.Request], None]
Shape = Callable[[web.Request], FormatName]

_log = logging.getLogger("vaultd.server")

#: The id of the client key that was presented; absent where none was needed.
CLIENT: Final = web.RequestKey("client", str)
#: The provider that served, for the metrics; the relay sets it.
PROVIDER: Final = web.RequestKey("provider", str)
#: Set once a request has become a socket: what is asked on it is counted there, one by one.
SOCKET: Final = web.RequestKey("socket", bool)

_WILDCARD: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 -- compared with, not bound
#: Only a forwarder of requests writes these: with one of them a loopback peer is not the client.
_FORWARDING: Final = ("Forwarded", "X-Real-IP")


def guarded(
    house: House,
    shape: FormatName | Shape,
    admit: Rule,
    handler: Handler,
    limits: Limits = LIMITS,
    route: Route = "relay",
) -> Handler:
    """`handler` behind `admit`: refusals answered in the format that `shape` names, counted, timed, drained. `route`:
    what it is counted as."""
    metrics, now = house.metrics, time.monotonic
    counted = route not in {"health", "metrics"}
    fixed = metrics.lane(route, shape if counted else "") if isinstance(shape, str) else None

    async def answered(request: web.Request, fmt: FormatName) -> web.StreamResponse:
        try:
            if house.draining.is_set():
                raise Refusal(503, "upstream", "vaultd is stopping: ask again in a moment", retry_after=1)
            admit(house, request)
            return await handler(request)
        except Refusal as refusal:
            metrics.refused(refusal.kind)
            return answer(refusal, fmt)
        except VaultdError as error:
            return answer(Refusal(502, "upstream", str(error)), fmt)

    async def handle(request: web.Request) -> web.StreamResponse:
        began, status = now(), CLIENT_GONE
        fmt = shape if isinstance(shape, str) else shape(request)
        metrics.began()
        deadline = body_deadline(request, limits)
        try:
            response = await answered(request, fmt)
            status = response.status
            return response
        except ConnectionError:
            raise  # in the middle of a write: the client is gone
        except Exception:
            status = 500  # a fault of ours, as aiohttp answers it
            raise
        finally:
            if deadline is not None:
                deadline.cancel()
            if SOCKET not in request:
                (fixed or metrics.lane(route, fmt)).ended(request.get(PROVIDER, ""), status, now() - began)

    return handle


def answer(refusal: Refusal, fmt: FormatName) -> web.Response:
    """The refusal in the client's own error shape, with the true status."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after))
    body = FORMATS[fmt].error_body(refusal)
    return web.Response(status=refusal.status, body=body, headers=headers, content_type="application/json")


# --- rules: each returns, or raises Refusal ---------------------------------------------------------------------------


def client_key(house: House, request: web.Request) -> None:
    """A valid client key, wherever it stands. With several, one valid one is enough: SDKs send the same key twice."""
    presented = False
    for text in _keys(request):
        presented = True
        known = house.clients.identify(text)
        if known is not None:
            request[CLIENT] = known.id
            return
    if presented:
        _log.info("client key refused", extra={"peer": peer(house.config, request)})
        raise Refusal(401, "unauthorized", "the client key is not valid: see `vaultd keys list`")
    raise Refusal(401, "unauthorized", "a client key is needed (Authorization: Bearer …): see `vaultd keys list`")


def client_key_or_loopback(house: House, request: web.Request) -> None:
    """Health and metrics: nobody on this machine needs a key, but a page in its browser must not read them (THR-21)."""
    if loopback(request) and not _presents_key(request):
        allowed_host(house, request)
    else:
        client_key(house, request)


def gemini_cli(house: House, request: web.Request) -> None:
    """`/v1internal`: a Gemini CLI sends the client key as its access token; a stock one sends Google's."""
    rules = house.config.gemini_cli
    here = loopback(request)
    if not rules.allow_remote and not here:
        raise Refusal(403, "forbidden", "/v1internal is for this machine alone (gemini-cli.allow-remote)")
    try:
        client_key(house, request)
    except Refusal:
        if not (rules.loopback_without_key and here):
            raise
        allowed_host(house, request)


def allowed_host(house: House, request: web.Request) -> None:
    """DNS rebinding: a page may point its own name at 127.0.0.1, but the browser still sends that name (THR-21).

    Both the Host header and the target count: an absolute-form target overrides the header (RFC 9112 §3.2.2).
    """
    config = house.config
    for host in {request.host, request.headers.get("Host", "")}:
        if not host_allowed(host, listen=config.host, allowed=config.allowed_hosts):
            raise Refusal(403, "forbidden", "this Host is not allowed without a client key (allowed-hosts)")


def own_origin(house: House, request: web.Request) -> None:
    """THR-34: a socket is opened across sites without asking anybody, so a page elsewhere may not open one at all.
    Programs send no Origin, or that of the address they dial."""
    config, origin = house.config, request.headers.get("Origin")
    foreign = request.headers.get("Sec-Fetch-Site", "").strip().lower() == "cross-site"
    if origin is not None and origin not in config.remote_management.allowed_origins:
        host = origin.partition("://")[2].rstrip("/")
        foreign = foreign or not host_allowed(host, listen=config.host, allowed=config.allowed_hosts)
    if foreign:
        raise Refusal(403, "forbidden", "a page of this origin may open no socket here (allowed-hosts)")


# --- facts about a request --------------------------------------------------------------------------------------------


def loopback(request: web.Request) -> bool:
    """A loopback peer whose request carries no sign of having been forwarded."""
    if not is_loopback(request.remote or ""):
        return False
    names = request.headers
    return not any(name in names for name in _FORWARDING) and not any(
        name.lower().startswith("x-forwarded-") for name in names
    )


def peer(config: Config, request: web.Request) -> str:
    """The client's address: the socket's, or behind trusted proxies the right-most untrusted hop (THR-24)."""
    remote = request.remote or ""
    if remote not in config.trusted_proxies:
        return remote
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    for hop in reversed([hop.strip() for hop in hops if hop.strip()]):
        if not _is_address(hop):
            return remote
        if (address := str(ipaddress.ip_address(hop))) not in config.trusted_proxies:
            return address
    return remote


def host_allowed(host: str, *, listen: str, allowed: Sequence[str]) -> bool:
    """Whether a Host header's value is ours. The port does not matter: a forwarder may change it."""
    name = _host_name(host)
    if not name:
        return False
    if name == "localhost" or is_loopback(name) or name == listen.lower().strip("[]"):
        return True
    if allowed:
        return any(name == _host_name(entry) for entry in allowed)
    # No name resolves to an address literal, so nobody can rebind one.
    return listen in _WILDCARD and _is_address(name)


def is_loopback(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _keys(request: web.Request) -> Iterator[str]:
    headers = request.headers
    authorization = headers.get("Authorization")
    if authorization:
        scheme, _, rest = authorization.partition(" ")
        yield rest.strip() if scheme.lower() == "bearer" else authorization
    for name in ("x-api-key", "x-goog-api-key"):
        value = headers.get(name)
        if value:
            yield value
    if "key=" in request.query_string:
        yield from (value for value in request.query.getall("key", []) if value)


def _presents_key(request: web.Request) -> bool:
    return next(_keys(request), None) is not None


def _host_name(host: str) -> str:
    """The name of `name[:port]` or `[v6][:port]`, in lower case; "" where it is neither."""
    host = host.strip().lower()
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        port = port.removeprefix(":") if bracket else "x"
    elif host.count(":") > 1:
        name, port = host, ""
    else:
        name, _, port = host.partition(":")
    return name.rstrip(".") if not port or port.isdecimal() else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def not_found(request: web.Request) -> Refusal:
    """What an unknown route gets; the path is the client's own word."""
    return Refusal(HTTPStatus.NOT_FOUND, "bad-request", f"no such route: {request.method} {request.path[:200]!r}")
