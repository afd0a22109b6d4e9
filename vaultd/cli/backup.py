"""`vaultd backup`: everything that a new machine needs but the root key, in one file that only a recovery key opens.

The pages come sealed, from a daemon or from the folder; the index over them is sealed here.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Any

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask
from vaultd.cli.files import public_key, write_new


@click.command()
@click.option("--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="A new file (0600).")
@click.option(
    "--to",
    metavar="KEY.jwk",
    type=click.Path(path_type=Path),
    help="Seal it for this public key (P-256), not for the vault's recovery keys.",
)
@terminal.json_option
@click.pass_context
def backup(ctx: click.Context, out: Path, to: Path | None, as_json: bool) -> None:
    """Seal credentials, client keys, configuration, manifests and prices to a recovery key."""
    from vaultd.vault import backup as format_  # noqa: PLC0415 - start-up time

    args: dict[str, Any] = {"id": secrets.token_hex(8), "after": ""}
    if to is not None:
        args["recipient"] = public_key(to)
    lines: dict[str, list[str]] = {}
    while True:
        page = ask(ctx, "backup", args)
        lines |= {row["name"]: row["lines"] for row in page["data"]}
        if not page["more"]:
            break
        args["after"] = page["data"][-1]["name"]
    keys = format_.recipients(page["recipients"])
    head = format_.index(lines, args["id"], keys, made_at=time.time())
    write_new(
        out, "".join(f"{line}\n" for line in (*head, *(one for parts in lines.values() for one in parts))).encode()
    )
    kinds = [name.partition("/")[0] for name in lines]
    told = {
        "id": args["id"],
        "out": str(out),
        "recipients": [str(key.kid) for key in keys],
        "credentials": kinds.count("credential"),
        "client_keys": kinds.count("client-key"),
        "files": [name for name in lines if name.partition("/")[0] not in {"credential", "client-key"}],
        "left_out": page["left_out"],
    }
    for row in told["left_out"]:
        terminal.chat(f"not in the backup: {row['file']}: {row['reason']}; next: {row['action']}")
    if told["left_out"]:
        terminal.chat("the backup is whole but for these: back up again once they can be used")
    if as_json:
        terminal.out_json(told)
        return
    files = ", ".join(told["files"]) or "no configuration"
    terminal.out(f"backup {told['id']}: {told['credentials']} credentials, {told['client_keys']} client keys, {files}")
    terminal.chat(f"opened by: {', '.join(told['recipients'])}; the root key is not in it, and none is needed")
    terminal.chat("a login that is renewed after this makes its copy here old: back up again, and often")
