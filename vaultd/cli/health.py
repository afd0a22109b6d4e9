"""`vaultd health`: what a container's health check and a script's `if` ask. One question over the admin socket.

Alive is not ready: a daemon that answers is alive, one that could serve a request now is ready. No vendor is asked
anything, no folder is opened and no key is read, so that it may be asked every few seconds beside a busy daemon.
"""

from __future__ import annotations

from typing import Any, Final

import click

from vaultd.cli import terminal
from vaultd.cli.ask import call_of, daemon
from vaultd.net import local

#: What `TryLater` is in the table of exit codes: nothing here is wrong for good.
_NOT: Final = 6


@click.command()
@click.option("--ready", is_flag=True, help="Also: could it serve a request now?")
@terminal.json_option
@click.pass_context
def health(ctx: click.Context, ready: bool, as_json: bool) -> None:
    """Is the daemon alive, or with --ready able to serve?

    \b
    Exit codes:
      0   it is
      6   it is not: no daemon answers, or none of its credentials can serve; the reasons are printed
      78  the configuration that --config or VAULTD_CONFIG names is not there
    """
    found = _look(ctx)
    well = bool(found["ready" if ready else "alive"])
    if as_json:
        terminal.out_json(found)
    else:
        terminal.out(("ready" if ready else "alive") if well else ("not ready" if found["alive"] else "not running"))
        for reason in found["reasons"] if ready or not well else ():
            terminal.chat(reason)
    ctx.exit(0 if well else _NOT)


def _look(ctx: click.Context) -> dict[str, Any]:
    socket = daemon(call_of(ctx))
    said = local.ready(socket) if socket is not None else None
    if said is None:
        return {"alive": False, "ready": False, "reasons": ["no daemon answers on its admin socket: vaultd serve"]}
    return {"alive": True, "ready": said["ready"], "reasons": said["reasons"]}
