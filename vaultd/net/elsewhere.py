"""One question to a daemon on another machine, as a client of it: which models it has for this key.

Synchronous, as `net.local` is: a command asks once. No redirect is followed, for the key would go along.
"""

from __future__ import annotations

import http.client
import json
from typing import Final
from urllib.parse import urlsplit

from vaultd.errors import Misconfigured, TryLater
from vaultd.secret import Secret

#: A person waits, and a tunnel that is not open yet refuses at once.
_SECONDS: Final = 5.0
#: As for the admin socket: a few hundred kB with thousands of models.
_LIMIT: Final = 16 * 1024 * 1024
_UNAUTHORIZED: Final = 401
_OK: Final = 200
_REDIRECTS: Final = range(300, 400)


def models(url: str, key: Secret) -> list[str]:
    """`url` has no path. Raises Misconfigured where the key is refused, TryLater where no daemon answers."""
    if not key.reveal().isascii():
        raise Misconfigured("this is no client key: it has a character that no header can carry")
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=_SECONDS)
    try:
        connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key.reveal()}"})
        answer = connection.getresponse()
        status, body = answer.status, answer.read(_LIMIT)
    except (OSError, http.client.HTTPException) as error:
        raise TryLater(f"{url} does not answer: {getattr(error, 'strerror', None) or type(error).__name__}") from error
    finally:
        connection.close()
    if status == _UNAUTHORIZED:
        raise Misconfigured(f"{url} does not know this client key")
    if status in _REDIRECTS:
        raise Misconfigured(f"{url} sends its clients elsewhere: name the address that it sends them to")
    if status != _OK:
        raise TryLater(f"{url} answers {status}, as a vaultd does not")
    try:
        return [str(row["id"]) for row in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TryLater(f"{url} answers, but not as a vaultd does") from None
