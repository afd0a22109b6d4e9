"""Credentials as the house knows them: seen, changed, renewed, explained; cooldowns lifted."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
