"""One request to the sandbox, as handlers get it: read whole, with the vendor and the faults that apply."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from vaultd.sandbox.records import GrantError, Hit
from vaultd.sandbox.refusal import oauth
from vaultd.sandbox.state import Vendor
from vaultd.sandbox.switches import Fault, Place


@dataclass(slots=True)
class Call:
    """What a handler works with."""

    url: str
    vendor: Vendor
    request: web.Request
    hit: Hit
    #: Faults that strike while a stream is being written.
    stream_faults: list[Fault] = field(default_factory=list)

    @property
    def base(self) -> str:
        """The vendor's prefix: its issuer."""
        return f"{self.url}/{self.vendor.rules.name}"

    def query(self, name: str) -> str:
        return self.request.query.get(name, "")

    def form(self) -> dict[str, str]:
        """The body as a form. Raises Refusal for another content type, or a repeated parameter (RFC 6749 §3.2)."""
        if self.request.content_type != "application/x-www-form-urlencoded":
            raise oauth("invalid_request", "the body must be application/x-www-form-urlencoded")
        pairs = parse_qsl(self.hit.body.decode(errors="replace"), keep_blank_values=True)
        if len(dict(pairs)) != len(pairs):
            raise oauth("invalid_request", "a parameter is repeated")
        return dict(pairs)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises Refusal for anything else."""
        if self.request.content_type != "application/json":
            raise oauth("invalid_request", "the body must be application/json")
        try:
            body = msgspec.json.decode(self.hit.body or b"{}")
        except msgspec.DecodeError:
            body = None
        if not isinstance(body, dict):
            raise oauth("invalid_request", "the body is not a JSON object")
        return body

    def bearer(self) -> str:
        """The token of `Authorization: Bearer` (RFC 6750 §2.1), or nothing."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def secret(self) -> str:
        """What the caller shows to be let in, token or key, wherever a vendor takes it."""
        headers = self.request.headers
        return headers.get("x-api-key") or headers.get("x-goog-api-key") or self.query("key") or self.bearer()

    def basic(self) -> tuple[str, str] | None:
        """The client of `Authorization: Basic` (RFC 6749 §2.3.1)."""
        scheme, _, encoded = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return user, password

    def email(self) -> str:
        """Whose token came with the request; nothing where none did."""
        try:
            return self.vendor.live(self.bearer()).family.account.email if self.bearer() else ""
        except GrantError:
            return ""


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the route table. `path` is below the vendor's prefix."""

    method: str
    path: str
    at: Place
    handler: Handler


def answer(body: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")
