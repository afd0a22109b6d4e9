"""The root key, the keyring, the folders and the sealed files in them: whether what was saved can be read again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vaultd.errors import Misconfigured
from vaultd.vault.envelope import FILE_LIMIT, TOKEN
from vaultd.work.health.codes import FAULTS, Finding, found
from vaultd.work.health.seen import House


def root_key(house: House) -> Iterator[Finding]:
    root = house.keyring.root
    if root.warning:
        yield found("key-in-environment", root.warning)
    if root.created:
        yield found("key-new", f"a new root key was made: {root.source}; nothing else opens the credentials")


def next_start(house: House) -> Iterator[Finding]:
    """A daemon has its key in memory, and nobody would notice that the file is gone before it ends."""
    if house.daemon is None:
        return
    try:
        house.keyring.as_found()
    except Misconfigured as error:
        code = error.code if error.code in FAULTS else "key-unreadable"
        yield found(code, f"{error}; this daemon goes on with the key it has, but none can start")
    except OSError:
        return  # the keyring: its folder's own finding


def recovery(house: House) -> Iterator[Finding]:
    try:
        recovery = house.keyring.as_found().recovery
    except (Misconfigured, OSError):
        return  # `next_start` says so
    if not recovery:
        yield found("recovery-missing", "no recovery key: a lost root key loses every login")


def folders(house: House) -> Iterator[Finding]:
    keyring = house.keyring
    shut = dict.fromkeys([*keyring.credentials.warnings, *keyring.files.warnings, *keyring.clients.warnings])
    yield from (found("folder-open", says) for says in shut)
    for folder in dict.fromkeys((house.owner.folder, keyring.files.folder, _existing(house.places.state_dir))):
        if not os.access(folder, os.W_OK | os.X_OK):
            yield found("folder-unwritable", f"{folder} cannot be written", subject=str(folder))


def sealed_files(house: House) -> Iterator[Finding]:
    return (finding for _, finding in refused(house))


def refused(house: House) -> Iterator[tuple[str, Finding]]:
    """Files of the folder that are not used, by name."""
    for file, reason in sorted(house.owner.refused().items()):
        says, _, action = reason.partition("; next: ")
        code, subject = _code(house, file), str(house.owner.folder / file)
        if code == "file-plaintext":  # its owner may name its mode, which an import has no use for
            says, action = "not sealed, so not loaded", ""
        if code == "rolled-back":  # its owner names two ways: the first is always safe
            subject, action = file.removesuffix(".json"), action.partition(", or ")[0]
        yield file, found(code, f"{file}: {says}", subject=subject, action=action)


def _code(house: House, file: str) -> str:
    """Which of the reasons it is. Read again: few files are refused, and their owner keeps the words alone."""
    try:
        data, _ = house.keyring.credentials.read(file)
        house.keyring.open(data, typ=TOKEN, name=file)
    except Misconfigured as error:
        in_clear = error.code == "file-open" and not _looks_sealed(house.owner.folder / file)
        return "file-plaintext" if in_clear else error.code
    except OSError:
        return "file-unreadable"
    return "rolled-back"  # sound, and refused all the same


def _looks_sealed(file: Path) -> bool:
    """Of a regular file that is open to others: what to do about its mode depends on what was open."""
    with file.open("rb") as opened:
        return b'"ciphertext"' in opened.read(FILE_LIMIT)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there: in that one it would be made."""
    return next(part for part in (folder, *folder.parents) if part.exists())
