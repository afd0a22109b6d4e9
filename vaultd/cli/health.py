"""`vaultd health`: is the daemon alive?"""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def health() -> None:
    """Is the daemon alive?"""
    raise Misconfigured("not there yet")
