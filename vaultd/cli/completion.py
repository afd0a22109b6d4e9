"""`vaultd completion SHELL`, and what stands for CREDENTIAL, KEY, PROVIDER and CLIENT when a shell asks.

click draws the scripts and finds the words. A shell asks in the middle of a line that a person types: nothing is said
on stderr, made, read from a terminal or asked of a vendor, and whatever fails is no word at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class, shell_complete

from vaultd.cli.ask import Call, call_of, daemon
from vaultd.net import local

#: By this variable a shell's script asks for words; click derives the same name from `vaultd`.
VARIABLE: Final = "_VAULTD_COMPLETE"
SHELLS: Final = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what SHELL reads to complete vaultd's words.

    \b
    bash:  eval "$(vaultd completion bash)"      in ~/.bashrc
    zsh:   eval "$(vaultd completion zsh)"       in ~/.zshrc, below compinit
    fish:  vaultd completion fish > ~/.config/fish/completions/vaultd.fish
    """
    drawn = get_completion_class(shell)
    assert drawn is not None
    click.echo(drawn(ctx.find_root().command, {}, "vaultd", VARIABLE).source())


def answer(cli: click.Command, call: Call) -> int:
    """What the script is told: one word a line, or nothing."""
    try:
        return shell_complete(cli, {"obj": call}, "vaultd", VARIABLE, os.environ[VARIABLE])
    except Exception:  # noqa: BLE001 - a broken configuration must not write into the line that a person types
        return 1


class Named(click.ParamType[str]):
    """Any text, completed from what there is."""

    name = "text"

    def __init__(self, there: Callable[[Call], Iterable[str]]) -> None:
        self._there = there

    def shell_complete(self, ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(word) for word in self._there(call_of(ctx)) if word.startswith(incomplete)]
        except Exception:  # noqa: BLE001 - as above; the other words of the line are still completed
            return []


def _credentials(call: Call) -> Iterable[str]:
    """The daemon's word, for its folder may be another user's; without one, the sealed files' names."""
    if (socket := daemon(call)) is not None:
        return [row["id"] for row in local.call(socket, "credentials.list", {})["data"]]
    from vaultd.config.load import read  # noqa: PLC0415 - start-up time

    return sorted(file.stem for file in read(call.env, call.config).places.auth_dir.glob("[!.]*.json"))


def _keys(call: Call) -> Iterable[str]:
    """Client keys are sealed, their names too: only a daemon can tell them without a passphrase."""
    if (socket := daemon(call)) is None:
        return []
    rows = local.call(socket, "keys.list", {})["data"]
    return [word for row in rows for word in (row["alias"], row["id"]) if word]


def _providers(call: Call) -> Iterable[str]:
    from vaultd.catalog.load import load, shipped_folder  # noqa: PLC0415 - start-up time
    from vaultd.config.load import read  # noqa: PLC0415

    loaded = read(call.env, call.config)
    return load(shipped_folder(), loaded.places.providers_dir, loaded.config, loaded.source).providers


def _clients(_call: Call) -> Iterable[str]:
    from vaultd.cli.connect.clients import CLIENTS  # noqa: PLC0415 - start-up time

    return CLIENTS


#: An argument of this name means the same in every command.
NAMED: Final[Mapping[str, click.ParamType[str]]] = {
    "credential": Named(_credentials),
    "key": Named(_keys),
    "provider": Named(_providers),
    "client": Named(_clients),
}
