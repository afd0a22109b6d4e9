"""What the sandbox's stories share: a sandbox, a plain HTTP client, and a person who signs in by opening a URL."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from vaultd.sandbox import Sandbox
from vaultd.sandbox.vendors import RULES

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Person:
    """Does by hand what a client of the vendors does."""

    sandbox: Sandbox
    http: aiohttp.ClientSession

    def endpoint(self, vendor: str, leaf: str) -> str:
        if vendor == "invented":
            return f"{self.sandbox.url}/invented/{leaf}"
        return str(self.sandbox.overlay()[vendor]["endpoints"][leaf])

    def request(self, vendor: str, **changes: str | None) -> dict[str, str]:
        """The right authorization request of a vendor, with changes; None leaves a parameter out."""
        rules = RULES[vendor]
        parameters: dict[str, str | None] = {
            "client_id": rules.client_id,
            rules.redirect_param: rules.redirect_uris[0],
            "state": "a-state",
        }
        if rules.response_type == "code":
            scopes = rules.needed_scopes or rules.scopes
            parameters |= {"response_type": "code", "scope": " ".join(sorted(scopes))}
        if rules.pkce != "none":
            parameters |= {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
        if rules.offline_access:
            parameters |= {"access_type": "offline", "prompt": "consent"}
        return {name: value for name, value in (parameters | changes).items() if value is not None}

    async def open(self, vendor: str, **changes: str | None) -> dict[str, list[str]]:
        """Open the authorization URL; what the redirect brings back."""
        url = self.endpoint(vendor, "authorize")
        async with self.http.get(url, params=self.request(vendor, **changes), allow_redirects=False) as reply:
            assert reply.status == 302, await reply.text()
            return parse_qs(urlsplit(reply.headers["Location"]).query)

    async def token(self, vendor: str, **fields: str | None) -> tuple[int, dict[str, Any]]:
        """POST to the token endpoint as that vendor wants it."""
        rules = RULES[vendor]
        body: dict[str, Any] = {"client_id": rules.client_id}
        if rules.client_secret:
            body["client_secret"] = rules.client_secret
        body = {name: value for name, value in (body | fields).items() if value is not None}
        headers = {}
        if rules.client_auth == "basic-and-body":
            headers["Authorization"] = aiohttp.encode_basic_auth(rules.client_id, rules.client_secret)
        how: dict[str, Any] = {"json": body} if rules.body == "json" else {"data": body}
        async with self.http.post(self.endpoint(vendor, "token"), headers=headers, **how) as reply:
            return reply.status, await reply.json()

    async def exchange(self, vendor: str, code: str, **changes: str | None) -> tuple[int, dict[str, Any]]:
        rules = RULES[vendor]
        fields: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": rules.redirect_uris[0],
        }
        if rules.pkce != "none":
            fields["code_verifier"] = VERIFIER
        if rules.exchange_state:
            fields["state"] = "a-state"
        return await self.token(vendor, **(fields | changes))

    async def sign_in(self, vendor: str, **changes: str | None) -> dict[str, Any]:
        """From the URL to the tokens."""
        back = await self.open(vendor, **changes)
        status, tokens = await self.exchange(vendor, back["code"][0])
        assert status == 200, tokens
        return tokens

    async def renew(self, vendor: str, refresh: str) -> tuple[int, dict[str, Any]]:
        return await self.token(vendor, grant_type="refresh_token", refresh_token=refresh)

    async def control(self, **order: Any) -> tuple[int, dict[str, Any]]:
        async with self.http.post(f"{self.sandbox.url}/_control", json=order) as reply:
            return reply.status, await reply.json()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def person(sandbox: Sandbox, http: aiohttp.ClientSession) -> Person:
    return Person(sandbox, http)
