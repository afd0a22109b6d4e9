"""`vaultd demo`: the whole job on a pretend vendor, with the real programs, in a folder that is gone afterwards."""

from __future__ import annotations

import asyncio

import click

#: 128 + SIGTERM, what a shell expects of a terminated program.
TERMINATED = 143


@click.command()
@click.option("--once", is_flag=True, help="End after the last step, with 0 if all worked.")
@click.option("--port", type=click.IntRange(1, 65535), default=8317, show_default=True, help="Of the daemon.")
def demo(once: bool, port: int) -> int:
    """The whole job on a pretend vendor in a temporary folder; no account needed."""
    from vaultd.cli.demo.play import play  # noqa: PLC0415 - start-up time of every other command

    try:
        asyncio.run(play(port=port, once=once))
    except KeyboardInterrupt:
        if once:
            raise
    except asyncio.CancelledError:
        return TERMINATED
    return 0
