"""Keys and vendors that are lists in the configuration: seen masked, changed by index, by match or whole."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
