"""`vaultd connect`: a client's own settings, written so that it asks this daemon; `--undo` takes back just that."""

from __future__ import annotations

import click

from vaultd.cli.ask import call_of


@click.command()
@click.argument("client", required=False)
@click.option(
    "--models", multiple=True, metavar="SLOT=MODEL,…", help="Which model each of the client's slots asks for."
)
@click.option("--print", "show", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--undo", is_flag=True, help="Take back what was written.")
@click.option("--url", default="", help="A daemon elsewhere; its client key is read from stdin.")
@click.option("--code-assist", is_flag=True, help="Gemini CLI by its Code Assist endpoint, in place of Gemini's API.")
@click.pass_context
def connect(
    ctx: click.Context, client: str | None, models: tuple[str, ...], show: bool, undo: bool, url: str, code_assist: bool
) -> None:
    """Point CLIENT at this daemon: claude-code, codex, gemini-cli, opencode or qwen-code. Without CLIENT: how each
    stands.

    A slot is what the client calls one of its models: opus, sonnet, haiku and fable of Claude Code, small of opencode;
    a model without a slot is the one it begins with.
    """
    from vaultd.cli.connect import act  # noqa: PLC0415 - start-up time of every other command

    env = call_of(ctx).env
    if undo and (models or url or code_assist):
        raise click.UsageError("--undo takes no other word than --print")
    if client is None:
        act.overview(env)
    elif undo:
        act.undo(env, client, show=show)
    else:
        act.write(ctx, client, act.Words(models, url, code_assist), show=show)
