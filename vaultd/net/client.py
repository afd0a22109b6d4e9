"""The only way out: one aiohttp session per proxy, and the rules that hold for every one of them.

No redirect is followed where a credential goes (SEC-28: aiohttp would repeat a 307's body at the second host), nothing
is read from the environment (THR-09), no cookie is kept, link-local is never dialled, an answer has a size. aiohttp's
own errors hold headers and whole URLs (THR-28), so each is turned into a sentence of ours that names the host alone.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import cache
from urllib.parse import urlsplit

import aiohttp
from aiohttp_socks import ProxyConnectionError, ProxyConnector, ProxyError, ProxyTimeoutError

from vaultd import __version__
from vaultd.effects import Reply, Send
from vaultd.errors import Misconfigured, ProtocolError, TryLater, VaultdError
from vaultd.net.egress import guarded_socket, refused
from vaultd.net.quiet import quieted

#: A token endpoint answers within a second or two; thirty is what CLIProxyAPI and google-auth allow theirs.
SEND_SECONDS = 30.0
#: A TCP and TLS handshake on a bad line; the relay's other deadlines start after it.
CONNECT_SECONDS = 30.0
#: One header line, twice aiohttp's default: vendors put JWTs and long CSPs there. A megabyte is refused.
HEADER_LINE = 16 * 1024
#: Longer than most vendors' front ends keep an idle connection (60 s), so that a burst after a pause finds it warm.
KEEPALIVE_SECONDS = 55.0

#: None of them is a ClientError or an OSError.
PROXY_FAILED = (ProxyConnectionError, ProxyError, ProxyTimeoutError)
_NEVER_LEFT = (
    aiohttp.ClientConnectorError,  # DNS, refused, TLS handshake, certificate
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


class Client:
    """Sessions by proxy, made when first used. `proxy_url` is the configured one; a credential's own wins."""

    def __init__(self, proxy_url: str = "") -> None:
        self._proxy_url = proxy_url
        self._flows: dict[str, aiohttp.ClientSession] = {}
        self._relays: dict[str, aiohttp.ClientSession] = {}

    def use_proxy(self, proxy_url: str) -> None:
        """The configured proxy from now on; what is under way goes on as it began."""
        self._proxy_url = proxy_url

    async def send(self, effect: Send, *, proxy: str | None = None) -> Reply:
        """Performs one `Send`. TryLater: no whole answer came. ProtocolError: it is not HTTP, or too large."""
        host = checked_host(effect.url)
        session = self._flow_session(self._proxy_url if proxy is None else proxy)
        try:
            async with session.request(
                effect.method, effect.url, headers=dict(effect.headers), data=effect.body or None, allow_redirects=False
            ) as response:
                body = await _read(response, effect.limit, host)
                return Reply(response.status, _lowered(response.headers), body)
        except (aiohttp.ClientError, *PROXY_FAILED, TimeoutError, OSError) as error:
            # `from None`: the cause's repr holds the request's headers, and a traceback would print it.
            raise as_ours(error, host) from None

    def session_for(self, proxy: str | None = None) -> aiohttp.ClientSession:
        """The relay's session: warm connections, no total deadline, bytes as they came.

        Its user keeps the rules above: `allow_redirects=False`, and its own deadlines.
        """
        url = self._proxy_url if proxy is None else proxy
        session = self._relays.get(url)
        if session is None:
            connector = quieted(_connector(url, limit=0, keepalive_timeout=KEEPALIVE_SECONDS))
            session = self._relays[url] = _session(connector, total=None, auto_decompress=False)
        return session

    async def close(self) -> None:
        for session in (*self._flows.values(), *self._relays.values()):
            await session.close()
        self._flows.clear()
        self._relays.clear()

    def _flow_session(self, url: str) -> aiohttp.ClientSession:
        session = self._flows.get(url)
        if session is None:
            # A fresh connection for each: a stale warm one fails after the request was written, and a code exchange
            # or a single-use refresh token cannot be repeated to find out (SEC-33).
            session = self._flows[url] = _session(
                _connector(url, force_close=True), total=SEND_SECONDS, auto_decompress=True
            )
        return session


