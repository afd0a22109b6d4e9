"""Request bodies: read, inflated and counted on the way, so that a bomb stops at the limit and not at its end.

THR-13 and THR-15: the limit holds for the inflated bytes, and all bodies together have one too. How slow a body may be
is `server.slow`'s word.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Final

import zstandard
from aiohttp import web

from vaultd.wire.refusal import Refusal

#: Codex and Gemini CLI were seen to send 9 MB with one image; the largest context there is fits (THR-13).
BODY_LIMIT: Final = 64 * 1024 * 1024
#: All bodies being read and relayed at once: four of the largest.
IN_FLIGHT: Final = 256 * 1024 * 1024
#: What every decoder must take (RFC 8878 §3.1.1.1.2); more memory than that is a hostile frame's wish.
_ZSTD_WINDOW: Final = 8 * 1024 * 1024
_STEP: Final = 1024 * 1024


class Bodies:
    """How many bytes of bodies are held now."""

    def __init__(self, limit: int = IN_FLIGHT) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        if self.held + size > self._limit:
            raise Refusal(503, "too-large", "too many large requests at once: ask again in a moment", retry_after=1)
        self.held += size

    def give(self, size: int) -> None:
        self.held -= size


class Held:
    """What one request holds of it, to be given back once: when its answer begins, or when it has none."""

    def __init__(self, bodies: Bodies, size: int) -> None:
        self._bodies, self._size = bodies, size

    def give(self) -> None:
        self._bodies.give(self._size)
        self._size = 0


async def read(request: web.Request, bodies: Bodies) -> bytes:
    """The whole body, inflated. What was taken from `bodies` is `len` of it, and the caller's to give back.

    Raises Refusal: 413 above the limit, 415 for a coding nobody here speaks, 400 for one that is broken.
    """
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding not in _PLAIN and coding not in _CODINGS:
        raise Refusal(415, "bad-request", f"Content-Encoding {coding[:40]!r} is not spoken here: zstd, gzip or none")
    content = request.content
    body = await content.readany()
    bodies.take(len(body))
    if not content.at_eof():
        body = await _rest(request, body, bodies)
    return body if coding in _PLAIN else _inflated(body, coding, bodies)


async def _rest(request: web.Request, first: bytes, bodies: Bodies) -> bytes:
    pieces, size = [first], len(first)
    try:
        if (request.content_length or 0) > BODY_LIMIT:
            raise _too_large()
        while piece := await request.content.readany():
            bodies.take(len(piece))
            size += len(piece)
            pieces.append(piece)
            if size > BODY_LIMIT:
                raise _too_large()
    except BaseException:
        bodies.give(size)
        raise
    return b"".join(pieces)


def _inflated(packed: bytes, coding: str, bodies: Bodies) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        for piece in _CODINGS[coding](packed):
            bodies.take(len(piece))
            size += len(piece)
            pieces.append(piece)
            if size > BODY_LIMIT:
                raise _too_large()
    except (zlib.error, zstandard.ZstdError, EOFError):
        bodies.give(size)
        raise Refusal(400, "bad-request", f"the request body is not sound {coding}") from None
    except Refusal:
        bodies.give(size)
        raise
    finally:
        bodies.give(len(packed))
    return b"".join(pieces)


def _too_large() -> Refusal:
    return Refusal(413, "too-large", f"the request body is larger than {BODY_LIMIT // 2**20} MiB")


def _zlib(packed: bytes) -> Iterator[bytes]:
    """gzip or zlib framing, told apart by its head (RFC 9110 §8.4.1.2 and .3)."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    while not inflater.eof:
        piece = inflater.decompress(packed, _STEP)
        packed = inflater.unconsumed_tail
        if not piece and not packed and not inflater.eof:
            raise EOFError
        yield piece


def _zstd(packed: bytes) -> Iterator[bytes]:
    inflater = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    with inflater.stream_reader(io.BytesIO(packed), read_across_frames=True) as reader:
        while piece := reader.read(_STEP):
            yield piece


_PLAIN: Final = frozenset({"identity", ""})
_CODINGS: Final = {"gzip": _zlib, "x-gzip": _zlib, "deflate": _zlib, "zstd": _zstd}
