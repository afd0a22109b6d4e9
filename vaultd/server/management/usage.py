"""What was used: CLIProxyAPI's shape, sums for plots, export, import."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
