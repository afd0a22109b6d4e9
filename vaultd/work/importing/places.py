"""Where each program keeps its login, and the files as they are read: by the person who types the command, or by the
daemon where it may look.

A vendor's program says by an environment variable that its folder is elsewhere (Codex CODEX_HOME, Claude Code
CLAUDE_CONFIG_DIR; both 2026).
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vaultd.errors import Misconfigured
from vaultd.work.importing import claude_code, codex_lb, gemini_cli

#: CLIProxyAPI's largest token file has 8 kB, a sealed one of ours ends at 48 KiB; Claude Code keeps logins of MCP
#: servers beside its own (THR-18).
FILE_LIMIT: Final = 64 * 1024
#: A bundle of codex-lb with a hundred accounts, whose tokens have 2 kB each; a daemon takes 1 MiB at once.
_BUNDLE_LIMIT: Final = 768 * 1024
#: Claude Code's `.claude.json` holds the history of every project; of it one member is read.
_COMPANION_LIMIT: Final = 32 * 1024 * 1024
#: More than any folder of a person's; an import of one is a single request to the daemon.
_MOST_FILES: Final = 1000
#: How a file is called while its login is taken over.
ASIDE: Final = ".importing"
_SUFFIXES: Final = frozenset({".json", ".yaml", ".yml", ASIDE})


@dataclass(frozen=True, slots=True)
class Place:
    """`folder` below the home, unless the environment variable `env` names another; `file` in it, or all of it."""

    folder: str
    file: str = ""
    env: str = ""


PLACES: Final[Mapping[str, Place]] = {
    "cliproxyapi": Place(".cli-proxy-api"),
    "codex": Place(".codex", "auth.json", "CODEX_HOME"),
    "claude-code": Place(".claude", ".credentials.json", "CLAUDE_CONFIG_DIR"),
    "gemini-cli": Place(".gemini", "oauth_creds.json"),
    "qwen-code": Place(".qwen", "oauth_creds.json"),
    "iflow": Place(".iflow", "oauth_creds.json"),
}
#: Where the login is, if it is not in the file: what to type to get it into one.
_ELSEWHERE: Final = {
    "claude-code": "on macOS it is in the keychain: (umask 077; security find-generic-password -s 'Claude"
    " Code-credentials' -w > claude.json), then vaultd credentials import claude.json",
    "codex": 'with cli_auth_credentials_store = "keyring" it is in the keychain: set it to "file" and sign in again',
    "gemini-cli": "a newer Gemini CLI keeps it in the keychain; sign in here instead: vaultd login --gemini",
}


def default(format_: str, env: Mapping[str, str]) -> Path:
    """Raises Misconfigured where the format has no place of its own, or the home is not known."""
    place = PLACES.get(format_)
    if place is None:
        raise Misconfigured(f"{format_} has no place of its own: name the file")
    given = env.get(place.env, "") if place.env else ""
    if not given and not env.get("HOME"):
        raise Misconfigured("there is no HOME: name the file", code="home-missing")
    folder = Path(given) if given else Path(env["HOME"]) / place.folder
    return folder / place.file if place.file else folder


def listed(path: Path) -> list[Path]:
    """The files that an import of `path` reads: itself, or each credential file of the folder (none below it). What an
    import that was interrupted left aside is read too."""
    if not path.is_dir():
        left = sorted(path.parent.glob(f"{glob.escape(path.name)}.*{ASIDE}"))
        return left if left and not path.exists() else [path, *left]
    files = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    if len(files) > _MOST_FILES:
        raise Misconfigured(f"{path}: has more than {_MOST_FILES} files: import them one by one")
    return files


def place_of(aside: Path) -> Path:
    """Where a file stood that was set aside: `auth.json` of `auth.json.1a2b3c4d.importing`."""
    return aside.with_name(aside.name.removesuffix(ASIDE).rpartition(".")[0])


def text_of(file: Path, format_: str = "") -> str:
    """Raises Misconfigured with why it cannot be read, and where else the login may be."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_BUNDLE_LIMIT + 1)
    except FileNotFoundError:
        hint = f"; {_ELSEWHERE[format_]}" if format_ in _ELSEWHERE else ""
        raise Misconfigured(f"{file}: is not there{hint}") from None
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read: {error.strerror}") from error
    limit = _BUNDLE_LIMIT if codex_lb.BUNDLE.encode() in data else FILE_LIMIT
    if len(data) > limit:
        raise Misconfigured(f"{file}: is larger than {limit // 1024} KiB, so it is no credential file")
    return data.decode(errors="replace")


def companions(file: Path) -> dict[str, str]:
    """What lies beside the file and says whose it is, by name; of a large one only the member that does."""
    found = {name: text for name, text in _beside(file.parent) if text}
    if claude_code.COMPANION not in found:
        # Claude Code's own default: `~/.claude.json` beside the folder `~/.claude`.
        found |= {name: text for name, text in _beside(file.parent.parent) if text and name == claude_code.COMPANION}
    return found


def _beside(folder: Path) -> Iterator[tuple[str, str]]:
    for name, member in ((claude_code.COMPANION, claude_code.COMPANION_MEMBER), (gemini_cli.COMPANION, "")):
        try:
            if not (folder / name).is_file():  # a pipe would be waited for
                continue
            with (folder / name).open("rb") as opened:
                data = opened.read(_COMPANION_LIMIT + 1)
            value = json.loads(data) if len(data) <= _COMPANION_LIMIT else None
        except (OSError, ValueError, RecursionError):
            continue  # it only adds a name
        if isinstance(value, dict):
            text = json.dumps({member: value.get(member)} if member else value)
            yield name, text if len(text) <= FILE_LIMIT else ""
