"""Media by its names: data URLs, mime types, OpenAI's audio formats."""

from __future__ import annotations

import base64

import pytest

from vaultd.wire.ir import Media
from vaultd.wire.media import audio_format, audio_mime, data_url, mime_of, split_data_url


def test_a_data_url_is_split_and_put_together_again() -> None:
    url = "data:image/png;base64,iVBORw0KGgo="
    split = split_data_url(url)
    assert split == ("image/png", "iVBORw0KGgo=")
    assert data_url(Media(kind="image", mime=split[0], data=split[1])) == url


def test_percent_encoded_content_becomes_base64() -> None:
    mime, data = split_data_url("data:text/plain;charset=utf-8,gr%C3%BC%C3%9Fe%2C%20du") or ("", "")
    assert mime == "text/plain"
    assert base64.b64decode(data).decode() == "grüße, du"
    assert split_data_url("data:image/png;base64,iVBO%2Bw0%3D") == ("image/png", "iVBO+w0=")


def test_a_data_url_without_a_type_is_plain_text() -> None:
    assert split_data_url("DATA:;base64,aGk=") == ("text/plain", "aGk=")


def test_raw_sound_keeps_its_rate() -> None:
    assert split_data_url("data:audio/L16;rate=24000;base64,AAAA") == ("audio/l16;rate=24000", "AAAA")


@pytest.mark.parametrize("url", ["https://example.com/a.png", "data:image/png;base64", "", "file:///etc/passwd"])
def test_other_urls_are_left_alone(url: str) -> None:
    assert split_data_url(url) is None


def test_media_without_a_type_is_bytes() -> None:
    assert data_url(Media(kind="file", data="AAAA")) == "data:application/octet-stream;base64,AAAA"


@pytest.mark.parametrize("name", ["wav", "mp3", "flac", "ogg", "aac", "m4a", "pcm16"])
def test_audio_formats_survive_their_mime(name: str) -> None:
    assert audio_format(audio_mime(name)) == name


def test_audio_has_many_mimes() -> None:
    assert audio_mime("MP3") == "audio/mpeg"
    assert [audio_format(mime) for mime in ("audio/x-wav", "audio/wave", "audio/mp3", "audio/L16;rate=8000")] == [
        "wav",
        "wav",
        "mp3",
        "l16",
    ]


def test_a_name_tells_its_type() -> None:
    assert mime_of("Report.PDF") == "application/pdf"
    assert mime_of("https://example.com/a/b.jpg?size=1.png#x.gif") == "image/jpeg"
    assert mime_of("https://example.com/pdf/") == ""
    assert mime_of("https://example.com/pdf") == ""
    assert mime_of("pdf") == ""
    assert mime_of("") == ""
