"""The configuration whole: as JSON, as YAML, key by key with its meaning."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
