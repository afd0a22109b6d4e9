"""`vaultd doctor`: every check named, with one next action. A broken configuration is a finding, not the end."""

from __future__ import annotations

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask
from vaultd.errors import Misconfigured

#: A check found something. Not one of the codes that an error has.
FOUND = 1


@click.command()
@terminal.json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Run every check. Exit code 0 only if all is well, 1 otherwise."""
    try:
        checks = ask(ctx, "doctor")["checks"]
    except Misconfigured as error:
        checks = [{"check": "start", "state": "fail", "says": str(error), "action": "mend what it names, then repeat"}]
    well = all(check["state"] == "ok" for check in checks)
    if as_json:
        terminal.out_json({"well": well, "checks": checks})
    else:
        terminal.table(
            ("STATE", "CHECK", "WHAT", "NEXT"),
            [(check["state"], check["check"], check["says"], check["action"]) for check in checks],
        )
    ctx.exit(0 if well else FOUND)
