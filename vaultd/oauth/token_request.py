"""One request to a token endpoint, in the dialect the manifest names: form or JSON, and how the client says who it is.

Always POST with everything in the body or in `Authorization`; nothing secret is ever in the URL (SEC-28).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from urllib.parse import quote_plus, urlencode

from vaultd.catalog.manifest import OAuth
from vaultd.effects import Send


def token_request(oauth: OAuth, endpoint: str, fields: Mapping[str, str]) -> Send:
    """`fields` in the manifest's encoding, with the client's id and, where it has one, its (public) secret."""
    body = dict(fields)
    headers = {"Accept": "application/json"}
    if oauth.client_auth in {"basic", "basic-and-body"}:
        headers["Authorization"] = "Basic " + _basic(oauth)
    if oauth.client_auth != "basic":
        body["client_id"] = oauth.client_id
    if oauth.client_auth in {"body", "basic-and-body"}:
        body["client_secret"] = oauth.client_secret
    if oauth.token_body == "json":  # noqa: S105 - an encoding
        headers["Content-Type"] = "application/json"
        return Send("POST", endpoint, headers, json.dumps(body).encode())
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    return Send("POST", endpoint, headers, urlencode(body).encode())


def _basic(oauth: OAuth) -> str:
    """RFC 6749 §2.3.1: both halves form-encoded before they are joined."""
    pair = f"{quote_plus(oauth.client_id)}:{quote_plus(oauth.client_secret)}"
    return base64.b64encode(pair.encode()).decode()
