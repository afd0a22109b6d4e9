"""Which addresses nobody of ours may dial, checked at the socket: a literal address in a URL bypasses every resolver,
and a name may resolve to something else between check and dial (THR-07).

Link-local is refused to everyone, the operator's own `base-url` included: cloud metadata services live there and hand
machine credentials to whoever asks. Private addresses are the operator's word and pass.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")  # RFC 3056 §2
#: The one metadata service outside the link-local ranges (Amazon's, IPv6).
_METADATA = ipaddress.IPv6Address("fd00:ec2::254")


def refused(address: str) -> bool:
    """True for a link-local or metadata address, however it is wrapped. A host name is not an address: False."""
    try:
        ip = ipaddress.ip_address(_literal(address.strip("[]").partition("%")[0]))
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _unwrapped(ip)
    return ip.is_link_local or ip == _METADATA


def _literal(address: str) -> str:
    """`2852039166`, `0xa9fea9fe` and `169.254.43518` are addresses too, to whoever resolves with inet_aton(3)."""
    try:
        return socket.inet_ntoa(socket.inet_aton(address))
    except OSError:
        return address


def _unwrapped(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip in _SIX_TO_FOUR:
        return ipaddress.IPv4Address((int(ip) >> 80) & 0xFFFFFFFF)
    return ip


def guarded_socket(info: tuple[Any, ...]) -> socket.socket:
    """A `socket_factory` for aiohttp: sees the address that is really dialled, literal or resolved."""
    family, kind, proto, _, sockaddr = info
    if refused(str(sockaddr[0])):
        raise PermissionError("link-local addresses are never dialled")
    return socket.socket(family, kind, proto)
