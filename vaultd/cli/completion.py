"""`vaultd completion`: shell completion."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def completion() -> None:
    """Shell completion."""
    raise Misconfigured("not there yet")
