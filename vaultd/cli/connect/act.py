"""What `vaultd connect` does with its words: asks the daemon for address, models and key, plans, shows or writes."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from vaultd.cli import terminal, whose
from vaultd.cli.ask import ask, call_of
from vaultd.cli.connect.clients import CLIENTS, Client, Wish
from vaultd.cli.connect.edit import Edit
from vaultd.cli.connect.plan import Target
from vaultd.cli.connect.record import Change, Record, Records, perform
from vaultd.config.places import expanded
from vaultd.errors import Misconfigured, TryLater
from vaultd.net import elsewhere

#: A line beside ours may hold anybody's key: what stands behind a name like these is not shown, but a number, a `{…}`
#: that refers to a key, and the name of a variable; nor is what looks like a key wherever it stands.
_NAMED: Final = re.compile(
    r"""((?<![\w.-])(?!env)[\w.-]{0,64}?(?:key|token|secret|passw|auth(?!or)|credential|cookie|header)(?!helper)[\w.-]{0,64}"""
    r"""["']?\s*[:=]\s*)(?:(["'])(?!\{)(?:\\.|(?!\2)[^\\])+\2|(?!(?:true|false|null|[\d.]+)\b)[^\s,"'{}\[\]]+)""",
    re.IGNORECASE,
)
_SHAPED: Final = re.compile(
    r"""\b(?:sk-|vk_|AIza|gh[a-z]_|eyJ)[\w.-]{8,}|(?<=Bearer )[^\s"']+|(?<=://)[^\s/@"']+(?=@)"""
)
#: What a client key's alias does not hold (`vault.clients`); a directory's user names may.
_NO_ALIAS: Final = re.compile(r"[^A-Za-z0-9._+-]")
_NOT_MADE_YET: Final = "vk_made-when-this-is-written"
#: The `/v1` that many clients want is taken for none; a name, a password or another path would be lost on the way.
_ADDRESS: Final = re.compile(r"https?://([\w.-]+|\[[\da-f:.]+\])(:\d+)?(/v1)?/?", re.IGNORECASE)
#: Addresses to listen on that none can be asked at.
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Words:
    """What the person said."""

    models: Sequence[str]
    url: str
    code_assist: bool


@dataclass(frozen=True, slots=True)
class Daemon:
    url: str
    helper: Sequence[str]
    key: str
    catalogue: Sequence[Mapping[str, Any]] | None


def overview(env: Mapping[str, str]) -> None:
    records, rows = Records(env), []
    for name in CLIENTS:
        record = records.find(name)
        state = "-" if record is None else "connected" if records.standing(record) else "changed since"
        rows.append((name, state, record.url if record else "", _shown(record.models) if record else ""))
    terminal.table(("CLIENT", "STATE", "DAEMON", "MODELS"), rows)


def undo(env: Mapping[str, str], name: str, *, show: bool) -> None:
    _client(name)
    records = Records(env)
    record = records.find(name)
    if record is None:
        terminal.chat(f"nothing was written for {name} here, so there is nothing to take back")
        return
    changes = records.undoing(record)
    if show:
        _show(changes, "")
        return
    records.sweep(record)
    perform(changes)
    records.forget(name)
    for change in changes:
        terminal.out(f"{'removed' if change.becomes is None else 'restored'} {change.path}")
        for path in change.kept:
            terminal.chat(f"{change.path}: {path} was changed since, and stays")
    terminal.chat(f"its client key goes on to open the daemon, until: vaultd keys delete {_key_name(env, name)}")


