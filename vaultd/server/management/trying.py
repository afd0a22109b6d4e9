"""One question to one model, answered as it comes: for a person who wants to see it work."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
