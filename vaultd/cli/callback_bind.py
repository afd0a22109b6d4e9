"""`--callback-bind`, for `serve` and `login`: where the browser's answer is waited for when this is a container.

A container's loopback cannot be published to the machine around it (security: the code of a sign-in arrives there in
the clear). So anything but loopback is refused unless the image said that this is a container, where only what its
operator publishes can be reached from outside (SEC-11).
"""

from __future__ import annotations

import ipaddress

import click

from vaultd.cli.ask import call_of
from vaultd.config.places import in_container


def _remember(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no IP address") from None
    call = call_of(ctx)
    if not in_container(call.env):
        raise click.BadParameter(
            "only in a container (VAULTD_IN_CONTAINER=1), which is to publish the port to 127.0.0.1 alone"
        )
    call.callback_bind = value


callback_bind_option = click.option(
    "--callback-bind",
    metavar="ADDRESS",
    callback=_remember,
    expose_value=False,
    help="In a container: wait for the browser's answer on this address, not on loopback.",
)
