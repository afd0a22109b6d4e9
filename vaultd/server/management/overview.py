"""How the house stands: status, doctor, vendors, models, who this is."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
