"""A vendor's compressed answer, inflated as it comes, for a translation that has to read it. What passes untranslated
stays as it is.

THR-16: a bomb stops at the limit: no read of 64 KiB gives out more than a frame may hold.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import zstandard

from vaultd.errors import ProtocolError

#: What one read may inflate to: more than the largest event that is accepted.
_MOST: Final = 64 * 1024 * 1024
#: What every decoder must take (RFC 8878 §3.1.1.1.2).
_ZSTD_WINDOW: Final = 8 * 1024 * 1024


def inflated(read: Callable[[], Awaitable[bytes]], coding: str, host: str) -> Callable[[], Awaitable[bytes]]:
    """`read` with the coding taken off; b"" still means the end. Raises ProtocolError for a coding not spoken here, and
    from then on where the bytes are not what they say."""
    inflate = _inflater(coding.strip().lower(), host)

    async def next_plain() -> bytes:
        while packed := await read():
            try:
                plain = inflate(packed)
            except (zlib.error, zstandard.ZstdError):
                raise ProtocolError(f"{host} sent an answer that is not sound {coding}") from None
            if len(plain) > _MOST:
                raise ProtocolError(f"{host} sent an answer that inflates without end")
            if plain:
                return plain
        return b""

    return next_plain


def _bounded(decompress: Callable[[bytes], bytes], packed: bytes) -> bytes:
    """zstandard's has no limit of its own: a slice of 1 KiB holds 256 blocks of 128 KiB at most (RFC 8878 §3.1.1.2)."""
    pieces, size = [], 0
    for at in range(0, len(packed), 1024):
        pieces.append(decompress(packed[at : at + 1024]))
        size += len(pieces[-1])
        if size > _MOST:
            break
    return b"".join(pieces)


def _inflater(coding: str, host: str) -> Callable[[bytes], bytes]:
    if coding in {"gzip", "x-gzip", "deflate"}:
        inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
        return lambda packed: inflater.decompress(packed, _MOST + 1)
    if coding == "zstd":
        zstd: Any = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj(read_across_frames=True)
        return lambda packed: _bounded(zstd.decompress, packed)
    raise ProtocolError(f"{host} compressed its answer with {coding[:20]!r}: not asked for, and not spoken here")
