"""A vendor's compressed answer, inflated as it comes, for a translation that has to read it. What passes untranslated
stays as it is.

THR-16: a bomb stops at the limit: what comes out may be so many times what came in, and no more.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import zstandard

from vaultd.errors import ProtocolError

#: What one may inflate to beyond `_RATIO`: a small answer may well be all blanks.
_ALLOWANCE: Final = 1024 * 1024
#: THR-16. Events that repeat themselves were seen to shrink to a fortieth.
_RATIO: Final = 200
#: What every decoder must take (RFC 8878 §3.1.1.1.2).
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
#: So much is given to zstandard at once: it has no limit of its own, and of 1 KiB at most 256 blocks of 128 KiB come
#: (RFC 8878 §3.1.1.2).
_ZSTD_STEP: Final = 1024
#: RFC 1952 §2.3.1.
_GZIP: Final = b"\x1f\x8b"

#: Packed bytes and how much may come of them → what comes; a little more than that is a bomb.
_Inflate = Callable[[bytes, int], bytes]


def inflated(read: Callable[[], Awaitable[bytes]], coding: str, host: str) -> Callable[[], Awaitable[bytes]]:
    """`read` with the coding taken off; b"" still means the end. Raises ProtocolError for a coding not spoken here, and
    from then on where the bytes are not what they say."""
    inflate = _inflater(coding.strip().lower(), host)
    allowed = _ALLOWANCE

    async def next_plain() -> bytes:
        nonlocal allowed
        while packed := await read():
            allowed += len(packed) * _RATIO
            try:
                plain = inflate(packed, allowed)
            except (zlib.error, zstandard.ZstdError):
                raise ProtocolError(f"{host} sent an answer that is not sound {coding}") from None
            allowed -= len(plain)
            if allowed < 0:
                raise ProtocolError(f"{host} sent an answer that inflates without end")
            if plain:
                return plain
        return b""

    return next_plain


def _inflater(coding: str, host: str) -> _Inflate:
    if coding in {"gzip", "x-gzip"}:
        return _Members().inflate
    if coding == "deflate":
        return _Deflate().inflate
    if coding == "zstd":
        return _zstd()
    raise ProtocolError(f"{host} compressed its answer with {coding[:20]!r}: not asked for, and not spoken here")


class _Members:
    """gzip is one member or several (RFC 1952 §2.2): who compresses event by event makes one of each. What comes after
    the last and is none is nobody's, and not kept."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._done = False

    def inflate(self, packed: bytes, most: int) -> bytes:
        pieces: list[bytes] = []
        while packed and not self._done:
            if self._member.eof:
                self._done = not _GZIP.startswith(packed[:2])
                if self._done:
                    break
                self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            pieces.append(self._member.decompress(packed, most + 1))
            most -= len(pieces[-1])
            if most < 0:
                break
            packed = self._member.unused_data
        return b"".join(pieces)


class _Deflate:
    """zlib's frame around it (RFC 9110 §8.4.1.2), or none, as many servers have it."""

    def __init__(self) -> None:
        self._inflater: Any = None

    def inflate(self, packed: bytes, most: int) -> bytes:
        if self._inflater is None:
            framed = packed[0] & 0x0F == 8 and packed[0] >> 4 <= 7  # RFC 1950 §2.2: CM and CINFO
            self._inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS if framed else -zlib.MAX_WBITS)
        return b"" if self._inflater.eof else self._inflater.decompress(packed, most + 1)


def _zstd() -> _Inflate:
    zstd: Any = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj(read_across_frames=True)

    def inflate(packed: bytes, most: int) -> bytes:
        pieces: list[bytes] = []
        for at in range(0, len(packed), _ZSTD_STEP):
            pieces.append(zstd.decompress(packed[at : at + _ZSTD_STEP]))
            most -= len(pieces[-1])
            if most < 0:
                break
        return b"".join(pieces)

    return inflate
