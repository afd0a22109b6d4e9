"""What happens, as it happens: one stream for a page that watches."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
