"""What daemon and keeper say to each other: JSON with its length before it, over a socket pair that nobody else holds.

    near → far   hello, then any number of orders; a ping where an answer takes long
    far → near   ready (or why not), then an answer or an error to each order; a pong to each ping, at once

The root key and, where it could not be saved, a credential travel in here. So no message shows itself.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Final

import msgspec

from vaultd.errors import ProtocolError
from vaultd.work.renewal import Order

#: The largest is a credential, which as a sealed file has at most 80 KiB (`vault.envelope`); a manifest without its
#: models, which an order holds, has 8 KiB.
LIMIT: Final = 256 * 1024

_LENGTH: Final = struct.Struct(">I")


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    def __repr__(self) -> str:
        return type(self).__name__


class Hello(_Message, frozen=True, tag="hello"):
    """Whose keeper this is. `key_file`: where the root key can be read again after a `rekey`, if anywhere.

    `state_dir`, `emergency`: as `vault.owner.Owner` takes them.
    """

    version: str
    folder: str
    state_dir: str
    emergency: list[str]
    root: dict[str, Any]
    source: str
    key_file: str | None = None


class Ask(_Message, frozen=True, tag="order"):
    """`proxy`: the configured one, of this moment; a credential's own wins."""

    n: int
    order: Order
    proxy: str = ""


class Ping(_Message, frozen=True, tag="ping"):
    """A renewal may take long, but a keeper that lives has time for this."""


class Pong(_Message, frozen=True, tag="pong"):
    pass


class Ready(_Message, frozen=True, tag="ready"):
    pass


class Done(_Message, frozen=True, tag="answer"):
    """`plain`: the credential as it is sealed. `unsaved`: why it is in memory only; empty where it is on disk."""

    n: int
    plain: dict[str, Any]
    generation: int
    asked_at: float | None = None
    skew: float | None = None
    unsaved: str = ""


class Failed(_Message, frozen=True, tag="error"):
    """`error`: as `errors.told` says it. `n` 0: the hello was of no use, and the process ends."""

    n: int
    error: dict[str, Any]


FromNear = Hello | Ask | Ping
FromFar = Ready | Pong | Done | Failed

from_near: Final = msgspec.json.Decoder(FromNear)
from_far: Final = msgspec.json.Decoder(FromFar)


def framed(message: FromNear | FromFar) -> bytes:
    body = msgspec.json.encode(message)
    return _LENGTH.pack(len(body)) + body


async def read(reader: asyncio.StreamReader) -> bytes | None:
    """The next message's body; None at the end, wherever in a message it comes. Raises ProtocolError beyond LIMIT."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > LIMIT:
            raise ProtocolError(f"a message of more than {LIMIT} bytes between daemon and keeper")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
