"""`vaultd audit`: the audit log."""

from __future__ import annotations

import click

from vaultd.errors import Misconfigured


@click.command()
def audit() -> None:
    """The audit log."""
    raise Misconfigured("not there yet")
