"""iFlow: inference takes an API key of the account, which only the user-info call tells, after each new token.

The call wants the access token in its query (vendor's own way, November 2025); nothing of ours logs or quotes a URL.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from vaultd.catalog.hooks.learned import Learned
from vaultd.catalog.manifest import Provider
from vaultd.effects import Flow, Send
from vaultd.errors import ProtocolError, TryLater
from vaultd.secret import Secret


def read_user(provider: Provider, access: Secret) -> Flow[Learned]:
    url = provider.endpoints["userinfo"] + "?" + urlencode({"accessToken": access.reveal()})
    reply = yield Send("GET", url, {"Accept": "application/json"})
    if reply.status != 200:
        raise TryLater(f"{provider.id}: the user-info call answered {reply.status}")
    answer = reply.json()
    data = answer.get("data")
    if answer.get("success") is not True or not isinstance(data, dict):
        raise TryLater(f"{provider.id}: the user-info call did not succeed")
    email, phone, key = (_text(data, name) for name in ("email", "phone", "apiKey"))
    if not key:
        raise ProtocolError(f"{provider.id}: the account has no API key; make one on the vendor's site, then sign in")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ProtocolError(f"{provider.id}: the account's API key is not one line of printable ASCII")
    if not email and not phone:
        raise ProtocolError(f"{provider.id}: the user-info call names neither email nor phone")
    return Learned(email=email, person=email or phone, api_key=Secret(key))


def _text(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    return value.strip() if isinstance(value, str) else ""
