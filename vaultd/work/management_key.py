"""The management key in the configuration: a plain one becomes its bcrypt hash, in the file if that can be written.

Whoever reads the file, a backup of it or this process's memory later finds nothing that opens the house.
"""

from __future__ import annotations

import bcrypt
import msgspec

from vaultd.config.model import Config


def is_hash(secret: str) -> bool:
    """Whether this is bcrypt's output, by its form alone, as CLIProxyAPI tells it."""
    return secret.startswith(("$2a$", "$2b$", "$2y$"))


def is_plain(config: Config) -> bool:
    secret = config.remote_management.secret_key
    return bool(secret) and not is_hash(secret)


def hashed(config: Config) -> Config:
    """The same with the hash in its place. Takes a quarter of a second."""
    rules = config.remote_management
    secret = bcrypt.hashpw(rules.secret_key.encode(), bcrypt.gensalt()).decode()
    return msgspec.structs.replace(config, remote_management=msgspec.structs.replace(rules, secret_key=secret))
