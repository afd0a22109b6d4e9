"""`vaultd token`: print a short-lived access token."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def token() -> None:
    """Print a short-lived access token."""
    raise Misconfigured("not there yet")
