"""Files on their way into and out of a vault, as a program with the management key sends and fetches them."""

from __future__ import annotations

import json
from typing import Any

from desk import login
from managed import Managed, Told

from vaultd.vault.credential import Credential
from vaultd.work.exporting import token_file

NAMES = ("claude", "codex", "gemini", "iflow", "qwen")
JSON = {"Content-Type": "application/json"}


def plaintext(page: Managed, vendor: str, email: str = "ann@example.com", **more: Any) -> dict[str, Any]:
    """A live login of the vendor's in CLIProxyAPI's words."""
    known = login(page.sandbox, vendor, email, page.house.clock.now())
    file = token_file(known, page.house.catalog.provider(vendor))
    if vendor == "gemini":
        file["project_id"] = "sandbox-project"
    return file | more


async def uploads(page: Managed, name: str, content: Any) -> Told:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await page.asks("POST", "/auth-files", params={"name": name}, data=data, headers=JSON)


async def downloads(page: Managed, name: str) -> Told:
    return await page.asks("GET", "/auth-files/download", params={"name": name})


async def listed(page: Managed) -> dict[str, Any]:
    return {file["name"]: file for file in (await page.asks("GET", "/auth-files")).json["files"]}


def only(page: Managed) -> Credential:
    (credential,) = page.house.owner.snapshot().values()
    return credential
