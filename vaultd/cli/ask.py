"""How a command gets its answer: from the daemon that runs, else by the same verb on the folder itself.

The answer is the same either way, and so is the exit code: errors cross the socket by class name. Rendering is not
done here, and no verb is known by name.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import terminal
from vaultd.errors import Misconfigured
from vaultd.net import local

if TYPE_CHECKING:
    from vaultd.house import House

Serve = Callable[["House", str, int], Awaitable[None]]


@dataclass
class Call:
    """One invocation of the command line: click's `ctx.obj`."""

    env: Mapping[str, str]
    serve: Serve
    config: str | None = None
    #: As it was typed, for the command that is proposed instead.
    words: Sequence[str] = ()
    #: Where sign-ins wait for the browser, in place of loopback.
    callback_bind: str = ""


def call_of(ctx: click.Context) -> Call:
    call = ctx.find_object(Call)
    assert call is not None
    return call


def ask(ctx: click.Context, name: str, args: Mapping[str, Any] | None = None) -> Any:
    """The answer of the verb `name`: JSON-able. Raises what the verb raised; where no daemon answers, also what
    `whose.place` raises."""
    call = call_of(ctx)
    found = look_for_daemon(call)
    socket = found.socket or _without_a_daemon(call, found, name)
    if socket is not None:
        return local.call(socket, name, args or {})
    return asyncio.run(_on_the_folder(call, name, args or {}))


def _without_a_daemon(call: Call, found: Looked, name: str) -> Path | None:
    from vaultd.cli import whose  # noqa: PLC0415 - start-up time
    from vaultd.verbs import PLANTS  # noqa: PLC0415

    return whose.place(call, found, plants=name in PLANTS)


@dataclass(frozen=True, slots=True)
class Looked:
    """The admin socket of the daemon that is meant, if one answers; and why the others before it did not."""

    socket: Path | None
    silence: Mapping[Path, local.Silence]


def daemon(call: Call) -> Path | None:
    """The admin socket of the daemon that this invocation means, if one answers."""
    return look_for_daemon(call).socket


def look_for_daemon(call: Call) -> Looked:
    """Without `--config` the first that answers is meant; with it only a daemon that works on the same folder. Found
    without reading the configuration where possible: a daemon keeps its last good one, and then says what is wrong.
    """
    silence: dict[Path, local.Silence] = {}
    from vaultd.config.places import SYSTEM_SOCKET, find  # noqa: PLC0415 - start-up time

    places = find(call.env, call.config, None)
    for socket in local.sockets(places.admin_sockets):
        # The packaged service may only be starting: its socket unit has been listening all along.
        about = local.knock(socket, local.STARTING_SECONDS) if socket == SYSTEM_SOCKET else local.knock(socket)
        if isinstance(about, str):
            silence[socket] = about
        elif call.config is None or _means(call, about, str(places.config_file)):
            return Looked(socket, silence)
    return Looked(None, silence)


def _means(call: Call, about: Mapping[str, Any], config_file: str) -> bool:
    from vaultd.config.load import read  # noqa: PLC0415 - start-up time

    try:
        return Path(about["folder"]) == read(call.env, call.config).places.auth_dir.resolve()
    except Misconfigured:
        return bool(about["config"] == config_file)


async def _on_the_folder(call: Call, name: str, args: Mapping[str, Any]) -> Any:
    from vaultd.house import build  # noqa: PLC0415 - start-up time
    from vaultd.vault.audit import command_line  # noqa: PLC0415
    from vaultd.verbs import PLANTS, run  # noqa: PLC0415

    with _rehearsal(call, name) as rehearsed_in:
        house = await build(
            call.env,
            call.config,
            for_daemon=False,
            ask=terminal.passphrase_asker(),
            make=name in PLANTS or rehearsed_in is not None,
            rehearsed_in=rehearsed_in,
        )
        for line in house.keyring.news if rehearsed_in is None else ():
            terminal.chat(line)
        try:
            return await run(house, name, args, command_line())
        finally:
            await house.close()


@contextmanager
def _rehearsal(call: Call, name: str) -> Iterator[Path | None]:
    """A folder for the vault that a dry run has where there is none: nothing is left behind by having asked."""
    from vaultd.cli.whose import has_vault  # noqa: PLC0415 - start-up time
    from vaultd.verbs import REHEARSALS  # noqa: PLC0415

    if name not in REHEARSALS or has_vault(call):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="vaultd-") as folder:
        yield Path(folder)
