"""What was written for a client, kept by the person who had it written: the way back.

`<state>/vaultd/connect/<client>/`: `record.json`, and each file as it was before the first time. Everything 0600 in a
folder 0700, for settings may hold keys. A file is replaced in one step, at the end of its links, with its own mode and
owner.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from vaultd.cli.connect.edit import Odd
from vaultd.cli.connect.plan import FORMATS, Done, Target, applied, stands, undone
from vaultd.errors import Misconfigured

#: A file that holds a client key.
_OWN: Final = 0o600
#: How the name of a file begins that is to take another's place: one is left where the command is killed.
_BESIDE: Final = ".vaultd-"


class Entry(msgspec.Struct, kw_only=True):
    """One file. `backup`: its name beside the record; "" for a file that was not there. `exact`: the file before the
    last time was that of the backup, to the byte."""

    path: str
    format: str
    done: list[Done]
    after: str
    backup: str = ""
    seed: str = ""
    exact: bool = True
    mode: int | None = None
    folders: list[str] = []


class Record(msgspec.Struct, kw_only=True):
    client: str
    url: str
    models: dict[str, str] = {}
    files: list[Entry] = []
    #: Of the time before, until the files of this time are written: whoever is stopped in between has some of each.
    earlier: list[Entry] = []

    def entries(self) -> Iterator[Entry]:
        """What was written, as far as it was."""
        earlier = {real(Path(entry.path)): entry for entry in self.earlier}
        for entry in self.files:
            before = earlier.pop(real(Path(entry.path)), None)
            yield before if before and not _stands(entry) and _stands(before) else entry
        yield from earlier.values()


@dataclass(slots=True)
class Change:
    """A file as it is and as it is to be; None: it is not there."""

    path: Path
    was: bytes | None
    becomes: bytes | None
    entry: Entry | None = None
    #: Where it is to be another than the file's own.
    mode: int | None = None
    #: Edits that stay, for somebody else made something else of them.
    kept: tuple[str, ...] = ()


class Records:
    """Of one person."""

    def __init__(self, env: Mapping[str, str]) -> None:
        state = env.get("XDG_STATE_HOME", "")
        base = Path(state) if state.startswith("/") else home(env) / ".local" / "state"
        self._folder = base / "vaultd" / "connect"

    def place(self, client: str) -> Path:
        return self._folder / client

    def find(self, client: str) -> Record | None:
        try:
            return msgspec.json.decode((self.place(client) / "record.json").read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise Misconfigured(f"{self.place(client) / 'record.json'}: cannot be read: {error}") from None

    def connecting(self, old: Record | None, targets: Sequence[Target]) -> tuple[list[Change], list[Change]]:
        """What is to be written, where `old` is what was written the last time: files that are only left, and those of
        `targets`. Raises Misconfigured, before anything is."""
        before = {change.path: change for change in (self.undoing(old) if old else [])}
        entries = {real(Path(entry.path)): entry for entry in (old.entries() if old else [])}
        changes: list[Change] = []
        for target in targets:
            path = real(target.path)
            undoing, entry = before.pop(path, None), entries.get(path)
            was = undoing.was if undoing else _content(path)
            base = undoing.becomes if undoing else was
            with _named(path):
                text, done = applied(target.format, _text(base) if base is not None else target.seed, target.edits)
            data = text.encode()
            kept = Entry(
                path=str(target.path.absolute()),
                format=target.format,
                done=done,
                after=_digest(data),
                seed=target.seed,
                # By its content: what lies there from another time or of another file is not taken for it.
                backup=entry.backup if entry else ("" if was is None else f"{_digest(was)}-{target.path.name}"),
                exact=entry is None or (entry.exact and was is not None and _digest(was) == entry.after),
                mode=entry.mode if entry else _mode(path),
                folders=entry.folders if entry else [str(folder) for folder in _missing(path)],
            )
            mode = _OWN if target.secret or kept.mode is None else None
            changes.append(Change(path, was, data, kept, mode))
        return list(before.values()), changes

    def undoing(self, record: Record) -> list[Change]:
        changes = []
        for entry in record.entries():
            path = real(Path(entry.path))
            was = _content(path)
            kept: tuple[str, ...] = ()
            if was is None:
                continue
            backup = _content(self.place(record.client) / entry.backup) if entry.backup else None
            if entry.exact and _digest(was) == entry.after and (backup is not None or not entry.backup):
                becomes = backup
            else:
                with _named(path):
                    text, left = undone(entry.format, _text(was), entry.done)
                    gone = not entry.backup and (FORMATS[entry.format].empty(text) or _same(entry, text))
                becomes, kept = None if gone else text.encode(), tuple(".".join(steps) for steps in left)
            changes.append(Change(path, was, becomes, entry, entry.mode, kept))
        return changes

    def standing(self, record: Record) -> bool:
        """Whether all of it is still there."""
        return all(_stands(entry) for entry in record.files)

    def keep(self, record: Record, changes: Sequence[Change]) -> None:
        """Before the files are written: a person who is interrupted has a way back."""
        folder = self.place(record.client)
        with _writing(folder):
            _make(folder)
            folder.chmod(0o700)
        for change in changes:
            entry = change.entry
            if entry and entry.backup and change.was is not None and not (folder / entry.backup).exists():
                replace(folder / entry.backup, change.was, _OWN)
        replace(folder / "record.json", msgspec.json.format(msgspec.json.encode(record), indent=2), _OWN)

    def sweep(self, record: Record) -> None:
        """What a command that was killed left beside the files: it may hold the key."""
        for folder in {real(Path(entry.path)).parent for entry in record.entries()}:
            for left in folder.glob(f"{_BESIDE}{'[0-9a-f]' * 16}"):
                with _writing(left):
                    left.unlink(missing_ok=True)

    def forget(self, client: str) -> None:
        shutil.rmtree(self.place(client), ignore_errors=True)
        with contextlib.suppress(OSError):  # another client's, or a daemon's
            self._folder.rmdir()
            self._folder.parent.rmdir()


def perform(changes: Sequence[Change]) -> None:
    for change in changes:
        if change.becomes is None:
            with _writing(change.path):
                change.path.unlink(missing_ok=True)
            for made in reversed(change.entry.folders if change.entry else []):
                with contextlib.suppress(OSError):  # the client keeps things of its own in it
                    Path(made).rmdir()
        elif change.becomes != change.was or (change.mode is not None and change.mode != _mode(change.path)):
            with _writing(change.path):
                _make(change.path.parent)
            replace(change.path, change.becomes, change.mode)


def replace(path: Path, data: bytes, mode: int | None) -> None:
    """In one step. `mode`: None is the file's own."""
    # Not by the file's name, which may be as long as a name can be.
    beside = path.with_name(_BESIDE + secrets.token_hex(8))
    own = _mode(path)
    wanted = mode if mode is not None else _OWN if own is None else own
    with _writing(path):
        number = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(number, "wb") as file:
                _give(file.fileno(), path.parent if own is None else path)
                os.fchmod(file.fileno(), wanted)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise


