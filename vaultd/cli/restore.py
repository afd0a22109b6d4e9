"""`vaultd restore`: a backup comes back, into an empty vault or one in use, sealed by this machine's own keys.

Opened here: the recovery key goes to no daemon, and never stands in argv.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Final

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask
from vaultd.cli.batches import batches
from vaultd.cli.files import private_key

#: A hundred thousand lines of a login each; a larger file is none of ours.
_FILE_LIMIT: Final = 512 * 1024 * 1024
_TEXTS: Final = ("config", "providers", "prices")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--key",
    required=True,
    metavar="RECOVERY.jwk",
    type=click.Path(path_type=Path),
    help="The recovery key's private half; - reads it from stdin.",
)
@click.option("--yes", is_flag=True, help="Do it. Without, it is only said what would be done.")
@terminal.json_option
@click.pass_context
def restore(ctx: click.Context, file: Path, key: Path, yes: bool, as_json: bool) -> None:
    """Put a backup back. What is newer here stays; the configuration comes only where none is."""
    from vaultd.vault import backup  # noqa: PLC0415 - start-up time
    from vaultd.work.backing_up import bounded  # noqa: PLC0415

    sealed = bounded(file, _FILE_LIMIT, "is larger than any backup").decode("ascii", errors="replace")
    opened = backup.open_(sealed, private_key(key))
    members = [{"name": member.name, "data": member.data.decode(errors="replace")} for member in opened.members]
    first = [member for member in members if member["name"].partition("/")[0] in _TEXTS]
    rest = [member for member in members if member not in first]
    rows: list[dict[str, Any]] = []
    # The configuration by itself: it says where the rest belongs.
    for batch in (*batches(first, _length), *batches(rest, _length)):
        rows += ask(ctx, "restore" if yes else "restore.plan", {"members": batch})["data"]
    made = dt.datetime.fromtimestamp(opened.made_at, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    terminal.chat(f"backup {opened.id} of {made}: compare the id with what `vaultd backup` said")
    if any(row["does"] in {"new", "replace"} and row["name"].startswith("credential/") for row in rows):
        terminal.chat(
            "one machine only: where the vaultd that this comes from still runs, stop it first; a login that it has"
            " renewed since the backup is spent here, and presenting it may end that login"
        )
    if keys := [row["what"] for row in rows if row["does"] == "new" and row["name"].startswith("client-key/")]:
        terminal.chat(
            f"client keys that open the daemon again, even if they were deleted after the backup: {', '.join(keys)};"
            " vaultd keys delete"
        )
    if as_json:
        terminal.out_json({"id": opened.id, "made_at": made, "acted": yes, "data": rows})
    else:
        for row in rows:
            terminal.out(_line(row, acted=yes))
    if not yes:
        terminal.chat("nothing was changed; --yes does it")


def _line(row: dict[str, Any], *, acted: bool) -> str:
    words = {
        "new": "restored" if acted else "would restore",
        "replace": "restored over an older one" if acted else "would restore over an older one",
        "here": "is here already",
        "left": "left",
    }[row["does"]]
    return f"{words}: {row['name']} ({row['what']})" + (f": {row['says']}" if row["says"] else "")


def _length(member: dict[str, str]) -> int:
    return len(member["data"])
