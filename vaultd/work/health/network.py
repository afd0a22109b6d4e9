"""What others reach, and what we must reach: the listening address and its certificate, callback ports, proxies.

No vendor is asked anything. A proxy is the operator's own: that something listens there is all that is looked at.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from vaultd.config.places import in_container
from vaultd.net.reach import reason_not_reached
from vaultd.work.health.codes import Finding, found
from vaultd.work.health.seen import House

#: ACME clients renew a month ahead; who has not within a fortnight of the end has a renewal that fails.
_CERTIFICATE_DAYS: Final = 14


def exposure(house: House) -> Iterator[Finding]:
    host, port = house.config.host, house.config.port
    if not is_loopback(host) and not house.config.tls.cert and not in_container(house.env):
        yield found("exposed-without-tls", f"listening on {host} without TLS: client keys cross the network in clear")
    if house.daemon is None and (code := _cannot_listen(host, port)):
        yield found(code, f"nothing can listen on {host}:{port}")


def certificate(house: House) -> Iterator[Finding]:
    file = house.config.tls.cert
    if not file:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, house.config.tls.key)
        first = x509.load_pem_x509_certificate(Path(file).read_bytes())
    except (OSError, ssl.SSLError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "no matching PEM pair"
        yield found("certificate-unreadable", f"{file} and {house.config.tls.key}: {reason}", subject=file)
        return
    now = dt.datetime.fromtimestamp(house.clock.now(), dt.UTC)
    ends = first.not_valid_after_utc
    if not first.not_valid_before_utc <= now < ends:
        says = f"{file} is valid from {first.not_valid_before_utc:%Y-%m-%d} to {ends:%Y-%m-%d}: clients refuse it"
        yield found("certificate-expired", says, subject=file)
    elif ends - now < dt.timedelta(days=_CERTIFICATE_DAYS):
        yield found("certificate-expiring", f"{file} ends on {ends:%Y-%m-%d %H:%M} UTC", subject=file)


def callback_ports(house: House) -> Iterator[Finding]:
    for id_ in house.catalog.sign_in_ids():
        oauth = house.catalog.provider(id_).oauth
        if oauth is not None and oauth.redirect is not None and _cannot_listen("127.0.0.1", oauth.redirect.port):
            says = f"port {oauth.redirect.port} is taken: {id_} sign-in cannot be called back"
            yield found("callback-port-taken", says, subject=id_)


async def proxies(house: House) -> AsyncIterator[Finding]:
    """Each address once, all at the same time."""
    urls = {house.config.proxy_url: house.config_source} if house.config.proxy_url else {}
    roster = house.pool.roster(house)
    for credential in roster.values():
        if credential.settings.proxy_url:
            urls.setdefault(credential.settings.proxy_url.reveal(), credential.id)
    parts = [(subject, urlsplit(url)) for url, subject in urls.items()]
    reasons = await asyncio.gather(*(reason_not_reached(where.hostname or "", _port(where.port)) for _, where in parts))
    for (subject, where), reason in zip(parts, reasons, strict=True):
        if reason:
            says = f"the proxy at {where.hostname}:{_port(where.port)} does not answer: {reason}"
            ours = subject in roster and roster[subject].source == "file"
            action = f"start the proxy, or: vaultd credentials set {subject} --proxy" if ours else ""
            yield found("proxy-unreachable", says, subject=subject, action=action)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _port(given: int | None) -> int:
    return given or 1080  # RFC 1928 §3; python-socks refuses an http proxy without a port


def _cannot_listen(host: str, port: int) -> str:
    """The code of why not, "" where it can."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return "host-unusable"
    with socket.socket(family, kind, proto) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except PermissionError:
            return ""  # a port below 1024: the service manager's word, and no fault of a command's
        except OSError as error:
            return "port-taken" if error.errno == 98 else "host-unusable"
    return ""
