"""`vaultd token`: what helpers of other programs run: a token on stdout, everything else on stderr."""

from __future__ import annotations

import click

from vaultd.cli import terminal
from vaultd.cli.ask import ask


@click.command()
@click.argument("provider", required=False)
@click.option("--credential", metavar="ID", default="", help="This login of PROVIDER, not the pool's choice.")
@click.option("--client-key", metavar="KEY", default="", help="Or this client key, by id or alias.")
@terminal.json_option
@click.pass_context
def token(ctx: click.Context, provider: str | None, credential: str, client_key: str, as_json: bool) -> None:
    """Print an access token of a login of PROVIDER, to use at the vendor for a short time. Where little of it is left
    it is renewed first.

    Or, with --client-key, what a program presents to this daemon. For apiKeyHelper and the like: stdout is the token
    and a newline.
    """
    if bool(provider) == bool(client_key) or (client_key and credential):
        raise click.UsageError("either PROVIDER or --client-key is expected")
    args = {"client_key": client_key} if client_key else {"provider": provider, "credential": credential}
    answer = ask(ctx, "token", args)
    if as_json:
        terminal.out_json(answer)
    else:
        terminal.out(answer["token"])
