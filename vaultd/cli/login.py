"""`vaultd login`: one flag per vendor of the catalogue, a drop-in's included. Where the sign-in happens is
`sign_in_place`'s to say; what is typed and printed is the same everywhere."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from vaultd.cli import terminal
from vaultd.cli.ask import call_of
from vaultd.cli.callback_bind import callback_bind_option

if TYPE_CHECKING:
    from vaultd.cli.desk import TerminalDesk
    from vaultd.cli.sign_in_place import Order, Place, SignedIn, Vendor
    from vaultd.work.sign_in import Way

#: 128 and the signal's number, what a shell expects of a program that ended by it.
_ENDED_BY: Final = {signal.SIGTERM: (143, "terminated"), signal.SIGHUP: (129, "the terminal was closed")}
_PROVIDER: Final = "provider"
#: A day: `work.sign_in.LONGEST_TIMEOUT`, known before that is imported.
_LONGEST: Final = 86_400
#: `work.pending_sign_ins.LONGEST_LABEL`, likewise.
_LONGEST_LABEL: Final = 118


class LoginCommand(click.Command):
    """Learns its vendor flags from where the sign-in is to happen: the daemon, or the configuration that is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        from vaultd.cli.sign_in_place import place_of  # noqa: PLC0415 - start-up time

        call = call_of(ctx)
        call.config = _config_of(args) or call.config
        place = place_of(call, args)
        taken = {name for param in self.params for name in param.opts}
        flags = [
            click.Option([f"--{vendor.id}", _PROVIDER], flag_value=vendor.id, help=f"Sign in to {vendor.name}.")
            for vendor in place.vendors
            if f"--{vendor.id}" not in taken
        ]
        ctx.meta[__name__] = (place, flags)
        vendors = {flag for option in flags for flag in option.opts} & set(args)
        if len(vendors) > 1:  # click would take the last
            raise click.UsageError(f"one vendor at a time: {' or '.join(sorted(vendors))}", ctx)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        _, flags = ctx.meta.get(__name__, (None, ()))
        return [*flags, *super().get_params(ctx)]


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


def _label(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    label = value.strip()
    if len(label) > _LONGEST_LABEL or not label.isprintable():
        raise click.BadParameter(f"a name is at most {_LONGEST_LABEL} printable characters")
    return label


@click.command(cls=LoginCommand)
@click.option("--no-browser", is_flag=True, help="Print the address alone on one line, and open nothing.")
@click.option("--device", "way", flag_value="device", help="Enter a code in a browser anywhere.")
@click.option("--paste-page", "way", flag_value="paste-page", help="The vendor's page shows a code to paste here.")
@click.option("--qr", is_flag=True, help="Draw the address as a QR code too.")
@click.option("--project-id", metavar="ID[,ID…]|ALL", callback=_projects, help="Google Cloud projects to use.")
@click.option("--label", default="", metavar="NAME", callback=_label, help="What to call an account without an email.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=_LONGEST),
    default=900.0,
    metavar="SECONDS",
    show_default=True,
    help="How long to wait for the person.",
)
@callback_bind_option
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
    from vaultd.cli.desk import Manner, TerminalDesk  # noqa: PLC0415 - start-up time
    from vaultd.cli.local_login import Here  # noqa: PLC0415
    from vaultd.cli.sign_in_place import Order  # noqa: PLC0415

    call, (place, flags) = call_of(ctx), ctx.meta[__name__]
    if provider is None:
        raise click.UsageError(f"name the vendor: one of {', '.join(option.opts[0] for option in flags)}")
    vendor = next(vendor for vendor in place.vendors if vendor.id == provider)
    if call.callback_bind and not isinstance(place, Here):
        raise click.UsageError("the daemon waits for the answer: --callback-bind belongs to vaultd serve")
    manner = Manner(browser=not no_browser and way is None, qr=qr, paste_page=way == "paste-page")
    order = Order(vendor.id, _possible(vendor, way), label, project_id, timeout)
    desk, ended_by = TerminalDesk(manner, call.env), list[signal.Signals]()
    if vendor.sunset:
        desk.note(f"{vendor.id}: closed by the vendor on {vendor.sunset}. {vendor.sunset_note}")
    try:
        signed_in = asyncio.run(_sign_in(place, order, desk, ended_by))
    except asyncio.CancelledError:
        code, word = _ENDED_BY[ended_by[0]]
        terminal.complain(word)
        return code
    _tell(signed_in)
    return None


def _tell(signed_in: SignedIn) -> None:
    """A script that took the address and went (`| head -1`) is to hear that the login is there: exit 0, not 141."""
    try:
        terminal.out(f"signed in: {signed_in.provider} {signed_in.known_as} -> {signed_in.credential}")
    except BrokenPipeError:
        terminal.abandon_stdout()


async def _sign_in(place: Place, order: Order, desk: TerminalDesk, ended_by: list[signal.Signals]) -> SignedIn:
    """Cancelled by SIGTERM, a closed terminal (and, by asyncio itself, SIGINT), so that the port is shut and the
    verifier forgotten, wherever they are."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def ends(number: signal.Signals) -> None:
        ended_by.append(number)
        task.cancel()

    for number in _ENDED_BY:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup(1)
            loop.add_signal_handler(number, ends, number)
    try:
        return await place.sign_in(order, desk)
    finally:
        desk.close()


def _possible(vendor: Vendor, asked_for: Way | None) -> Way:
    """A way this vendor offers. Raises UsageError where another one was asked for."""
    if asked_for is None:
        return vendor.ways[0]
    if asked_for not in vendor.ways:
        other = " or ".join("without it" if way == "browser" else f"--{way}" for way in vendor.ways)
        raise click.UsageError(f"{vendor.id} offers no --{asked_for}; sign in {other}")
    return asked_for
