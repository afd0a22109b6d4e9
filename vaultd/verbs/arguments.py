"""Reads a verb's arguments: wrong ones are a clear refusal, for a verb can be called by any program on the socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vaultd.errors import Misconfigured
from vaultd.secret import Secret


def text(args: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Required where there is no default."""
    value = args.get(name, default)
    if not isinstance(value, str) or (default is None and not value):
        raise Misconfigured(f"{name}: a text is expected")
    return value


def flag(args: Mapping[str, Any], name: str) -> bool:
    value = args.get(name, False)
    if not isinstance(value, bool):
        raise Misconfigured(f"{name}: true or false is expected")
    return value


def secret(args: Mapping[str, Any], name: str) -> Secret:
    return Secret(text(args, name))
