"""Files that a command writes or reads for a person: new ones only, shut to others, on the disk when it returns."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from vaultd.errors import Misconfigured

#: An RSA key of 8192 bits has 7 kB with its private half.
_KEY_LIMIT: Final = 16 * 1024


def write_new(path: Path, data: bytes, *, like: os.stat_result | None = None) -> None:
    """Raises Misconfigured where the file exists, or cannot be made; half a file does not stay. `like`: whose mode and
    owner it gets."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be made: {error.strerror}") from error
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if like is not None:
                if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(fd, like.st_uid, like.st_gid)
                os.fchmod(fd, like.st_mode & 0o777)
            os.fsync(fd)
        sync(path.parent)
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Misconfigured(f"{path} cannot be written: {error.strerror}") from error
        raise


def sync(folder: Path) -> None:
    """What was made or removed in it is so after a crash of the machine too, where the file system can say that."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def public_key(path: Path) -> dict[str, Any]:
    """A JWK from a file. What may stand in it the verb decides; a private one is refused before it goes anywhere."""
    jwk = _jwk(path)
    if "d" in jwk:
        raise Misconfigured(f"{path} is a private key: give its public part, which has no member `d`")
    return jwk


def private_key(path: Path) -> dict[str, Any]:
    """`-` is stdin: a private key comes by no argument."""
    jwk = _jwk(path)
    if "d" not in jwk:
        raise Misconfigured(f"{path} is no private key: it has no member `d`")
    return jwk


def _jwk(path: Path) -> dict[str, Any]:
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(_KEY_LIMIT + 1)
        else:
            with path.open("rb") as file:
                data = file.read(_KEY_LIMIT + 1)
        jwk = json.loads(data) if len(data) <= _KEY_LIMIT else None
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError):
        jwk = None
    if not isinstance(jwk, dict):
        raise Misconfigured(f"{path}: is no JWK (RFC 7517)")
    return jwk
