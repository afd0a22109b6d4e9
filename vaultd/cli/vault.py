"""`vaultd vault …`: the root key, the files' keys, the recovery keys.

Works on the folder itself whether or not a daemon runs, which follows by itself. A passphrase comes from the terminal
or from stdin, never from argv; a recovery key's private half leaves once, to stdout or a new file.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vaultd.cli import terminal
from vaultd.cli.ask import call_of
from vaultd.errors import Misconfigured

if TYPE_CHECKING:
    from vaultd.config.places import Places
    from vaultd.vault.keyring import Keyring

T = TypeVar("T")

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
    from vaultd.verbs import vault as verbs  # noqa: PLC0415 - start-up time

    keyring, _ = _unlock(ctx)
    answer = verbs.status(keyring)
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
    """Replace the root key. Seen to open the vault before the old one goes."""
    from vaultd.verbs import vault as verbs  # noqa: PLC0415 - start-up time

    if sum((passphrase, to is not None, finish)) > 1:
        raise click.UsageError("--passphrase, --to and --finish exclude each other")
    keyring, places = _unlock(ctx)
    if finish:
        done = _done(keyring, places, "vault rekey", verbs.rekey_finish(keyring), "finish")
    elif passphrase:
        work = verbs.rekey_to_passphrase(keyring, _new_passphrase)
        done = _done(keyring, places, "vault rekey", work, "passphrase")
    else:
        work = verbs.rekey_to_file(keyring, places.key_file, to)
        done = _done(keyring, places, "vault rekey", work, str(to or places.key_file))
    terminal.out(f"root key: {done.source}")
    if done.todo:
        terminal.chat(f"next: {done.todo}")


@vault.command()
@click.option("--full", is_flag=True, help="New content keys too: after a suspected disclosure.")
@terminal.json_option
@click.pass_context
def rotate(ctx: click.Context, full: bool, as_json: bool) -> None:
    """Seal every file with a new key; goes on where it was interrupted."""
    from vaultd.verbs import vault as verbs  # noqa: PLC0415 - start-up time

    keyring, places = _unlock(ctx)
    work = verbs.rotate_keys(keyring, full=full)
    _report(_done(keyring, places, "vault rotate", work, "full" if full else ""), as_json)
    terminal.chat(_LEAKED)


@vault.group()
def recovery() -> None:
    """Keys, kept elsewhere, that open every file without this vault."""


@recovery.command("list")
@terminal.json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """The recovery keys' ids (RFC 7638 thumbprints)."""
    from vaultd.verbs import vault as verbs  # noqa: PLC0415 - start-up time

    keyring, _ = _unlock(ctx)
    keys = verbs.status(keyring)["recovery_keys"]
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
    from vaultd.verbs import vault as verbs  # noqa: PLC0415 - start-up time

    keyring, places = _unlock(ctx)

    def deliver(jwk: bytes) -> None:
        if out is None:
            click.echo(jwk, nl=False)
            sys.stdout.flush()
        else:
            _write_new(out, jwk)

    answer = _done(keyring, places, "vault recovery add", verbs.recovery_add(keyring, deliver))
    terminal.chat(f"recovery key {answer['key']}: keep its private half elsewhere; {_summary(answer)}")


@recovery.command()
@click.argument("key")
@terminal.json_option
@click.pass_context
def remove(ctx: click.Context, key: str, as_json: bool) -> None:
    """Seal the files for this recovery key no longer."""
    from vaultd.verbs import vault as verbs  # noqa: PLC0415 - start-up time

    keyring, places = _unlock(ctx)
    _report(_done(keyring, places, "vault recovery remove", verbs.recovery_remove(keyring, key), key), as_json)
    terminal.chat("copies made before still open with it; `vaultd vault rotate --full` parts it from what comes")


def _done(keyring: Keyring, places: Places, action: str, work: Coroutine[Any, Any, T], what: str = "") -> T:
    """Does the work, told of in the audit log; where that cannot be written nothing is done."""
    from vaultd.vault.audit import Audit, command_line  # noqa: PLC0415 - start-up time

    async def audited() -> T:
        try:
            async with Audit(keyring, places.state_dir).action(command_line(), action, what):
                return await work
        finally:
            work.close()

    return asyncio.run(audited())


def _unlock(ctx: click.Context) -> tuple[Keyring, Places]:
    from vaultd.config.load import read  # noqa: PLC0415 - start-up time
    from vaultd.vault.keyring import unlock  # noqa: PLC0415

    call = call_of(ctx)
    loaded = read(call.env, call.config)
    places = loaded.places
    ask = terminal.passphrase_asker()
    keyring = unlock(places.auth_dir, call.env, None, places.key_file, ask=ask, emergency=places.emergency)
    for line in keyring.news:
        terminal.chat(line)
    return keyring, places


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


def _write_new(path: Path, data: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be made: {error.strerror}; nothing was changed") from error
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


def _report(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        terminal.out_json(answer)
        return
    terminal.out(_summary(answer))
    for name, reason in answer["left"].items():
        terminal.out(f"left as it was: {name}: {reason}")


def _summary(answer: dict[str, Any]) -> str:
    return f"{answer['files_resealed']} files sealed anew, {answer['keys_dropped']} old keys dropped"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value != "" else "none"
