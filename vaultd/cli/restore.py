"""`vaultd restore`: put a backup back."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def restore() -> None:
    """Put a backup back."""
    raise Misconfigured("not there yet")
