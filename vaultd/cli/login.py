"""`vaultd login`: one flag per vendor of the catalogue, a drop-in's included; the rest is `work.sign_in`'s."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import Call, call_of

if TYPE_CHECKING:
    from vaultd.vault.credential import Credential
    from vaultd.work.sign_in import Way, Wish

#: 128 + SIGTERM, what a shell expects of a terminated program.
TERMINATED = 143
_PROVIDER = "provider"


class LoginCommand(click.Command):
    """Learns its vendor flags from the catalogue of the configuration that the command line names."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[__name__] = _vendor_flags(call_of(ctx), args, taken={name for p in self.params for name in p.opts})
        vendors = {flag for option in ctx.meta[__name__] for flag in option.opts} & set(args)
        if len(vendors) > 1:  # click would take the last
            raise click.UsageError(f"one vendor at a time: {' or '.join(sorted(vendors))}", ctx)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*ctx.meta.get(__name__, ()), *super().get_params(ctx)]


def _vendor_flags(call: Call, args: Sequence[str], taken: set[str]) -> list[click.Option]:
    from vaultd.catalog.load import load, shipped_folder  # noqa: PLC0415 - start-up time
    from vaultd.config.load import read  # noqa: PLC0415

    loaded = read(call.env, _config_of(args) or call.config)
    catalog = load(shipped_folder(), loaded.places.providers_dir, loaded.config, loaded.source)
    return [
        click.Option([f"--{id}", _PROVIDER], flag_value=id, help=f"Sign in to {catalog.provider(id).name or id}.")
        for id in catalog.sign_in_ids()  # noqa: A001
        if f"--{id}" not in taken
    ]


def _config_of(args: Sequence[str]) -> str | None:
    """`--config` among this command's own arguments, which nobody has parsed yet."""
    for here, following in zip(args, [*args[1:], None], strict=False):
        if here == "--config":
            return following
        if here.startswith("--config="):
            return here.removeprefix("--config=")
    return None


def _projects(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(project for part in (value or "").split(",") if (project := part.strip()))


@click.command(cls=LoginCommand)
@click.option("--no-browser", is_flag=True, help="Print the address alone on one line, and open nothing.")
@click.option("--device", "way", flag_value="device", help="Enter a code in a browser anywhere.")
@click.option("--paste-page", "way", flag_value="paste-page", help="The vendor's page shows a code to paste here.")
@click.option("--qr", is_flag=True, help="Draw the address as a QR code too.")
@click.option("--project-id", metavar="ID[,ID…]|ALL", callback=_projects, help="Google Cloud projects to use.")
@click.option("--label", default="", metavar="NAME", help="What to call an account that has no email.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=900.0, metavar="SECONDS", show_default=True
)
@click.pass_context
def login(
    ctx: click.Context,
    provider: str | None,
    no_browser: bool,
    way: Way | None,
    qr: bool,
    project_id: tuple[str, ...],
    label: str,
    timeout: float,
) -> int | None:
    """Sign in to a vendor and keep the login sealed."""
    from vaultd.cli.desk import Manner  # noqa: PLC0415 - start-up time

    if provider is None:
        flags = ", ".join(option.opts[0] for option in ctx.meta[__name__])
        raise click.UsageError(f"name the vendor: one of {flags}")
    manner = Manner(browser=not no_browser and way is None, qr=qr, paste_page=way == "paste-page")
    wanted: dict[str, Any] = {"label": label.strip(), "projects": project_id, "timeout": timeout}
    try:
        credential = asyncio.run(_sign_in(call_of(ctx), provider, way, manner, wanted))
    except asyncio.CancelledError:
        terminal.complain("terminated")
        return TERMINATED
    account = credential.account
    known_as = account.email or credential.settings.label or account.person or account.account
    terminal.out(f"signed in: {credential.provider} {known_as} -> {credential.id}")
    return None


async def _sign_in(call: Call, provider_id: str, way: Way | None, manner: Any, wanted: dict[str, Any]) -> Credential:
    """Cancelled by SIGTERM (and, by asyncio itself, SIGINT), so that the port is shut and the verifier forgotten."""
    from vaultd.cli.desk import TerminalDesk  # noqa: PLC0415 - start-up time
    from vaultd.house import build  # noqa: PLC0415
    from vaultd.work.sign_in import SignIns, Wish  # noqa: PLC0415

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    house = await build(call.env, call.config, for_daemon=False, ask=terminal.passphrase_asker())
    desk = TerminalDesk(manner, call.env)
    for line in [*house.keyring.news, *house.warnings]:
        desk.note(line)
    try:
        wish = Wish(house.catalog.provider(provider_id), way or "browser", **wanted)
        wish = _possible(wish, asked_for=way)
        if wish.provider.sunset:
            desk.note(
                f"{wish.provider.id}: closed by the vendor on {wish.provider.sunset}. {wish.provider.sunset_note}"
            )
        return await SignIns(house.owner, house.client.send, house.clock).run(wish, desk)
    finally:
        desk.close()
        with contextlib.suppress(asyncio.CancelledError):
            await house.close()


def _possible(wish: Wish, *, asked_for: Way | None) -> Wish:
    """The wish with a way this vendor offers. Raises UsageError where another one was asked for."""
    from dataclasses import replace  # noqa: PLC0415 - start-up time

    from vaultd.work.sign_in import ways  # noqa: PLC0415

    offered = ways(wish.provider)
    if asked_for is None:
        return replace(wish, way=offered[0])
    if asked_for not in offered:
        other = " or ".join("without it" if way == "browser" else f"--{way}" for way in offered)
        raise click.UsageError(f"{wish.provider.id} offers no --{asked_for}; sign in {other}")
    return wish
