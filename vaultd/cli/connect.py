"""`vaultd connect`: point a client at this daemon."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def connect() -> None:
    """Point a client at this daemon."""
    raise Misconfigured("not there yet")
