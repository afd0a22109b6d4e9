"""The files of the service: which there are, where each goes, with which paths, and whether one is as we wrote it.

What is shipped in `systemd/` names `/opt/vaultd`; what is written names where this vaultd really is. The first line of
each written file holds a hash of the rest: who finds another hash knows that a person has changed the file, and that it
is neither to be replaced nor removed without a word.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from vaultd.errors import Misconfigured

#: `current`: as this vaultd would write it. `old`: as another vaultd wrote it. `edited`: by somebody else, or changed.
#: `masked`: switched off, as `systemctl mask` does it, which cannot where a unit lies in /etc.
State = Literal["absent", "current", "old", "edited", "masked"]

_SHIPPED_PREFIX: Final = "/opt/vaultd"
_MARK: Final = re.compile(r"# Written by `vaultd service install`; changes go in a drop-in\. sha256:([0-9a-f]{64})\n")
#: Where `ProtectHome=` leaves nothing to be seen.
_HOMES: Final = ("/home", "/root", "/run/user")
#: Prefixes with a shell and tools in them.
_SHARED: Final = (Path("/"), Path("/usr"), Path("/usr/local"))
#: Spaces part words, % and $ are specifiers and variables, quotes and backslashes are read too (systemd.syntax(7)).
_PLAIN: Final = re.compile(r"[A-Za-z0-9/._+@:~-]+")
_SYSTEM: Final[Mapping[str, str]] = {
    "vaultd.service": "/etc/systemd/system/vaultd.service",
    "vaultd.socket": "/etc/systemd/system/vaultd.socket",
    "vaultd-admin.socket": "/etc/systemd/system/vaultd-admin.socket",
    "vaultd-login@.service": "/etc/systemd/system/vaultd-login@.service",
    "sysusers.conf": "/etc/sysusers.d/vaultd.conf",
    "tmpfiles.conf": "/etc/tmpfiles.d/vaultd.conf",
}
_USER: Final = ("vaultd.service", "vaultd.socket", "vaultd-admin.socket")


@dataclass(frozen=True, slots=True)
class Installation:
    """Where this vaultd is: what the units start, and what they must be able to execute."""

    program: Path
    python: Path
    prefix: Path
    #: The interpreter's own, where its libraries are.
    base: Path

    @classmethod
    def found(cls) -> Installation:
        """Raises Misconfigured where there is no program to start."""
        program = Path(sysconfig.get_path("scripts")) / "vaultd"
        if not program.is_file():
            raise Misconfigured(f"{program} is not there: install vaultd with pip, pipx or uv, and run that one")
        return cls(program, Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix))

    def in_a_home(self) -> Path | None:
        """What of it a system service could not see."""
        package = Path(__file__).parents[2]
        places = [*(self.program, self.python, self.prefix, self.base, package)]
        resolved = [place.resolve() for place in places]
        return next((place for place in resolved if any(place.is_relative_to(home) for home in _HOMES)), None)

    def into(self, shipped: str) -> str:
        """A unit with the paths of this installation. Raises Misconfigured for one that systemd would misread."""
        for place in (self.program, self.python, *self._executed()):
            if not _PLAIN.fullmatch(str(place)):
                raise Misconfigured(
                    f"{str(place)!r} has characters that a unit reads otherwise: install vaultd in a folder like "
                    f"{_SHIPPED_PREFIX}, whose name has letters, digits and . _ - alone"
                )
        text = shipped.replace(f"{_SHIPPED_PREFIX}/bin/vaultd", str(self.program))
        text = text.replace(f"{_SHIPPED_PREFIX}/bin/python3", str(self.python))
        return text.replace(_SHIPPED_PREFIX, " ".join(map(str, self._executed())))

    def _executed(self) -> list[Path]:
        """Beside the interpreter and the system's libraries, which the units name. All of /usr would be every tool."""
        own = self.program if self.prefix in _SHARED else self.prefix
        return list(dict.fromkeys([own, *([self.base] if self.base not in _SHARED else [])]))


class File:
    """One of them."""

    def __init__(self, path: Path, wanted: str) -> None:
        self.path = path
        self._wanted = wanted

    def state(self) -> State:
        try:
            if self.path.is_symlink() and self.path.resolve() == Path(os.devnull):
                return "masked"
            text = self.path.read_text()
        except FileNotFoundError:
            return "absent"
        except (OSError, UnicodeDecodeError):  # no file, or none of ours
            return "edited"
        mark, rest = _MARK.match(text), _MARK.sub("", text, count=1)
        if rest == self._wanted:
            return "current"
        return "old" if mark is not None and mark[1] == _hash(rest) else "edited"

    def write(self) -> None:
        """Whole or not at all; for everybody to read, as systemd's files are."""
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        mark = f"# Written by `vaultd service install`; changes go in a drop-in. sha256:{_hash(self._wanted)}\n"
        try:
            if not self.path.parent.exists():
                self.path.parent.mkdir(parents=True)
                self.path.parent.chmod(0o755)  # our umask would keep everybody but root out of /etc/sysusers.d
            beside.write_text(mark + self._wanted)
            beside.chmod(0o644)
            beside.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise Misconfigured(f"{self.path} cannot be written: {error.strerror}") from error


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def files(installation: Installation, *, user_folder: Path | None) -> list[File]:
    """Those of the system's service, or of one person's whose `~/.config/systemd/user` is given."""
    shipped = _shipped_folder()
    if user_folder is not None:
        wanted = {shipped / "user" / name: user_folder / name for name in _USER}
    else:
        wanted = {shipped / name: Path(place) for name, place in _SYSTEM.items()}
    return [File(place, installation.into(source.read_text())) for source, place in wanted.items()]


def _shipped_folder() -> Path:
    """Inside the wheel, else the checkout's folder (an editable install has no copy)."""
    packaged = Path(__file__).parents[2] / "_systemd"
    return packaged if packaged.is_dir() else packaged.parents[1] / "systemd"
