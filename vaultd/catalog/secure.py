"""Which addresses tokens and keys may go to (SEC-06): the one rule for manifests, overlays and discovered endpoints.

Our own rule, because authlib's is switched off by an environment variable. The exception, an operator's own base-url,
is made where that is read.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

_URL = re.compile(r"[\x21-\x7e]{1,2048}")


def fault(url: str) -> str:
    """Why `url` will not do, empty where it will: https, or http where nothing can leave, on loopback."""
    if not _URL.fullmatch(url):
        return "is not an address"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "is not an address"
    if not host or parts.scheme not in {"https", "http"}:
        return "is not an https address"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or password"
    if parts.scheme == "http" and not is_loopback(url):
        return "must be https (http is for loopback only)"
    return ""


def is_secure(url: str) -> bool:
    return not fault(url)


def is_loopback(url: str) -> bool:
    """True where the host is a loopback literal or `localhost`."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
