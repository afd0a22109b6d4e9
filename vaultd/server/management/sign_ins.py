"""A person signs in from a page: start, look, paste, choose, cancel; and the callbacks on the main port."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