def _make(folder: Path) -> None:
    for missing in _missing(folder / "file"):
        missing.mkdir(mode=0o700, exist_ok=True)  # somebody else may make it at the same moment
        _give(missing, missing.parent)


def _give(new: Path | int, like: Path) -> None:
    """To the owner of what it replaces or stands in: by `sudo` it would be root's in a person's home."""
    owner = like.stat()
    if (owner.st_uid, owner.st_gid) != (os.getuid(), os.getgid()):
        with contextlib.suppress(OSError):  # only root gives files away
            os.chown(new, owner.st_uid, owner.st_gid)


def home(env: Mapping[str, str]) -> Path:
    return Path(env["HOME"]) if env.get("HOME") else Path.home()


def real(path: Path) -> Path:
    """Dotfiles may be links into a repository: what they lead to is edited, the links stay."""
    try:
        return path.resolve()
    except RuntimeError:
        raise Misconfigured(f"{path}: its links lead in a circle") from None


def _content(path: Path) -> bytes | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            # A pipe would be waited on, and a device replaced by a file.
            raise Misconfigured(f"{path}: is a pipe or a device, not a file: put a file there")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Odd("it is no UTF-8 text") from None


def _same(entry: Entry, text: str) -> bool:
    form = FORMATS[entry.format]
    return bool(entry.seed) and bool(form.read(text) == form.read(entry.seed))


def _stands(entry: Entry) -> bool:
    try:
        data = _content(real(Path(entry.path)))
        return data is not None and (_digest(data) == entry.after or stands(entry.format, _text(data), entry.done))
    except Odd:
        return False


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _missing(path: Path) -> list[Path]:
    """The folders on the way that are not there, outermost first."""
    return [folder for folder in reversed(path.parents) if not folder.exists()]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except Odd as error:
        raise Misconfigured(f"{path}: {error}; nothing was written") from None


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be written: {error.strerror}") from error
