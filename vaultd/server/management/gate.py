"""Who may manage over the main port: whoever shows the management key, from where the configuration says."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping

import bcrypt
from aiohttp import web

from vaultd.house import House
from vaultd.server import guard
from vaultd.server.management.route import Caller, Refused


class Gate:
    def __init__(self, house: House) -> None:
        self._house = house
        self._pepper = secrets.token_bytes(32)
        self._right: set[tuple[str, bytes]] = set()

    def headers(self, request: web.Request) -> Mapping[str, str]:
        return {}

    def preflight(self, request: web.Request) -> web.Response:
        raise Refused(404, "no such route")

    async def admit(self, request: web.Request) -> Caller:
        house = self._house
        secret, password = house.config.remote_management.secret_key, house.env.get("MANAGEMENT_PASSWORD", "")
        if not secret and not password:
            raise Refused(404, "no such route")
        near = guard.loopback(request)
        if not near and not house.config.remote_management.allow_remote and not password:
            raise Refused(403, "remote management disabled")
        authorization = request.headers.get("Authorization", "")
        scheme, _, rest = authorization.partition(" ")
        key = (rest.strip() if scheme.lower() == "bearer" else authorization) or request.headers.get("X-Management-Key")
        if not key:
            raise Refused(401, "missing management key")
        if not await self._fits(key.encode(errors="surrogatepass"), secret, password):
            raise Refused(401, "invalid management key")
        return Caller(guard.peer(house.config, request), near)

    async def _fits(self, key: bytes, secret: str, password: str) -> bool:
        if password and hmac.compare_digest(key, password.encode()):
            return True
        if not secret.startswith("$2"):
            return bool(secret) and hmac.compare_digest(key, secret.encode())
        known = (secret, hashlib.blake2b(key, key=self._pepper).digest())
        if known not in self._right:
            if not await asyncio.to_thread(bcrypt.checkpw, key[:72], secret.encode()):
                return False
            self._right = {known}
        return True
