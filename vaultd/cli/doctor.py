"""`vaultd doctor`: every check named, with one next action. A start that fails is a finding too."""

from __future__ import annotations

from pathlib import Path

import click

from vaultd.cli import terminal
from vaultd.cli.ask import Call, ask, call_of, daemon
from vaultd.errors import Misconfigured, TimedOut, TryLater
from vaultd.net import local

#: A check found something. Not one of the codes that an error has.
FOUND = 1


@click.command()
@terminal.json_option
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Run every check. Exit code 0 only if all is well, 1 otherwise."""
    checks = _asked(ctx)
    well = all(check["state"] == "ok" for check in checks)
    if as_json:
        terminal.out_json({"well": well, "checks": checks})
    else:
        terminal.table(
            ("STATE", "CHECK", "CODE", "WHAT", "NEXT"),
            [(row["state"], row["check"], row["code"], row["says"], row["action"]) for row in checks],
        )
    ctx.exit(0 if well else FOUND)


def _asked(ctx: click.Context) -> list[dict[str, str]]:
    """The daemon's answer, or the folder's; where there is neither, why."""
    from vaultd.verbs.doctor import row  # noqa: PLC0415 - start-up time
    from vaultd.work.health.codes import at_start, found  # noqa: PLC0415

    try:
        rows: list[dict[str, str]] = ask(ctx, "doctor")["checks"]
    except Misconfigured as error:
        return [row(at_start(error))]
    except (TimedOut, TryLater, OSError) as error:
        if daemon(call_of(ctx)) is not None or _silent(call_of(ctx)):
            return [row(found("daemon-silent", str(error)))]
        reason = error.strerror if isinstance(error, OSError) else None
        return [row(found("folder-unwritable", reason or str(error)))]
    if any(one["code"] == "daemon-absent" for one in rows) and (socket := _silent(call_of(ctx))):
        silent = row(found("daemon-silent", f"{socket} is held by a daemon that does not answer"))
        rows = [silent if one["code"] == "daemon-absent" else one for one in rows]
    return rows


def _silent(call: Call) -> Path | None:
    """The admin socket of a daemon that is there and says nothing."""
    from vaultd.config.places import find  # noqa: PLC0415 - start-up time

    places = find(call.env, call.config, None)
    return next((socket for socket in local.sockets(places.admin_sockets) if local.knock(socket) == "silent"), None)
