"""`vaultd keys …`: the keys that clients present. A whole value is shown by `create` and `get` alone."""

from __future__ import annotations

from typing import Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask


@click.group()
def keys() -> None:
    """The keys that clients present to this daemon. KEY is an id, an alias, or - to read a value from stdin."""


@keys.command("list")
@terminal.json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every key, masked."""
    answer = ask(ctx, "keys.list")
    if as_json:
        terminal.out_json(answer)
        return
    rows = [(key["id"], key["alias"], key["vApiKey"], "on" if key["status"] else "off") for key in answer["data"]]
    terminal.table(("ID", "ALIAS", "KEY", "STATE"), rows)


@keys.command()
@click.argument("alias")
@terminal.json_option
@click.pass_context
def create(ctx: click.Context, alias: str, as_json: bool) -> None:
    """Make a key."""
    answer = ask(ctx, "keys.create", {"alias": alias})
    _show(answer, as_json, answer["data"]["vApiKey"])
    if not as_json:
        terminal.chat(f"shown again by: vaultd keys get {answer['data']['id']}")


@keys.command()
@click.argument("key")
@terminal.json_option
@click.pass_context
def get(ctx: click.Context, key: str, as_json: bool) -> None:
    """The whole value of KEY."""
    answer = ask(ctx, "keys.get", _named(key))
    _show(answer, as_json, answer["data"]["vApiKey"])


@keys.command()
@click.argument("key")
@terminal.json_option
@click.pass_context
def enable(ctx: click.Context, key: str, as_json: bool) -> None:
    """Let KEY in again."""
    answer = ask(ctx, "keys.enable", _named(key))
    _show(answer, as_json, f"enabled: {answer['data']['id']}")


@keys.command()
@click.argument("key")
@terminal.json_option
@click.pass_context
def disable(ctx: click.Context, key: str, as_json: bool) -> None:
    """Keep KEY, but let nobody in with it."""
    answer = ask(ctx, "keys.disable", _named(key))
    _show(answer, as_json, f"disabled: {answer['data']['id']}")


@keys.command()
@click.argument("key")
@terminal.json_option
@click.pass_context
def delete(ctx: click.Context, key: str, as_json: bool) -> None:
    """Forget KEY for good."""
    answer = ask(ctx, "keys.delete", _named(key))
    _show(answer, as_json, f"deleted: {answer['data']['id']}")


def _show(answer: Any, as_json: bool, line: str) -> None:
    if as_json:
        terminal.out_json(answer)
    else:
        terminal.out(line)


def _named(key: str) -> dict[str, str]:
    """`-` reads a whole value from stdin: in argv every user of the machine can see it (THR-33)."""
    if key.startswith("vk_"):
        terminal.chat("a whole key on a command line can be read by others here: use its id or alias, or - and stdin")
    return {"key": terminal.ask_secret("client key").reveal() if key == "-" else key}
