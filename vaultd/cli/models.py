"""`vaultd models list`."""

from __future__ import annotations

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask


@click.group()
def models() -> None:
    """Which models can be asked for."""


@models.command("list")
@click.option("--key", metavar="ID", help="What this client key may call: its id or alias.")
@terminal.json_option
@click.pass_context
def list_(ctx: click.Context, key: str | None, as_json: bool) -> None:
    """Every model that a credential serves now."""
    answer = ask(ctx, "models.list", {} if key is None else {"key": key})
    if as_json:
        terminal.out_json(answer)
        return
    rows = [
        (row["modelIdentifier"], ", ".join(row["providers"]), str(row["context"] or "-"), str(row["max_output"] or "-"))
        for row in answer["data"]
    ]
    terminal.table(("MODEL", "PROVIDERS", "CONTEXT", "MAX OUTPUT"), rows)
