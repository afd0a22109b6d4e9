"""The configuration as it may be shown: every default filled in, every secret masked. Never reads a mask back."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from vaultd.config.model import Config

#: Enough to tell two keys apart, and never more than a third of one.
_SHOWN: Final = 4
_SECRET_KEYS: Final = frozenset({"api-key", "api-keys", "secret-key", "client-secret"})


def masked(config: Config) -> dict[str, Any]:
    """Key as in the file → value, in the order of the model."""
    plain: dict[str, Any] = msgspec.to_builtins(config)
    return {key: _masked(key, value) for key, value in plain.items()}


def mask(secret: str) -> str:
    if not secret:
        return ""
    if len(secret) < 6 * _SHOWN:
        return "****"
    return f"{secret[:_SHOWN]}****{secret[-_SHOWN:]}"


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        # A header set by hand is as likely a key as not.
        return {name: _masked("api-key" if key == "headers" else name, member) for name, member in value.items()}
    if isinstance(value, list):
        return [_masked(key, member) for member in value]
    if not isinstance(value, str):
        return value
    if key in _SECRET_KEYS:
        return mask(value)
    if key == "webhook-url":  # who knows its path may post there
        return re.sub(r"(?<=://)(?:[^/@]*@)?([^/?#]*)[/?#].*", r"\1/****", value)
    return re.sub(r"(?<=//)[^/@]*@", "****@", value) if key.endswith("-url") else value
