"""`vaultd status`: one screen, what needs a person first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask
from vaultd.cli.credentials import show_table


@click.command()
@terminal.json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """One screen: daemon, credentials, expiry, cooldowns, what needs a person."""
    answer = ask(ctx, "status")
    if as_json:
        terminal.out_json(answer)
        return
    for line in answer["needs_a_person"]:
        terminal.out(f"! {line}")
    terminal.out(f"daemon       {_daemon(answer['daemon'])}")
    terminal.out(f"credentials  {answer['folder']}")
    terminal.out(f"config       {answer['config']}")
    terminal.out(f"client keys  {answer['client_keys']}")
    for line in answer["warnings"]:
        terminal.out(f"warning      {line}")
    if answer["credentials"]:
        terminal.out("")
        show_table(answer["credentials"])
    else:
        terminal.out("no credential yet: `vaultd login --help`, or `vaultd credentials add --help`")


def _daemon(daemon: Mapping[str, Any] | None) -> str:
    if daemon is None:
        return "not running: `vaultd serve`"
    state = "draining" if daemon["draining"] else "running"
    return f"{state} at {daemon['address']} since {daemon['started_at']} (pid {daemon['pid']})"
