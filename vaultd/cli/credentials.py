"""`vaultd credentials …`: what the vault keeps, for people. A secret comes in by stdin, never by argv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask
from vaultd.errors import Misconfigured

#: What `credentials import` reads: CLIProxyAPI's largest token file has 8 kB, a sealed one of ours ends at 48 KiB.
_FILE_LIMIT = 64 * 1024
#: So many models are named where a table has one line for a credential; `credentials show` has them all.
_NAMED = 2
#: SEC-53: whoever imports must know what happens to the other program.
TAKE_OVER = (
    "Taken over: vaultd renews these logins from now on. Most vendors let a refresh token be used once, so the other "
    "program is logged out at the next renewal; do not let both use one login."
)


@click.group()
def credentials() -> None:
    """List, add, renew, adjust, switch off, remove and import credentials."""


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


@credentials.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be imported.")
@click.option("--remove", "and_remove", is_flag=True, help="Remove each plaintext original once it is sealed.")
@terminal.json_option
@click.pass_context
def import_(ctx: click.Context, path: Path, dry_run: bool, and_remove: bool, as_json: bool) -> None:
    """Seal token files of CLIProxyAPI: PATH is a file, or a folder of them."""
    originals = _read(path)
    files = [{"name": str(file), "text": text.decode(errors="replace")} for file, text in originals.items()]
    if dry_run:
        _show_import(ask(ctx, "credentials.import", {"files": files, "dry_run": True}), as_json, dry_run=True)
        return
    letting_go = and_remove or terminal.confirm("Remove each plaintext original once it is sealed?")
    with _set_aside(originals if letting_go else ()) as let_go:
        answer = ask(ctx, "credentials.import", {"files": files})
        let_go.update(Path(row["name"]) for row in answer["imported"])
    for row in answer["imported"]:
        row["original_removed"] = letting_go
    _show_import(answer, as_json, dry_run=False)


def _show_import(answer: Mapping[str, Any], as_json: bool, *, dry_run: bool) -> None:
    if answer["imported"]:
        terminal.chat(f"would be {TAKE_OVER[0].lower()}{TAKE_OVER[1:]}" if dry_run else TAKE_OVER)
    if as_json:
        terminal.out_json(answer)
        answer = {"imported": [], "sealed_already": [], "refused": answer["refused"]}
    for row in answer["imported"]:
        if dry_run:
            terminal.out(f"would import: {row['provider']} {row['account']} from {row['name']}")
            continue
        terminal.out(f"imported: {row['provider']} {row['account']} -> {row['id']}")
        if not row["original_removed"]:
            terminal.chat(f"the plaintext original is still there: {row['name']} (remove it, or import with --remove)")
    for row in answer["sealed_already"]:
        terminal.chat(f"sealed already: {row['name']}")
    for row in answer["refused"]:
        terminal.chat(f"not imported: {row['reason']}")
    if answer["refused"]:
        raise Misconfigured(f"{len(answer['refused'])} of the files could not be imported")


@contextmanager
def _set_aside(originals: Iterable[Path]) -> Iterator[set[Path]]:
    """Moves the originals out of the way of sealed files of the same name; those added to the set are then removed.

    The others come back, whatever happens meanwhile.
    """
    let_go: set[Path] = set()
    moved: dict[Path, Path] = {}
    try:
        for file in originals:
            moved[file] = file.rename(file.with_name(f"{file.name}.importing"))
        yield let_go
    except OSError as error:
        raise Misconfigured(f"{error.filename}: cannot be removed: {error.strerror}") from error
    finally:
        for file, aside in moved.items():
            if file in let_go:
                aside.unlink()
            else:
                aside.rename(file)


def _read(path: Path) -> dict[Path, bytes]:
    try:
        files = sorted(file for file in path.glob("*.json") if file.is_file()) if path.is_dir() else [path]
        return {file: _text_of(file) for file in files}
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error


def _text_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        text = opened.read(_FILE_LIMIT + 1)
    if len(text) > _FILE_LIMIT:
        raise Misconfigured(f"{file}: is larger than {_FILE_LIMIT // 1024} KiB, so it is no token file")
    return text


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
