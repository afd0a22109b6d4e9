"""Writes docs/commands.md and docs/vaultd.1 from the commands themselves, so that none is described twice: `make docs`.

One page for all commands, where click-man makes one for each and knows no exit codes, files or environment. What stands
here beside the commands is what belongs to no single one of them.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from vaultd.cli.ask import Call
from vaultd.cli.main import cli

COMMANDS_PAGE: Final = Path("docs/commands.md")
MANUAL: Final = Path("docs/vaultd.1")

#: As `cli.main` returns them; a test holds the two together.
EXIT_CODES: Final[Mapping[int, str]] = {
    0: "Done.",
    1: "`doctor`, `audit verify`: something was found.",
    2: "The command line is wrong.",
    3: "The person or the vendor refused: access denied, an expired code, a login that needs a person.",
    4: "Timed out waiting.",
    5: "The callback port is taken, and no other way in was possible.",
    6: "The vendor or the network failed, or something is to be tried again later.",
    70: "A fault of vaultd's own; please report it.",
    78: "The configuration or the source of the root key is wrong; one line says which.",
    130: "Interrupted.",
    141: "Whoever read the output went away before its end (`| head`).",
}
_FILES: Final[Mapping[str, str]] = {
    "~/.config/vaultd/config.yaml": "The configuration; none at all is fine. See `vaultd config show`.",
    "~/.config/vaultd/root.key": "The root key, made at the first start unless another source gives one. Back it up.",
    "~/.config/vaultd/providers/": "Manifests of further vendors.",
    "~/.local/state/vaultd/auth/": "Credentials, one sealed file each, and the keyring below `.vault`.",
    "~/.local/state/vaultd/": "Usage, request log, audit log, commit journal.",
    "$XDG_RUNTIME_DIR/vaultd/admin.sock": "Where commands find the daemon.",
    "/run/vaultd/admin.sock": "The same, of the daemon that systemd runs.",
}
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "VAULTD_CONFIG": "The configuration file, unless `--config` names one.",
    "VAULTD_ROOT_KEY": "The root key. A file or a systemd credential is better: any process of the user can read this.",
    "CREDENTIALS_DIRECTORY": "systemd's; the root key is `vaultd-root` in there.",
    "CONFIGURATION_DIRECTORY, STATE_DIRECTORY, RUNTIME_DIRECTORY": "systemd's folders, before the XDG ones.",
    "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR": "The folders of a person's own daemon.",
    "MANAGEMENT_PASSWORD": "A key for the management API, beside the configured one; opens it to other machines too.",
    "MANAGEMENT_STATIC_PATH": "A `management.html` of your own in place of the panel.",
}
_EXAMPLES: Final[Mapping[str, str]] = {
    "vaultd demo": "See the whole job on a pretend vendor.",
    "vaultd login --codex --no-browser": "Sign in without a browser here: the address opens anywhere.",
    "vaultd serve": "Run the daemon.",
    "vaultd keys get default": "The key that clients present.",
    "vaultd doctor": "Is all well? If not, what to do.",
}
#: On every command, so told once.
_EVERYWHERE: Final = {"--help", "--config"}
#: click's mark of a paragraph that stays as it is.
_VERBATIM: Final = "\b\n"


@dataclass(frozen=True)
class Entry:
    """One command as the pages tell it."""

    path: str
    usage: str
    says: list[str]
    options: list[tuple[str, str]]


def entries() -> Iterator[Entry]:
    # An empty environment: the page is about the shipped vendors, not about those of whoever writes it.
    call = Call(env={"HOME": "/nonexistent"}, serve=_never)
    top = cli.make_context("vaultd", [], resilient_parsing=True, obj=call, max_content_width=100)
    yield from _below(cli, top)


async def _never(*_: object) -> None: ...


def _below(group: click.Group, ctx: click.Context) -> Iterator[Entry]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if command.hidden:
            continue
        own = command.make_context(name, [], parent=ctx, resilient_parsing=True)
        yield _entry(command, own)
        if isinstance(command, click.Group):
            yield from _below(command, own)


def _entry(command: click.Command, ctx: click.Context) -> Entry:
    told = [param for param in command.get_params(ctx) if not _EVERYWHERE & set(param.opts)]
    records = [record for param in told if (record := param.get_help_record(ctx)) is not None]
    pieces = [piece for piece in command.collect_usage_pieces(ctx) if records or piece != "[OPTIONS]"]
    return Entry(
        ctx.command_path,
        " ".join([ctx.command_path, *pieces]),
        [part for part in inspect.cleandoc(command.help or "").partition("\f")[0].split("\n\n") if part.strip()],
        [record for record in records if record[1]],
    )


# ---- docs/commands.md

_HEAD: Final = """\
# Commands

