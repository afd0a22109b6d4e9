"""`vaultd credentials import` and `export`: logins that come from another program, and leave for one.

The files are read here, by the person who may read them; what becomes of them the verb decides. Nothing is done without
`--yes`, and no file of another program is touched without `--remove`: then the login in it goes, once it is sealed
here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from vaultd.cli import originals, terminal
from vaultd.cli.ask import ask, call_of
from vaultd.cli.batches import batches
from vaultd.cli.files import public_key, write_new
from vaultd.errors import Misconfigured

#: As `work.importing.formats` has them; named here so that `--help` need not load the readers.
FORMATS: Final = ("cliproxyapi", "codex", "claude-code", "gemini-cli", "qwen-code", "iflow", "codex-lb")
#: The lists of an answer.
_ROWS: Final = ("logins", "client_keys", "sealed_already", "refused", "stays", "warnings")
#: What an import leaves nothing more to do for: the file's login is here, or a newer one of the same account.
_SETTLED: Final = frozenset({"new", "replace", "here", "older"})

#: {"name", "reason"} of a file.
_Refused = dict[str, str]


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--from", "format_", type=click.Choice(FORMATS), help="Whose it is; without PATH: where it keeps it.")
@click.option("--label", default="", help="A name for an account of which the file names nobody (Qwen, iFlow).")
@click.option("--yes", is_flag=True, help="Do it. Without, it is only said what would be done.")
@click.option("--remove", is_flag=True, help="Take each login out of its file once it is sealed here.")
@terminal.json_option
@click.pass_context
def import_(
    ctx: click.Context, path: Path | None, format_: str | None, label: str, yes: bool, remove: bool, as_json: bool
) -> None:
    """Take over logins of other programs: CLIProxyAPI's folder or config.yaml, and the credential files of Codex,
    Claude Code, Gemini CLI, Qwen Code, iFlow CLI and codex-lb. PATH is a file, or a folder of them."""
    from vaultd.work.importing import places  # noqa: PLC0415 - start-up time

    if path is None and format_ is None:
        raise click.UsageError("name a file or a folder, or whose login it is: --from codex", ctx)
    start = path or places.default(str(format_), call_of(ctx).env)
    files, refused = _files(start, format_ or "", follow=call_of(ctx).env)
    if not files and len(refused) == 1:
        raise Misconfigured(refused[0]["reason"])
    args: dict[str, Any] = {"format": format_ or "", "label": label}
    if any('"codex-lb-account-bundle"' in file["text"] for file in files.values()):
        args["passphrase"] = terminal.ask_line("Passphrase of the codex-lb bundle")
    requests = list(batches(files.values(), _length))
    plan = _joined((ask(ctx, "credentials.import.plan", {**args, "files": batch}) for batch in requests), refused)
    if not yes:
        _show(plan, as_json, remove=remove)
        return
    answers = []
    # Only what will be let go is moved: the folder may be the vault's own, with sealed files that are in use.
    read = {path: files[path]["text"] for path in _done_with(plan)} if remove else {}
    with originals.set_aside(read, format_ or "") as let_go:
        for batch in requests:
            answers.append(ask(ctx, "credentials.import", {**args, "files": batch}))
            let_go.update(_done_with(answers[-1]))
    done = _joined(answers, refused)
    _show(done, as_json, remove=remove, removed=let_go)
    if remove and _done_with(done) - let_go:
        raise Misconfigured("not every login could be taken out of its file, as is said above")


def _length(file: Mapping[str, Any]) -> int:
    return len(file["text"]) + sum(map(len, file["beside"].values()))


def _joined(answers: Iterable[Mapping[str, Any]], refused: list[_Refused]) -> dict[str, Any]:
    """One answer of several; what is said twice is said once."""
    joined: dict[str, Any] = {"acted": False} | {name: [] for name in _ROWS} | {"refused": list(refused)}
    for answer in answers:
        joined["acted"] = answer["acted"]
        for name in _ROWS:
            joined[name] += [row for row in answer[name] if row not in joined[name]]
    return joined


def _files(start: Path, format_: str, follow: Mapping[str, str]) -> tuple[dict[Path, dict[str, Any]], list[_Refused]]:
    """Each file with what lies beside it, and those that cannot be read. A configuration leads to the folder of token
    files that it names."""
    from vaultd.work.importing import cliproxyapi_config, places  # noqa: PLC0415 - start-up time

    try:
        paths = places.listed(start)
    except OSError as error:
        raise Misconfigured(f"{start}: cannot be read: {error.strerror}") from error
    found: dict[Path, dict[str, Any]] = {}
    refused: list[_Refused] = []
    for path in paths:
        try:
            found[path] = {"name": str(path), "text": places.text_of(path, format_), "beside": places.companions(path)}
        except Misconfigured as error:
            refused.append({"name": str(path), "reason": str(error)})
            continue
        if cliproxyapi_config.is_config(path.name):
            folder = _named_folder(path, found[path]["text"], follow)
            known = {one.resolve() for one in paths}
            paths += [file for file in folder if file.resolve() not in known]
    return found, refused


def _named_folder(config: Path, text: str, env: Mapping[str, str]) -> list[Path]:
    """The token files of its `auth-dir`. What is wrong with the configuration itself says whoever reads it."""
    from vaultd.config.load import parse  # noqa: PLC0415 - start-up time
    from vaultd.config.places import expanded  # noqa: PLC0415
    from vaultd.work.importing import places  # noqa: PLC0415

    try:
        named = parse(text, str(config), []).auth_dir
    except Misconfigured:
        return []
    folder = config.parent / expanded(env, named) if named else None
    if folder is None or not folder.is_dir():
        return []
    return [file for file in places.listed(folder) if file.suffix not in {".yaml", ".yml"}]


def _show(answer: Mapping[str, Any], as_json: bool, *, remove: bool, removed: Collection[Path] = frozenset()) -> None:
    acted = answer["acted"]
    for warning in answer["warnings"]:
        terminal.chat(f"take-over: {warning['taken']} Instead of {warning['client']}'s own login: {warning['instead']}")
    if as_json:
        terminal.out_json({**answer, "removed": sorted(map(str, removed))})
    else:
        for row in answer["logins"]:
            terminal.out(_login_line(row, acted=acted))
            for line in _more(row):
                terminal.chat(line)
        for row in answer["client_keys"]:
            words = "is here already" if row["does"] == "here" else ("imported" if acted else "would be imported")
            terminal.out(f"client key {row['alias']} from {row['name']}: {words}")
    for row in answer["sealed_already"]:
        terminal.chat(f"sealed already: {row['name']}")
    for row in answer["stays"]:
        stays = f" ({', '.join(row['keys'])})" if row["keys"] else ""
        folder = any(key.startswith("auth-dir ") for key in row["keys"])
        elsewhere = ", and without auth-dir, or what is sealed is looked for there" if folder else ""
        terminal.chat(
            f"the rest of {row['name']}{stays} starts vaultd as it is: put it at {row['config']}, without the keys that"
            f" are sealed now{elsewhere}"
        )
    for row in answer["refused"]:
        terminal.chat(f"not imported: {row['reason']}")
    files = sorted({row["name"] for row in answer["logins"] if row["does"] in _SETTLED})
    _what_of_the_files(files, acted=acted, remove=remove)
    if answer["refused"]:
        raise Misconfigured(f"{len(answer['refused'])} of the files could not be imported")


def _login_line(row: Mapping[str, Any], *, acted: bool) -> str:
    what = f"{row['provider']} {row['account']}"
    if row["does"] in {"here", "older"}:
        return f"nothing to do: {what} from {row['name']} {row['says']} ({row['id']})"
    words = f"{'imported' if acted else 'would import'}: {what} from {row['name']} -> {row['id']}"
    return f"{words}, {row['says']}" if row["says"] else words


def _more(row: Mapping[str, Any]) -> Iterator[str]:
    if row["does"] in {"here", "older"}:
        return
    if row["renewed_at_first_use"]:
        yield f"{row['id']}: its token expired at {row['expires_at']} and is renewed at its first use"
    if row["named_by_label"] and row["kind"] == "oauth":
        yield f"{row['id']}: the file names nobody; another account of {row['provider']} needs a --label of its own"
    if row["note"]:
        yield f"{row['id']}: {row['note']}"


def _what_of_the_files(files: list[str], *, acted: bool, remove: bool) -> None:
    for file in files:
        if file.endswith((".yaml", ".yml")):
            continue
        if not remove:
            tail = "" if acted else " (with --remove it goes)"
            terminal.chat(f"the login stays in {file} too{tail}; a second program that renews it ends it for both")
        elif not acted:
            terminal.chat(f"would be taken out of {file} once it is sealed here")
    if not acted:
        terminal.chat("nothing was changed; --yes does it")


def _done_with(answer: Mapping[str, Any]) -> set[Path]:
    """Files of which every login is here: nothing else is let go."""
    left = {row["name"] for row in answer["refused"]}
    done = {row["name"] for row in answer["logins"] if row["does"] in _SETTLED and row["format"] != "sealed"}
    return {Path(name) for name in done - left if not name.endswith((".yaml", ".yml"))}


@click.command()
@click.argument("credential", nargs=-1, required=True)
@click.option(
    "--to", required=True, metavar="KEY.jwk", type=click.Path(path_type=Path), help="The receiver's public key."
)
@click.option(
    "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="A new file, one JWE a line."
)
@terminal.json_option
@click.pass_context
def export(ctx: click.Context, credential: tuple[str, ...], to: Path, out: Path, as_json: bool) -> None:
    """Hand logins on as CLIProxyAPI's files, each sealed to the receiver's public key (JWE, RFC 7516).

    The login is the receiver's then: vaultd goes on renewing its own copy until you switch it off."""
    answer = ask(ctx, "credentials.export", {"ids": list(credential), "recipient": public_key(to)})
    lines = [json.dumps(row["jwe"], separators=(",", ":")) for row in answer["data"]]
    write_new(out, "".join(f"{line}\n" for line in lines).encode())
    if as_json:
        told = [{"id": row["id"], "file": row["file"]} for row in answer["data"]]
        terminal.out_json({"recipient": answer["recipient"], "out": str(out), "data": told})
    else:
        for row in answer["data"]:
            terminal.out(f"exported: {row['id']} as {row['file']}, sealed for {answer['recipient']}")
    for row in answer["data"]:
        terminal.chat(f"two programs must not renew one login: vaultd credentials disable {row['id']}, or remove it")
    sys.stdout.flush()
