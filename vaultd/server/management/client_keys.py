"""Client keys: seen masked, made, switched, removed."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