<!-- Generated from the commands of vaultd/cli by `make docs`; edit there. -->

Every command takes `--help`, and `--config FILE` for another configuration than
[the usual one](configuration.md). Results go to stdout, everything else to stderr; `--json` prints a result for
programs. No secret is an argument: where one must be given, it is read from stdin.

The same is a manual page: `man vaultd`, or where that finds none, `man -l` and the `share/man/man1/vaultd.1` of the
environment that vaultd is installed in. A shell completes all this once it has read what `vaultd completion bash`
(`zsh`, `fish`) prints.
"""


def page() -> str:
    lines = [_HEAD]
    for entry in entries():
        lines += [f"{'#' * entry.path.count(' ')}# {entry.path}", "", "```", entry.usage, "```", ""]
        for part in entry.says:
            lines += ["```", *part.splitlines()[1:], "```", ""] if part.startswith(_VERBATIM) else [_flowed(part), ""]
        if entry.options:
            lines += ["| option | |", "|---|---|"]
            lines += [f"| `{_cell(names)}` | {_cell(says)} |" for names, says in entry.options]
            lines.append("")
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {_cell(meaning)} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(lines) + "\n"


def _flowed(part: str) -> str:
    return " ".join(part.split())


def _cell(text: str) -> str:
    return _flowed(text).replace("|", "\\|")


# ---- docs/vaultd.1, in the man macros that groff and mandoc both read (man(7))


def manual() -> str:
    lines = [
        '.\\" Generated from the commands of vaultd/cli by `make docs`; edit there.',
        '.TH VAULTD 1 "" vaultd "User Commands"',
        ".SH NAME",
        "vaultd \\- one local address for LLM subscriptions and keys",
        ".SH SYNOPSIS",
        ".B vaultd",
        "COMMAND [OPTIONS] [ARGUMENTS]",
        ".SH DESCRIPTION",
        _roff(
            "One local address for all LLM subscriptions and keys. Every command takes `--help`, and `--config FILE` "
            "for another configuration than the usual one. Results go to stdout, everything else to stderr; `--json` "
            "prints a result for programs. No secret is an argument: where one must be given, it is read from stdin."
        ),
        ".SH COMMANDS",
    ]
    for entry in entries():
        lines.append(f".SS {_plain(entry.usage)}")
        for number, part in enumerate(entry.says):
            lines += [".PP"] if number else []
            lines += (
                [".nf", *map(_plain, part.splitlines()[1:]), ".fi"] if part.startswith(_VERBATIM) else [_roff(part)]
            )
        for names, says in entry.options:
            lines += [".TP", f".B {_plain(names)}", *([_roff(says)] if says else [])]
    lines += _listed("EXIT STATUS", {str(code): meaning for code, meaning in EXIT_CODES.items()})
    lines += [*_listed("FILES", _FILES), *_listed("ENVIRONMENT", _ENVIRONMENT), *_listed("EXAMPLES", _EXAMPLES)]
    lines += [
        ".SH NOTES",
        _roff("Linux is where it is run and tested; macOS is untested, Windows is not supported."),
        ".SH SEE ALSO",
        ".BR systemd (1),",
        ".BR systemd\\-creds (1)",
    ]
    return "\n".join(lines) + "\n"


def _listed(heading: str, rows: Mapping[str, str]) -> list[str]:
    lines = [f".SH {heading}"]
    for name, says in rows.items():
        lines += [".TP", f".B {_plain(name)}", _roff(says)]
    return lines


def _roff(text: str) -> str:
    """One paragraph in lines that groff and mandoc like; what stands between backticks is bold."""
    lines = textwrap.wrap(_flowed(text), 78, break_long_words=False, break_on_hyphens=False)
    return re.sub(r"`([^`]+)`", r"\\fB\1\\fR", "\n".join(map(_plain, lines)))


def _plain(text: str) -> str:
    r"""No character of it is a request: `\`, a hyphen that is to be copied, a dot or quote at a line's start."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    COMMANDS_PAGE.write_text(page())
    MANUAL.write_text(manual())