def write(ctx: click.Context, name: str, words: Words, *, show: bool) -> None:
    client, env = _client(name), call_of(ctx).env
    if words.code_assist and name != "gemini-cli":
        raise click.UsageError("--code-assist is for gemini-cli")
    models = dict(_slots(name, client, words.models))
    records = Records(env)
    key_file = records.place(name) / "client.key"
    found = _elsewhere(words.url, key_file, show) if words.url else _here(ctx, name, client, show)
    if found.catalogue is not None:
        _check(models.values(), found.catalogue)
    wish = Wish(
        env=env,
        url=found.url,
        helper=found.helper,
        key=found.key,
        key_file=key_file,
        models=models,
        catalogue=found.catalogue or (),
        code_assist=words.code_assist,
    )
    targets = list(client.targets(wish))
    if words.url and not client.keeps_key:
        targets.append(Target(key_file, "key", (Edit(("key",), found.key, secret=True),)))
    old = records.find(name)
    left, changes = records.connecting(old, targets)
    if show:
        _show([*left, *changes], found.key)
    else:
        files = [change.entry for change in changes if change.entry]
        earlier = list(old.entries()) if old else []
        record = Record(client=name, url=found.url, models=models, files=files, earlier=earlier)
        records.keep(record, changes)
        try:
            perform([*left, *changes])
        except Misconfigured as error:
            raise Misconfigured(f"{error}; what was written by then goes by: vaultd connect {name} --undo") from None
        records.keep(msgspec.structs.replace(record, earlier=[]), ())
        for change in [*left, *changes]:
            word = "removed" if change.becomes is None else "left as it is" if change.was == change.becomes else "wrote"
            terminal.out(f"{word} {change.path}")
        terminal.chat(f"{client.title} asks {found.url} from its next start on; back: vaultd connect {name} --undo")
    for line in _advice(client, targets, env, found):
        terminal.chat(line)


# --- what the daemon says ---------------------------------------------------------------------------------------------


def _here(ctx: click.Context, name: str, client: Client, show: bool) -> Daemon:
    call = call_of(ctx)
    status = _status(ctx)
    serving = status["daemon"]
    url = _url(serving["address"]) if serving else _configured(ctx)
    if serving is None:
        terminal.chat(f"no daemon answers; {url} is taken for its address, as configured")
    # In these words a helper finds the same daemon as this command did.
    config = ["--config", str(expanded(call.env, call.config).absolute())] if call.config else []
    helper = [*_ourselves(), "token", *config, "--client-key", _key_name(call.env, name)]
    return Daemon(url, helper, _key(ctx, name, client, show), ask(ctx, "models.list")["data"])


def _status(ctx: click.Context) -> Any:
    try:
        return ask(ctx, "status")
    except Misconfigured as error:
        if error.code not in {"vault-missing", "service-unreached"}:
            raise
        raise Misconfigured(f"{error}; a daemon elsewhere is named with --url", code=error.code) from None


def _configured(ctx: click.Context) -> str:
    from vaultd.config.load import read  # noqa: PLC0415 - only here

    config = read(call_of(ctx).env, call_of(ctx).config).config
    scheme = "https" if config.tls.cert else "http"
    host = f"[{config.host}]" if ":" in config.host else config.host or "127.0.0.1"
    return _url(f"{scheme}://{host}:{config.port}")


def _key_name(env: Mapping[str, str], name: str) -> str:
    """Whose client it is: of several people with one daemon each has a key, so that usage tells them apart and one of
    them can be shut out alone."""
    return f"{name}@{_NO_ALIAS.sub('-', whose.user(env))}"


def _key(ctx: click.Context, name: str, client: Client, show: bool) -> str:
    alias = _key_name(call_of(ctx).env, name)
    found = next((key for key in ask(ctx, "keys.list")["data"] if key["alias"] == alias), None)
    if found is None:
        return _NOT_MADE_YET if show else str(ask(ctx, "keys.create", {"alias": alias})["data"]["vApiKey"])
    if not found["status"]:
        raise Misconfigured(f"its client key is switched off: vaultd keys enable {alias}")
    if show or not client.keeps_key:
        return str(found["vApiKey"])
    return str(ask(ctx, "keys.get", {"key": found["id"]})["data"]["vApiKey"])


def _elsewhere(url: str, key_file: Path, show: bool) -> Daemon:
    url, helper = _url(url), ["cat", str(key_file)]
    if show:
        return Daemon(url, helper, _NOT_MADE_YET, None)
    key = terminal.ask_secret("client key")
    try:
        catalogue = [{"modelIdentifier": name} for name in elsewhere.models(url, key)]
    except TryLater as error:  # a tunnel may be opened later
        terminal.chat(f"{error}; the models are taken as they are named")
        return Daemon(url, helper, key.reveal(), None)
    return Daemon(url, helper, key.reveal(), catalogue)


