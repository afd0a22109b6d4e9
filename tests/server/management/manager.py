"""A person or program with the management key, near or behind a proxy."""

from __future__ import annotations

import json
from typing import Any, Final

import bcrypt
from serving import Heard, Serving

from vaultd.server.management.table import BASE

KEY: Final = "CANARY-management-key"
WRONG: Final = "CANARY-wrong-management-key"
ON: Final = f"remote-management: {{secret-key: {KEY}}}\n"
#: As the file has it after the first start; the cheapest hash there is, for a test tries many keys.
HASHED: Final = f"'{bcrypt.hashpw(KEY.encode(), bcrypt.gensalt(4)).decode()}'"
#: Everybody comes by a proxy on this machine, which says who he is.
PROXIED: Final = f"trusted-proxies: [127.0.0.1]\nremote-management: {{secret-key: {HASHED}, allow-remote: true}}\n"


async def ask(
    here: Serving, method: str, path: str, body: object = None, key: str | None = KEY, **headers: str
) -> Heard:
    sent = b"" if body is None else json.dumps(body).encode()
    if sent:
        headers.setdefault("Content_Type", "application/json")
    return await here.send(method, BASE + path, sent, key=key, **headers)


async def from_afar(here: Serving, address: str, key: str | None, path: str = "/about") -> Heard:
    return await ask(here, "GET", path, key=key, X_Forwarded_For=address)


def error(heard: Heard) -> tuple[int, Any]:
    return heard.status, heard.json()["error"]
