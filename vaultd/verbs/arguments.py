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


def number(args: Mapping[str, Any], name: str, *, least: int, most: int) -> int | None:
    """None where it is not given."""
    value = args.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most):
        raise Misconfigured(f"{name}: a whole number from {least} to {most} is expected")
    return value


def texts(args: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """None where it is not given. Texts that are empty count for nothing, so that one of them makes an empty list."""
    value = args.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Misconfigured(f"{name}: a list of texts is expected")
    return tuple(dict.fromkeys(item.strip() for item in value if item.strip()))


def secret(args: Mapping[str, Any], name: str) -> Secret:
    return Secret(text(args, name))
