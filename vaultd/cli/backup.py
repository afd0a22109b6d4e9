"""`vaultd backup`: seal a backup to a recovery key."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def backup() -> None:
    """Seal a backup to a recovery key."""
    raise Misconfigured("not there yet")
