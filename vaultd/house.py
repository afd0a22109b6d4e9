"""Builds config, catalogue, keys, owner, network and renewer once, and replaces config and catalogue whole on reload.

Passed by argument, never a global. Nobody keeps `house.config` or `house.catalog` across an await: a reload swaps them.
No decision of any kind in here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vaultd.catalog.models import Catalog
    from vaultd.config.model import Config
    from vaultd.config.places import Places
    from vaultd.net.client import Client
    from vaultd.net.clock import Clock
    from vaultd.vault.clients import ClientKeys
    from vaultd.vault.keyring import Keyring
    from vaultd.vault.owner import Owner
    from vaultd.work.renew import Renewer


@dataclass
class House:
    """Everything a verb or a request needs."""

    env: Mapping[str, str]
    config_option: str | None
    places: Places
    config: Config
    config_source: str
    catalog: Catalog
    keyring: Keyring
    owner: Owner
    clients: ClientKeys
    client: Client
    clock: Clock
    renewer: Renewer
    pool: Any
    metrics: Any
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    #: What the operator must hear at start and in `status`: one line each.
    warnings: list[str] = field(default_factory=list)

    async def reload(self, reason: str) -> None:
        """Reads config and manifests again; a bad edit keeps the old ones and says why in `warnings`."""
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


async def build(env: Mapping[str, str], config_option: str | None, *, for_daemon: bool) -> House:
    raise NotImplementedError
