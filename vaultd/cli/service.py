"""`vaultd service`: the systemd units."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def service() -> None:
    """The systemd units."""
    raise Misconfigured("not there yet")
