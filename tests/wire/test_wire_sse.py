"""Frames come out whole, however the bytes come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire import sse
from vaultd.wire.sse import Frames, data_of, frames_of, rewrite

frame = st.sampled_from(
    [
        b'data: {"a":1}\n\n',
        b": comment\n\n",
        b"event: x\r\ndata: 1\r\ndata: 2\r\n\r\n",
        "data: é\n\n".encode(),
        b"data:no space\n\n",
    ]
)


@given(st.lists(frame, max_size=6), st.binary(max_size=5).filter(lambda rest: b"\n" not in rest), st.data())
def test_any_chunking_gives_the_same_bytes_and_never_half_a_frame(
    frames: list[bytes], rest: bytes, data: st.DataObject
) -> None:
    whole = b"".join(frames)
    text = whole + rest
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=12)))
    reader = Frames()
    out = [reader.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if a != b]
    assert b"".join(out) == whole
    assert reader.rest() == rest
    assert all(piece == b"" or piece.endswith(sse.ENDS) for piece in out)
    assert list(frames_of(whole)) == frames


def test_single_bytes_hold_back_until_the_blank_line() -> None:
    reader = Frames()
    assert [reader.feed(bytes([byte])) for byte in b"data: 1\r\n\r"] == [b""] * 10
    assert reader.feed(b"\n") == b"data: 1\r\n\r\n"


def test_a_frame_without_end_has_an_end() -> None:
    reader = Frames()
    piece = b"x" * (8 * 1024 * 1024)
    for _ in range(sse.FRAME_LIMIT // len(piece)):
        assert reader.feed(piece) == b""
    with pytest.raises(sse.TooLong):
        reader.feed(b"x")


def test_data_lines_are_joined_and_comments_have_none() -> None:
    assert data_of(b"event: x\r\ndata: 1\r\ndata:2\r\n\r\n") == b"1\n2"
    assert data_of(b": keep-alive\n\n") == b""


def test_only_frames_with_the_mark_are_changed() -> None:
    whole = b"data: a\n\nevent: e\ndata: b!\n\ndata: c\n\ndata: d!\n\n"
    assert rewrite(whole, lambda data: data.upper(), b"!") == (
        b"data: a\n\nevent: e\ndata: B!\n\ndata: c\n\ndata: D!\n\n"
    )
    assert rewrite(whole, lambda _: None, b"!") == b"data: a\n\ndata: c\n\n"
    assert rewrite(whole, lambda data: data, b"!") == whole
    assert rewrite(whole, lambda _: None, b"?") is whole


def test_without_a_mark_every_frame_with_data_is_changed() -> None:
    whole = b": hi\n\ndata: a\r\n\r\ndata: b\n\n"
    assert rewrite(whole, lambda data: data * 2) == b": hi\n\ndata: aa\n\ndata: bb\n\n"
    assert rewrite(b"data: x\n\n", lambda _: b"1\n2") == b"data: 1\ndata: 2\n\n"
