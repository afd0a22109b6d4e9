"""Reads one member of a file that may be hostile (THR-18): of its type, printable, of a sane length, named once.

A refusal names file and member and never quotes what stands there (THR-28).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NoReturn

from vaultd.catalog.models import Catalog
from vaultd.errors import Misconfigured
from vaultd.secret import Secret
from vaultd.vault.credential import Credential

#: Vendors' tokens are JWTs of a few kB at most. A file has four, and what can be sealed ends at 48 KiB.
_LONGEST_TOKEN: Final = 8 * 1024
#: Goes into a header as it is (RFC 6750 §2.1 knows fewer characters; vendors keep to no grammar, but to ASCII).
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
#: Twenty projects with the longest ids that Google allows (30 characters).
_LONGEST_TEXT: Final = 640
#: The year 9999, in milliseconds: what is later is no time.
_LAST_MILLIS: Final = 253_402_300_799_000

Members = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A login or key that a file holds. `dated`: the file says when its tokens were given; else only when they end."""

    credential: Credential
    dated: bool = True


@dataclass(frozen=True, slots=True)
class Around:
    """What a reader needs besides the file. `beside`: texts of the files that lie with it, by their names."""

    catalog: Catalog
    now: float
    beside: Mapping[str, str] = field(default_factory=dict)
    #: What to call an account of which the file names nobody.
    label: str = ""
    #: What opens an export that is sealed by a passphrase.
    passphrase: Secret = field(default_factory=lambda: Secret(""))


def object_of(text: str, name: str) -> Members:
    try:
        value = json.loads(text, object_pairs_hook=partial(_members, name), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Misconfigured(f"{name}: is not JSON") from None
    if not isinstance(value, dict):
        raise Misconfigured(f"{name}: is not a JSON object")
    return value


def _members(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two programs may each read another of two members of one name (RFC 8259 §4)."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Misconfigured(f"{name}: repeats a member")
    return members


def _no_number(constant: str) -> NoReturn:
    raise ValueError(constant)


def section(file: Members, key: str, name: str) -> Members:
    """An object within; empty where there is none."""
    value = file.get(key)
    if value is not None and not isinstance(value, dict):
        raise Misconfigured(f"{name}: {key} is no object")
    return value or {}


def moment(file: Members, key: str, name: str) -> float | None:
    """RFC 3339 with the writer's own zone; Go writes nanoseconds."""
    said = text(file, key, name)
    if not said:
        return None
    try:
        return dt.datetime.fromisoformat(said).astimezone(dt.UTC).timestamp()
    except (ValueError, OverflowError):
        raise Misconfigured(f"{name}: {key} is no RFC 3339 time") from None


def millis(file: Members, key: str, name: str) -> float | None:
    """JavaScript's time: milliseconds since 1970. 0 is what a program writes over a time that has ended."""
    value = file.get(key)
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LAST_MILLIS:
        raise Misconfigured(f"{name}: {key} is no time in milliseconds")
    return value / 1000


def text(file: Members, key: str, name: str, longest: int = _LONGEST_TEXT) -> str:
    value = file.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Misconfigured(f"{name}: {key} is no text")
    stripped = value.strip()
    if len(stripped) > longest or not stripped.isprintable():
        raise Misconfigured(f"{name}: {key} is too long, or holds what cannot be printed")
    return stripped


def secret(file: Members, key: str, name: str) -> Secret | None:
    value = text(file, key, name, _LONGEST_TOKEN)
    if value and not _TOKEN.fullmatch(value):
        raise Misconfigured(f"{name}: {key} holds characters that no token has")
    return Secret(value) if value else None


def ends_at(token: Secret | None) -> float | None:
    """When an access token that is a JWT ends by its own words (RFC 7519 §4.1.4). Decides when it is renewed, no
    more."""
    parts = token.reveal().split(".") if token is not None else []
    if len(parts) != 3:
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    ends = payload.get("exp") if isinstance(payload, dict) else None
    if not isinstance(ends, int | float) or isinstance(ends, bool) or not 0 < ends * 1000 <= _LAST_MILLIS:
        return None
    return float(ends)
