"""`vaultd serve`: the daemon. One line per fact on stderr; the server itself is handed in (`vaultd.__main__`)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import Call, call_of
from vaultd.cli.callback_bind import callback_bind_option

if TYPE_CHECKING:
    from vaultd.house import House


@click.command()
@click.option("--host", help="Listen address instead of the configured one.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port instead of the configured one; 0 takes a free one.")
@callback_bind_option
@click.pass_context
def serve(ctx: click.Context, host: str | None, port: int | None) -> None:
    """Run the daemon: keep every login fresh, and relay."""
    _run(_serve(call_of(ctx), host, port))


async def _serve(call: Call, host: str | None, port: int | None) -> None:
    from vaultd.cli.whose import own  # noqa: PLC0415 - start-up time of every other command
    from vaultd.house import build  # noqa: PLC0415

    own(call)
    house = await build(
        call.env, call.config, for_daemon=True, ask=terminal.passphrase_asker(), callback_bind=call.callback_bind
    )
    try:
        await _first_key(house)
        _announce(house)
        await house.start()
        await call.serve(
            house, house.config.host if host is None else host, house.config.port if port is None else port
        )
    finally:
        await house.close()


async def _first_key(house: House) -> None:
    """There is no open relay: with no client key anywhere, one is made. A journal must not hold it (THR-03)."""
    from vaultd.vault.audit import DAEMON  # noqa: PLC0415 - start-up time

    if house.clients.list():
        return
    key = await house.clients.create("default")
    await house.audit.note(DAEMON, "keys.create", f"default, {key.id}")
    terminal.chat("no client key was configured, so one was made; shown by: vaultd keys get default")
    if sys.stdout.isatty():
        terminal.out(key.value.reveal())


def _announce(house: House) -> None:
    from vaultd.verbs.status import needs_a_person  # noqa: PLC0415 - start-up time

    terminal.chat(f"configuration: {house.config_source}")
    usable, every = house.pool.usable(house), len(house.pool.roster(house))
    terminal.chat(f"credentials: {usable} usable of {every}, sealed in {house.owner.folder}")
    for line in [*needs_a_person(house), *house.keyring.news, *house.warnings]:
        terminal.chat(f"warning: {line}")


def _run(work: Coroutine[Any, Any, None]) -> None:
    """On uvloop where it is installed (it is not made for every platform)."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        asyncio.run(work)
    else:
        uvloop.run(work)