def _session(connector: aiohttp.BaseConnector, *, total: float | None, auto_decompress: bool) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_SECONDS),
        headers={"User-Agent": f"vaultd/{__version__}"},
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=auto_decompress,
        trust_env=False,
        max_line_size=HEADER_LINE,
        max_field_size=HEADER_LINE,
    )


def _connector(proxy_url: str, **options: object) -> aiohttp.BaseConnector:
    context = _tls()
    if not proxy_url:
        return aiohttp.TCPConnector(socket_factory=guarded_socket, ssl=context, **options)  # type: ignore[arg-type]
    scheme = urlsplit(proxy_url).scheme.lower()
    if scheme not in {"socks5", "socks5h", "socks4", "http", "https"}:
        raise Misconfigured("proxy-url must begin with socks5://, http:// or https://")
    if refused(urlsplit(proxy_url).hostname or ""):
        raise Misconfigured("proxy-url names a link-local address; these are never dialled")
    # python-socks knows `http` and `socks5` only; TLS to the proxy is `proxy_ssl`. With `rdns` the proxy resolves the
    # name: what resolves here may differ from what the proxy can reach.
    plain = proxy_url.replace("https://", "http://", 1).replace("socks5h://", "socks5://", 1)
    proxy_tls = _tls() if scheme == "https" else None
    try:
        return ProxyConnector.from_url(plain, rdns=True, proxy_ssl=proxy_tls, ssl=context, **options)
    except ValueError:
        raise Misconfigured("proxy-url needs a host and a port, as in socks5://127.0.0.1:1080") from None


@cache
def _tls() -> ssl.SSLContext:
    """Made by hand: `ssl.create_default_context` writes session keys wherever `SSLKEYLOGFILE` says (THR-09).

    One for all sessions: the system's certificates in it weigh 0.8 MB and take 50 ms to read, and each credential may
    have a proxy of its own.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    return context


def checked_host(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    if not host:
        raise ProtocolError("an address without a host cannot be asked")
    if refused(host):  # behind a proxy the socket is the proxy's: the literal is all there is to see
        raise ProtocolError(f"{host} is link-local; such addresses are never dialled")
    return host


async def _read(response: aiohttp.ClientResponse, limit: int, host: str) -> bytes:
    """The inflated body. Counted after inflation, so that a bomb stops at `limit` and not at its end (THR-16)."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            raise ProtocolError(f"{host} answered with more than {limit} bytes")
    return bytes(body)


def _lowered(headers: Mapping[str, str]) -> dict[str, str]:
    """Names in lower case; of a repeated header the first counts, as none that we read may be repeated."""
    lowered: dict[str, str] = {}
    for name, value in headers.items():
        lowered.setdefault(name.lower(), value)
    return lowered


def as_ours(error: Exception, host: str) -> VaultdError:
    if isinstance(error, ProxyConnectionError | ProxyTimeoutError):
        return TryLater(f"{host} cannot be reached: the proxy does not answer")
    if isinstance(error, PROXY_FAILED):
        return TryLater(f"the proxy did not connect to {host}")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return TryLater(f"{host}: no TLS connection ({_tls_reason(error)})")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return TryLater(f"{host} cannot be reached (its name cannot be looked up)")
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, PermissionError):
            return ProtocolError(f"{host} resolves to a link-local address; such addresses are never dialled")
        return TryLater(f"{host} cannot be reached ({os.strerror(error.errno) if error.errno else 'no connection'})")
    if isinstance(error, _NEVER_LEFT):
        return TryLater(f"{host} cannot be reached")
    if isinstance(error, aiohttp.ClientResponseError):
        return ProtocolError(f"{host} sent an answer that is not sound HTTP")
    if isinstance(error, TimeoutError):
        return TryLater(f"{host} did not answer in time", outcome_unknown=True)
    return TryLater(f"{host} broke off the connection", outcome_unknown=True)


def _tls_reason(error: aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not valid for it"
    return "the handshake failed"
