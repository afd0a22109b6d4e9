"""Server-sent events as bytes: where a frame ends, and what its data is. What the data means is each format's affair.

Frames end at a blank line; CR LF occurs, and a read may hold half a frame or ten (WHATWG HTML §9.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

#: What a whole frame ends with.
ENDS: Final = (b"\n\n", b"\r\n\r\n")
#: A frame larger than this is an attack or a fault (THR-41). Whole images in base64 and a `response.completed` that
#: repeats an answer come in one frame; CLIProxyAPI allowed 20 MB a line, later 50.
FRAME_LIMIT: Final = 64 * 1024 * 1024

#: Only where it ends is asked, so that it may begin with the one character that is searched for at memchr(3)'s speed.
_BLANK: Final = re.compile(rb"\n\r?\n")


class TooLong(ValueError):
    """A frame above `FRAME_LIMIT`."""


class Frames:
    """Gives out whole frames, however the bytes come in, so that nobody ever writes into the middle of one."""

    __slots__ = ("_held", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """The frames that are now whole, as they came; b"" while there is none. Raises TooLong."""
        if not self._held and chunk.endswith(ENDS):
            return chunk
        # A blank line may straddle two reads: look from three bytes before the new ones (CR LF CR).
        seam = b"".join(self._held[-3:])[-3:] if self._held else b""
        end = _last_end(seam + chunk) - len(seam)
        if end <= 0:
            self._size += len(chunk)
            if self._size > FRAME_LIMIT:
                raise TooLong
            self._held.append(chunk)
            return b""
        whole = b"".join((*self._held, chunk[:end]))
        rest = chunk[end:]
        self._held = [rest] if rest else []
        self._size = len(rest)
        return whole

    def rest(self) -> bytes:
        """What came after the last whole frame."""
        return b"".join(self._held)


def _last_end(data: bytes) -> int:
    return max((at + len(end) for end in ENDS if (at := data.rfind(end)) >= 0), default=0)


def data_of(frame: bytes) -> bytes:
    """The frame's data lines, joined (WHATWG HTML §9.2.6); b"" for a comment."""
    lines = [line[5:] for line in frame.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join([line.removeprefix(b" ").removesuffix(b"\r") for line in lines])


def frames_of(whole: bytes) -> Iterator[bytes]:
    """Frames one by one, each with its blank line."""
    at = 0
    for found in _BLANK.finditer(whole):
        yield whole[at : found.end()]
        at = found.end()
    if at < len(whole):
        yield whole[at:]


def rewrite(whole: bytes, change: Callable[[bytes], bytes | None], mark: bytes = b"") -> bytes:
    """`whole` with the data of each frame that holds `mark` changed; b"" is in every one.

    Unchanged data leaves the frame as it came; None takes it out. Frames without the mark are not looked at; the search
    goes from the end, where what is marked mostly stands.
    """
    if not mark:
        return b"".join([_changed(frame, change) for frame in frames_of(whole)])
    out: list[bytes] = []
    end = len(whole)
    while (found := whole.rfind(mark, 0, end)) >= 0:
        start = frame_start(whole, found)
        blank = _BLANK.search(whole, found)
        stop = blank.end() if blank else len(whole)
        out += (whole[stop:end], _changed(whole[start:stop], change))
        end = start
    if not out:
        return whole
    out.append(whole[:end])
    return b"".join(reversed(out))


def frame_start(whole: bytes, at: int) -> int:
    """Where the frame begins that `at` is in."""
    found = whole.rfind(b"\n\n", 0, at)
    start = found + 2 if found >= 0 else 0
    found = whole.rfind(b"\r\n\r\n", start, at)
    return found + 4 if found >= 0 else start


def _changed(frame: bytes, change: Callable[[bytes], bytes | None]) -> bytes:
    data = data_of(frame)
    new = change(data) if data else data
    if new is None:
        return b""
    return frame if new == data else _with_data(frame, new)


def _with_data(frame: bytes, data: bytes) -> bytes:
    """The frame's other lines, then `data`, then the blank line."""
    lines = [line for line in frame.splitlines() if line and not line.startswith(b"data:")]
    return b"\n".join((*lines, *(b"data: " + line for line in data.split(b"\n")), b"", b""))
