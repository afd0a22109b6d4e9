"""`vaultd logout`."""

from __future__ import annotations

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask


@click.command()
@click.argument("credential")
@click.option("--everywhere", is_flag=True, help="Also revoke it at the vendor.")
@click.pass_context
def logout(ctx: click.Context, credential: str, everywhere: bool) -> None:
    """Forget CREDENTIAL here; with --everywhere at the vendor too."""
    answer = ask(ctx, "logout", {"id": credential, "everywhere": everywhere})
    terminal.out(f"signed out: {answer['id']}")
    if everywhere and not answer["revoked"]:
        terminal.chat("this vendor offers no revocation: end the session on the vendor's own account page")
