"""`vaultd credentials …`: what the vault keeps, for people. A secret comes in by stdin, never by argv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask
from vaultd.cli.credentials_moving import export, import_

#: So many models are named where a table has one line for a credential; `credentials show` has them all.
_NAMED = 2


@click.group()
def credentials() -> None:
    """List, add, renew, adjust, switch off, remove, import and export credentials."""


@credentials.command("list")
@terminal.json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Every credential and how it stands."""
    answer = ask(ctx, "credentials.list")
    if as_json:
        terminal.out_json(answer)
        return
    show_table(answer["data"])
    for row in answer["refused"]:
        terminal.chat(f"not loaded: {row['file']}: {row['reason']} ({row['action']})")


@credentials.command()
@click.argument("credential")
@terminal.json_option
@click.pass_context
def show(ctx: click.Context, credential: str, as_json: bool) -> None:
    """Everything about one credential but its secrets."""
    answer = ask(ctx, "credentials.show", {"id": credential})
    if as_json:
        terminal.out_json(answer)
        return
    for name, value in answer.items():
        for line in _lines(name, value):
            terminal.out(f"{name.replace('_', ' '):17} {line}")


def _lines(name: str, value: Any) -> list[str]:
    """What people read of one fact: nothing of what is not there."""
    if name == "cooling":
        return [_cooling(row) for row in value]
    if name == "renewal_unsettled":
        words = "began and never ended: the next one finds out whether its token was spent"
        return [words] if value else []
    if name == "max_parallel":
        return [str(value) if value else "any number"]
    if name == "models":
        return [row["name"] if row["alias"] == row["name"] else f"{row['name']} as {row['alias']}" for row in value]
    if name == "facts":
        return [f"{fact}: {said}" for fact, said in value.items()]
    if isinstance(value, bool):
        return ["yes"] if value else []
    if isinstance(value, list):
        return [", ".join(map(str, value))] if value else []
    return [] if value in (None, "") else [str(value)]


def _cooling(row: Mapping[str, Any]) -> str:
    return f"{row['model']} until {row['until']}: {row['reason']}" + (f" ({row['action']})" if row["action"] else "")


@credentials.command()
@click.argument("provider")
@click.option("--base-url", default="", help="Where this key is used, if not at the vendor's own address.")
@click.option("--label", default="", help="A name for it; the same name replaces the key.")
@click.pass_context
def add(ctx: click.Context, provider: str, base_url: str, label: str) -> None:
    """Seal an API key of PROVIDER. The key is read from stdin."""
    key = terminal.ask_secret(f"API key for {provider}")
    args = {"provider": provider, "key": key.reveal(), "base_url": base_url, "label": label}
    terminal.out(f"added: {provider} {ask(ctx, 'credentials.add', args)['id']}")


@credentials.command()
@click.argument("credential")
@click.pass_context
def refresh(ctx: click.Context, credential: str) -> None:
    """Renew a login now."""
    answer = ask(ctx, "credentials.refresh", {"id": credential})
    terminal.out(f"renewed: {answer['id']} until {answer['expires_at']}")


@credentials.command("set")
@click.argument("credential")
@click.option("--priority", type=int, help="Higher is tried first.")
@click.option("--weight", type=click.IntRange(min=1), help="How many turns it gets among those of one priority.")
@click.option(
    "--max-parallel", "parallel", type=click.IntRange(min=0), help="Requests under way at a time; 0 is any number."
)
@click.option("--exclude-model", "excluded_models", multiple=True, help="Not for this model; * stands for any text.")
@click.option("--project", "projects", multiple=True, help="Gemini: the projects to use, in this order.")
@click.option("--proxy", is_flag=True, help="Read the proxy's address from stdin; an empty one removes it.")
@click.pass_context
def set_(ctx: click.Context, /, credential: str, proxy: bool, **given: Any) -> None:
    """Change how a credential is used. What is not named stays; a list replaces, and '' empties it."""
    args = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    args = {name: value for name, value in args.items() if value not in (None, [])}
    if proxy:
        args["proxy"] = terminal.ask_secret("The proxy's address", or_nothing=True).reveal()
    if not args:
        raise click.UsageError("nothing to change was named", ctx)
    terminal.out(f"set: {ask(ctx, 'credentials.set', {'id': credential, **args})['id']}")


@credentials.command()
@click.argument("credential")
@click.pass_context
def enable(ctx: click.Context, credential: str) -> None:
    """Use a credential again."""
    terminal.out(f"enabled: {ask(ctx, 'credentials.enable', {'id': credential})['id']}")


@credentials.command()
@click.argument("credential")
@click.pass_context
def disable(ctx: click.Context, credential: str) -> None:
    """Keep a credential, but use it for no request."""
    terminal.out(f"disabled: {ask(ctx, 'credentials.disable', {'id': credential})['id']}")


@credentials.command()
@click.argument("credential")
@click.pass_context
def accept(ctx: click.Context, credential: str) -> None:
    """Use a file again that was rolled back (restored from a backup). Where its tokens are spent, the vendor may end
    the login when they are presented; `vaultd login` is the safe way."""
    terminal.out(f"accepted: {ask(ctx, 'credentials.accept', {'id': credential})['id']}")


@credentials.command()
@click.argument("credential")
@click.pass_context
def remove(ctx: click.Context, credential: str) -> None:
    """Forget a credential here. The vendor is not told: see `vaultd logout --everywhere`."""
    terminal.out(f"removed: {ask(ctx, 'credentials.remove', {'id': credential})['id']}")


for _command in (import_, export):
    credentials.add_command(_command)


def show_table(rows: Sequence[Mapping[str, Any]]) -> None:
    terminal.table(
        ("CREDENTIAL", "PROVIDER", "ACCOUNT", "PLAN", "STATE", "EXPIRES", "NEXT"),
        [
            (
                row["id"],
                row["provider"],
                row["account"],
                row["plan"],
                _state(row),
                _expires(row["expires_in"]),
                _next(row),
            )
            for row in rows
        ],
    )


def _state(row: Mapping[str, Any]) -> str:
    words = str(row["state"]) + (f" until {row['until']}" if row["until"] else "")
    if row["reason"]:
        words += f"; {row['reason']}" if row["state"] == "available" else f": {row['reason']}"
    rests = _rests(row)
    for rest in rests[:_NAMED]:
        words += f"; cooling for {rest['model']} until {rest['until']}: {rest['reason']}"
    return words + (f"; and for {len(rests) - _NAMED} more" if len(rests) > _NAMED else "")


def _next(row: Mapping[str, Any]) -> str:
    """What to do first: about the credential, else about the models it rests for."""
    return str(row["action"]) or "; ".join(dict.fromkeys(rest["action"] for rest in _rests(row)[:_NAMED]))


def _rests(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return sorted(row["cooling"], key=lambda rest: str(rest["until"]))


def _expires(seconds: int | None) -> str:
    """`in 3 d`, `in 2 h`, `5 min ago`: as exact as a person needs."""
    if seconds is None:
        return "-"
    size = abs(seconds)
    number, unit = next(
        (size // n, unit) for n, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")) if size >= n or n == 1
    )
    return f"in {number} {unit}" if seconds >= 0 else f"{number} {unit} ago"
