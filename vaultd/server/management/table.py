"""Every route of the management API, gathered. There is nothing else."""

from __future__ import annotations

from typing import Final

from vaultd.server.management import (
    auth_files,
    client_keys,
    config,
    credentials,
    events,
    lists,
    logs,
    overview,
    scalars,
    sign_ins,
    trying,
    usage,
)
from vaultd.server.management.route import Route

BASE: Final = "/v0/management"

ROUTES: Final[tuple[Route, ...]] = (
    *overview.ROUTES,
    *config.ROUTES,
    *scalars.ROUTES,
    *lists.ROUTES,
    *auth_files.ROUTES,
    *credentials.ROUTES,
    *sign_ins.ROUTES,
    *client_keys.ROUTES,
    *usage.ROUTES,
    *logs.ROUTES,
    *events.ROUTES,
    *trying.ROUTES,
)
