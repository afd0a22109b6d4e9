"""Credential files as CLIProxyAPI's programs know them: list, upload, download, delete."""

from __future__ import annotations

from typing import Final

from vaultd.server.management.route import Route

ROUTES: Final[tuple[Route, ...]] = ()
