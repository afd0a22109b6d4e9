"""The command line's root: which commands exist, `--config` on each of them, and which error is which exit code.

A command's module is imported only when that command runs, so that `vaultd --help` stays fast and a command that
fails to import breaks nobody else. No command's own work in here.
"""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from vaultd import errors, version_line
from vaultd.cli import completion, terminal
from vaultd.cli.ask import Call, Serve

#: Command → what `vaultd --help` says of it. The module is `vaultd.cli.<command>`, its click object `<command>`.
COMMANDS: Final[Mapping[str, str]] = {
    "serve": "Run the daemon.",
    "login": "Sign in to a vendor.",
    "logout": "Forget a credential here; --everywhere also revokes it at the vendor.",
    "status": "One screen: daemon, credentials, expiry, what needs a person.",
    "credentials": "List, add, renew, switch off, remove and import credentials.",
    "keys": "The keys that clients present to this daemon.",
    "models": "Which models can be asked for.",
    "connect": "Point Claude Code, Codex, Gemini CLI, opencode or Qwen Code at this daemon; --undo takes it back.",
    "token": "A short-lived access token of a login, or a client key, for programs that ask for one.",
    "providers": "The vendors known, and where each value came from.",
    "vault": "Root key, key rotation and recovery.",
    "config": "Check and show the configuration.",
    "doctor": "Run every check and name one next action for each.",
    "health": "Is the daemon alive, or with --ready able to serve? The exit code says so.",
    "logs": "What the daemon has been saying.",
    "audit": "Who changed what: show the audit log, and prove that nobody touched it.",
    "backup": "Seal everything that a new machine needs to a recovery key.",
    "restore": "Put a backup back.",
    "service": "Install, remove and check the systemd units.",
    "completion": "What a shell reads to complete vaultd's words.",
    "demo": "The whole job on a pretend vendor, no account needed.",
}

#: The only table of exit codes; the most special class first.
EXIT_CODES: Final[tuple[tuple[type[errors.VaultdError], int], ...]] = (
    (errors.Misconfigured, 78),
    (errors.SignInRequired, 3),
    (errors.TimedOut, 4),
    (errors.PortTaken, 5),
    (errors.TryLater, 6),
    (errors.UpstreamRefused, 6),
    (errors.ProtocolError, 6),
)
USAGE: Final = 2
#: sysexits.h EX_SOFTWARE: our own fault.
INTERNAL: Final = 70
#: 128 + SIGINT, what a shell expects of an interrupted program.
INTERRUPTED: Final = 130
#: 128 and SIGPIPE's number, what a shell expects of a program whose reader went away (`| head`).
READER_GONE: Final = 141


def exit_code(error: errors.VaultdError) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), INTERNAL)


class LazyGroup(click.Group):
    """Imports a command's module when the command is asked for, gives each command and sub-command `--config`, and lets
    a shell complete the arguments that are named alike."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"vaultd.cli.{cmd_name}"), cmd_name)
        _accept_config(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [CompletionItem(name, help=says) for name, says in COMMANDS.items() if name.startswith(incomplete)]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _accept_config(command: click.Command) -> None:
    if not any(param.name == "config" for param in command.params):
        command.params.append(_config_option())
    for param in command.params:
        if isinstance(param, click.Argument) and param.type is click.STRING:
            param.type = completion.NAMED.get(str(param.name), click.STRING)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            _accept_config(below)


def _config_option() -> click.Option:
    return click.Option(
        ["--config"],
        metavar="FILE",
        expose_value=False,
        callback=_remember_config,
        help="The configuration file to use.",
    )


def _remember_config(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.find_object(Call).config = value  # type: ignore[union-attr]


def _tell_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        terminal.out(version_line())
        ctx.exit()


@click.group(
    cls=LazyGroup,
    params=[_config_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Show version and commit.",
)
def cli() -> None:
    """Signs in to LLM vendors, keeps the tokens sealed, renews them ahead of expiry, and relays to them."""


def run(argv: Sequence[str], *, serve: Serve) -> int:
    """Runs one command line and returns its exit code. An error is one line on stderr, never a traceback (THR-28)."""
    terminal.complete()
    call = Call(env=dict(os.environ), serve=serve, words=tuple(argv))
    if completion.VARIABLE in os.environ:
        return completion.answer(cli, call)
    try:
        result: Any = cli.main(args=list(argv), prog_name="vaultd", standalone_mode=False, obj=call)
    except errors.VaultdError as error:
        terminal.complain(str(error))
        return exit_code(error)
    except click.Abort:
        terminal.complain("interrupted")
        return INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        terminal.chat_text(error.format_message())
        return USAGE
    except click.ClickException as error:
        terminal.complain(error.format_message(), hint=_usage_hint(error))
        return USAGE
    except SystemExit:
        # All that click means by it here; its 1 would say that something is to be done (`doctor`).
        terminal.abandon_stdout()
        return READER_GONE
    except Exception as error:  # noqa: BLE001 - the last line of defence: a message may quote a secret, so only the place is told
        terminal.complain(f"internal error: {type(error).__name__} at {_place(error)}; please report it")
        return INTERNAL
    return result if isinstance(result, int) else 0


def _usage_hint(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"see: {ctx.command_path} --help" if ctx is not None else ""


def _place(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "vaultd" in frame.filename]
    return f"{frames[-1].filename.rpartition('vaultd/')[2]}:{frames[-1].lineno}" if frames else "an unknown place"
