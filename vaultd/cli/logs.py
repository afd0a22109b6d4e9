"""`vaultd logs`: what the daemon has been saying."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def logs() -> None:
    """What the daemon has been saying."""
    raise Misconfigured("not there yet")
