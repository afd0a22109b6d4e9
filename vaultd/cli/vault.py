"""`vaultd vault …`: the root key, the files' keys, the recovery keys.

Asked of the daemon where one runs, as everything is, so that an administrator of the service need not be its user. What
opens a vault is made here and kept by this process, in a new file or on stdout: a recovery key's private half never
reaches the daemon. A passphrase comes from the terminal or from stdin, never from argv, and to the folder itself.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import Call, ask, call_of, look_for_daemon
from vaultd.cli.files import write_new
from vaultd.errors import Misconfigured, VaultdError
from vaultd.net import local

if TYPE_CHECKING:
    from vaultd.vault.rekey import Rekeyed

#: scrypt makes a guess cost a fifth of a second; twelve characters are what makes the number of guesses count.
_SHORTEST_PASSPHRASE = 12

_LEAKED = "New keys do not heal a leaked one: revoke the tokens (`vaultd logout ID --everywhere`) and sign in again."


@click.group()
def vault() -> None:
    """Root key, key rotation and recovery."""


@vault.command()
@terminal.json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Where the root key comes from, which keys there are, and what is unfinished."""
    answer = ask(ctx, "vault.status")
    if as_json:
        terminal.out_json(answer)
        return
    rows = [(name.replace("_", " "), _shown(value)) for name, value in answer.items() if name != "warnings"]
    terminal.table(("vault", ""), rows)


@vault.command()
@click.option("--passphrase", is_flag=True, help="Seal by a passphrase, asked for on the terminal or read from stdin.")
@click.option("--to", metavar="FILE", type=click.Path(path_type=Path), help="Write the new root key to this new file.")
@click.option("--finish", is_flag=True, help="Let the old root key go, once the new one is in its place.")
@click.pass_context
def rekey(ctx: click.Context, passphrase: bool, to: Path | None, finish: bool) -> None:
    """Replace the root key. Seen to open the vault before the old one goes.

    One that comes from outside, as from systemd, is replaced in two steps: --to lets a new one in beside it, and once
    that is in the old one's place --finish lets the old one go. Each step says the next.
    """
    if sum((passphrase, to is not None, finish)) > 1:
        raise click.UsageError("--passphrase, --to and --finish exclude each other")
    if passphrase:
        done = _sealed_by_passphrase(call_of(ctx))
        source, todo = done.source, done.todo
    else:
        answer = _let_in(ctx, to) if to is not None else ask(ctx, "vault.rekey.finish" if finish else "vault.rekey")
        source, todo = answer["source"], answer["todo"]
    terminal.out(f"root key: {source}")
    if todo:
        terminal.chat(f"next: {todo}")


@vault.command()
@click.option("--full", is_flag=True, help="New content keys too: after a suspected disclosure.")
@terminal.json_option
@click.pass_context
def rotate(ctx: click.Context, full: bool, as_json: bool) -> None:
    """Seal every file with a new key; goes on where it was interrupted."""
    _report(ask(ctx, "vault.rotate", {"full": full}), as_json)
    terminal.chat(_LEAKED)


@vault.group()
def recovery() -> None:
    """Keys, kept elsewhere, that open every file without this vault."""


@recovery.command("list")
@terminal.json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """The recovery keys' ids (RFC 7638 thumbprints)."""
    keys = ask(ctx, "vault.status")["recovery_keys"]
    if as_json:
        terminal.out_json(keys)
        return
    for kid in keys:
        terminal.out(kid)


@recovery.command()
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), help="A new file for the private key (0600).")
@click.pass_context
def add(ctx: click.Context, out: Path | None) -> None:
    """Make a recovery key. Its private half is printed once (or written to --out) and kept nowhere here."""
    from vaultd.vault import recovery as keys  # noqa: PLC0415 - start-up time

    keys.room(ask(ctx, "vault.status")["recovery_keys"])
    made = keys.pair()
    if out is None:
        click.echo(made.private, nl=False)
        sys.stdout.flush()
    else:
        write_new(out, made.private)
    try:
        answer = ask(ctx, "vault.recovery.add", {"public": made.public})
    except VaultdError:
        terminal.chat(f"recovery key {made.kid} opens nothing, unless `vaultd vault recovery list` names it")
        raise
    terminal.chat(f"recovery key {answer['id']}: keep its private half elsewhere; {_summary(answer)}")


@recovery.command()
@click.argument("key")
@terminal.json_option
@click.pass_context
def remove(ctx: click.Context, key: str, as_json: bool) -> None:
    """Seal the files for this recovery key no longer."""
    _report(ask(ctx, "vault.recovery.remove", {"id": key}), as_json)
    terminal.chat("copies made before still open with it; `vaultd vault rotate --full` parts it from what comes")


def _let_in(ctx: click.Context, to: Path) -> Any:
    """The new key is kept in its file before anything is sealed to it."""
    from vaultd.vault import rootkey  # noqa: PLC0415 - start-up time

    ask(ctx, "vault.status")  # a vault that cannot be asked gets no key
    text = rootkey.written(rootkey.generate())
    write_new(to, text)
    return ask(ctx, "vault.rekey", {"root": text.decode(), "file": str(to.absolute())})


def _sealed_by_passphrase(call: Call) -> Rekeyed:
    """On the folder itself, told of in the audit log; where that cannot be written nothing is done."""
    from vaultd.cli import whose  # noqa: PLC0415 - start-up time
    from vaultd.config.load import read  # noqa: PLC0415
    from vaultd.vault import rekey as work  # noqa: PLC0415
    from vaultd.vault.audit import Audit, command_line  # noqa: PLC0415
    from vaultd.vault.keyring import unlock  # noqa: PLC0415
    from vaultd.vault.rotate import maintenance  # noqa: PLC0415

    places = read(call.env, call.config).places
    socket = whose.place(call, look_for_daemon(call), plants=False)
    about = local.knock(socket) if socket is not None else None
    if isinstance(about, dict) and Path(about["folder"]) != places.auth_dir.resolve():
        raise Misconfigured(
            f"the daemon on {about['folder']} starts with nobody there to ask: vaultd vault rekey --to FILE"
        )
    ask_person = terminal.passphrase_asker()
    keyring = unlock(places.auth_dir, call.env, None, places.key_file, ask=ask_person, make=False)
    for line in keyring.news:
        terminal.chat(line)

    async def audited() -> Rekeyed:
        noted = Audit(keyring, places.state_dir).action(command_line(), "vault.rekey", "passphrase")
        async with noted, maintenance(keyring):
            return work.to_passphrase(keyring, _new_passphrase)

    return asyncio.run(audited())


def _new_passphrase() -> str:
    if sys.stdin.isatty():
        chosen = getpass.getpass("New passphrase of the vault: ")
        if getpass.getpass("Once more: ") != chosen:
            raise click.UsageError("the two are not the same; nothing was changed")
    else:
        chosen = sys.stdin.readline().rstrip("\n")
    if len(chosen) < _SHORTEST_PASSPHRASE:
        raise click.UsageError(f"a passphrase has at least {_SHORTEST_PASSPHRASE} characters; nothing was changed")
    return chosen


def _report(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        terminal.out_json(answer)
        return
    terminal.out(_summary(answer))
    for name, reason in answer["left"].items():
        terminal.out(f"left as it was: {name}: {reason}")


def _summary(answer: dict[str, Any]) -> str:
    return f"sealed anew: {answer['files_resealed']}; old keys dropped: {answer['keys_dropped']}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "none"