def _url(address: str) -> str:
    """Without a path, at a host that can be asked."""
    refusal = Misconfigured("this is no address as in http://127.0.0.1:8317: a host and a port, and no more")
    if not _ADDRESS.fullmatch(address):
        raise refusal  # which does not say it again: it may hold a password
    try:
        parts = urlsplit(address)
        name, port = parts.hostname or "", parts.port
        host = f"[{name}]" if ":" in name else name.encode("idna").decode()
    except ValueError:  # a port that is none, a name that none can have
        raise refusal from None
    return f"{parts.scheme}://{_ANY.get(name, host)}" + (f":{port}" if port else "")


def _ourselves() -> list[str]:
    """This program, by a name that works in any folder and with any PATH."""
    script = Path(sys.argv[0])
    return [str(script.absolute())] if script.name == "vaultd" else [sys.executable, "-m", "vaultd"]


# --- models -----------------------------------------------------------------------------------------------------------


def _client(name: str) -> Client:
    if name not in CLIENTS:
        near = difflib.get_close_matches(name, CLIENTS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}?" if near else f"one of: {', '.join(CLIENTS)}"
        raise click.UsageError(f"no client {name!r} is known: {hint}")
    return CLIENTS[name]


def _slots(name: str, client: Client, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    for part in ",".join(given).split(","):
        slot, equals, model = (word.strip() for word in part.partition("="))
        if not slot:
            continue
        slot, model = ("" if slot == "model" else slot, model) if equals else ("", slot)
        if slot not in client.slots or not model:
            known = ", ".join(f"{slot}=…" for slot in client.slots if slot)
            raise click.UsageError(f"{part!r}: --models of {name} takes a model{f', or {known}' if known else ''}")
        yield slot, model


def _check(models: Iterable[str], catalogue: Sequence[Mapping[str, Any]]) -> None:
    """Each can be asked for now. `vendor://model` and `model(high)` are the model's name with more."""
    known = [str(row["modelIdentifier"]) for row in catalogue]
    for model in models:
        plain = re.sub(r"\([^()]*\)$", "", model.partition("://")[2] or model)
        if plain not in known and model not in known:
            near = difflib.get_close_matches(plain, known, n=3)
            hint = f"nearest: {', '.join(near)}" if near else "`vaultd models list` shows them all"
            raise Misconfigured(f"no login serves a model {model!r}; {hint}")


def _shown(models: Mapping[str, str]) -> str:
    return ", ".join(f"{slot}={model}" if slot else model for slot, model in models.items())


# --- what a person sees -----------------------------------------------------------------------------------------------


def _show(changes: Sequence[Change], key: str) -> None:
    for change in changes:
        before, after = _lines(change.was), _lines(change.becomes)
        if before == after:
            terminal.out(f"# {change.path} stays as it is")
            continue
        names = (str(change.path) if change.was is not None else "/dev/null", str(change.path))
        for line in difflib.unified_diff(before, after, *names, lineterm=""):
            terminal.out(_masked(line[:1] + line[1:].expandtabs(4), key))


def _masked(line: str, key: str) -> str:
    line = line.replace(key, "…") if key else line
    return _SHAPED.sub("…", _NAMED.sub(lambda found: f"{found[1]}{found[2] or ''}…{found[2] or ''}", line))


def _lines(data: bytes | None) -> list[str]:
    return data.decode(errors="replace").splitlines() if data is not None else []


def _advice(client: Client, targets: Sequence[Target], env: Mapping[str, str], found: Daemon) -> Iterator[str]:
    for target in targets:
        if target.secret:
            yield f"{target.path} holds the client key: only you can read it (0600)"
    for name in client.rivals:
        if env.get(name):
            yield f"{name} is set in this shell, and counts for more than the file: unset it"
    if found.url.startswith("http://") and urlsplit(found.url).hostname not in {"127.0.0.1", "localhost", "::1"}:
        yield f"{found.url} is plain http: the client key and all that is asked can be read on the way"
    if found.url.startswith("https://"):
        yield f"the certificate of {found.url} must be for that name, and one that {client.title} trusts"
    if client.note:
        yield client.note
