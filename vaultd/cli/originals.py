"""Another program's own files, while their logins are taken over and after: the only place that touches them.

They stand aside meanwhile, for a sealed file may want the same name in the same folder. Whatever ends the command, no
login is lost: a file comes back, or it lies beside its place as `<name>.<random>.importing`, which the next import
reads as well.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaultd.cli import terminal
from vaultd.cli.files import sync, write_new
from vaultd.errors import Misconfigured


@contextmanager
def set_aside(texts: Mapping[Path, str], format_: str) -> Iterator[set[Path]]:
    """`texts`: what was read of each. The login is taken out of those that are added to the set; the others come back.
    Where that fails it is said, and the file is in the set no longer.

    Raises Misconfigured before anything is done where one of them cannot be moved, or is another than was read: the
    program has renewed its login meanwhile, and the one that was read is spent."""
    from vaultd.work.importing.places import text_of  # noqa: PLC0415 - start-up time

    let_go: set[Path] = set()
    moved: dict[Path, tuple[Path, Path]] = {}
    try:
        for file, text in texts.items():
            if file.resolve() in {place for place, _ in moved.values()}:
                continue  # a link to one of the others
            moved[file] = _aside(file)
            if text_of(moved[file][1], format_) != text:
                raise Misconfigured(
                    f"{file}: was changed while it was read: stop the program that it is of, then again"
                )
        yield let_go
    finally:
        for file, (place, aside) in moved.items():
            try:
                if file in let_go:
                    _without_login(place, aside)
                else:
                    _back(place, aside)
            except (OSError, Misconfigured) as error:
                let_go.discard(file)
                why = error.strerror if isinstance(error, OSError) else str(error)
                terminal.chat(f"left in clear: {aside}: {why}")


def _aside(file: Path) -> tuple[Path, Path]:
    """The file itself, where a link leads, and where it stands meanwhile."""
    from vaultd.work.importing.places import ASIDE, place_of  # noqa: PLC0415 - start-up time

    real = file.resolve()
    if real.suffix == ASIDE:
        return place_of(real), real
    try:
        return real, real.rename(real.with_name(f"{real.name}.{secrets.token_hex(4)}{ASIDE}"))
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be removed ({error.strerror}): nothing was imported") from error


def _back(place: Path, aside: Path) -> None:
    """A program that found its file gone may have written another, which stays."""
    if place.exists():
        raise Misconfigured(f"another {place.name} was written meanwhile, which stays")
    aside.rename(place)


def _without_login(place: Path, aside: Path) -> None:
    """What else the program keeps in the file (Claude Code: logins of MCP servers) comes back, in a file as shut and of
    the same owner."""
    from vaultd.work.importing.formats import FORMATS, recognised  # noqa: PLC0415 - start-up time

    held = json.loads(aside.read_bytes())
    try:
        login = FORMATS[recognised(held, str(place))].login
    except Misconfigured:  # its format was named by the person
        login = ()
    rest = {name: value for name, value in held.items() if name not in login} if login else {}
    if rest and not _holds(place, rest):
        write_new(place, json.dumps(rest, indent=2).encode(), like=aside.stat())
    aside.unlink()
    sync(aside.parent)


def _holds(place: Path, rest: Mapping[str, Any]) -> bool:
    """Whether an import that was interrupted has brought it back already."""
    try:
        return bool(json.loads(place.read_bytes()) == rest)
    except (OSError, ValueError, RecursionError):
        return False
