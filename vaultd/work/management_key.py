"""The management key in the configuration: a plain one becomes its bcrypt hash, in the file if that can be written.

Whoever reads the file, a backup of it or this process's memory later finds nothing that opens the house.
"""

from __future__ import annotations

from vaultd.config.load import BCRYPT_BYTES


def is_hash(secret: str) -> bool:
    """Whether this is bcrypt's output, by its form alone, as CLIProxyAPI tells it."""
    return secret.startswith(("$2a$", "$2b$", "$2y$"))


def is_plain(secret: str) -> bool:
    """Whether this is a key that `hashed` takes."""
    return bool(secret) and not is_hash(secret) and len(secret.encode()) <= BCRYPT_BYTES


def hashed(secret: str) -> str:
    """Takes a quarter of a second."""
    import bcrypt  # noqa: PLC0415 - start-up time; once in a configuration's life

    return bcrypt.hashpw(secret.encode(), bcrypt.gensalt()).decode()
