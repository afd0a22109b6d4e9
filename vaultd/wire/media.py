"""What images, sounds and documents are called on the wire: data URLs, mime types, OpenAI's audio formats.

No format says the same as another here: a data URL; mime and base64 apart; a bare extension. Content is never read.
"""

from __future__ import annotations

import base64
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote_to_bytes

from vaultd.wire.ir import Media

#: For names and URLs without a mime type: the kinds that one of the vendors takes.
_BY_EXTENSION: Final = MappingProxyType(
    {
        "png": "image/png",
        "jpg": "image/jpeg",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "webp": "image/webp",
        "heic": "image/heic",
        "heif": "image/heif",
        "bmp": "image/bmp",
        "svg": "image/svg+xml",
        "wav": "audio/wav",
        "mp3": "audio/mpeg",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "opus": "audio/opus",
        "aac": "audio/aac",
        "m4a": "audio/mp4",
        "aiff": "audio/aiff",
        "mp4": "video/mp4",
        "mpeg": "video/mpeg",
        "mpg": "video/mpeg",
        "mov": "video/quicktime",
        "webm": "video/webm",
        "avi": "video/x-msvideo",
        "pdf": "application/pdf",
        "json": "application/json",
        "xml": "application/xml",
        "rtf": "application/rtf",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "txt": "text/plain",
        "md": "text/markdown",
        "csv": "text/csv",
        "html": "text/html",
        "htm": "text/html",
        "css": "text/css",
        "js": "text/javascript",
        "py": "text/x-python",
    }
)

#: OpenAI's `input_audio.format`; any other is the mime's second half.
_AUDIO_MIMES: Final = MappingProxyType({"mp3": "audio/mpeg", "m4a": "audio/mp4", "pcm16": "audio/pcm"})
_AUDIO_FORMATS: Final = MappingProxyType(
    {"mpeg": "mp3", "mpga": "mp3", "mp4": "m4a", "wave": "wav", "vnd.wave": "wav", "pcm": "pcm16"}
)


def split_data_url(url: str) -> tuple[str, str] | None:
    """Mime type and base64 of a data URL (RFC 2397); None for any other URL. Percent-encoded content becomes base64.

    Of the mime's parameters only sound keeps its own: raw samples are nothing without their rate.
    """
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    mime, *parameters = [piece.strip() for piece in head.split(";")]
    if parameters and parameters[-1].lower() == "base64":
        parameters.pop()
        if "%" in data:
            data = unquote_to_bytes(data).decode("ascii", "ignore")
    else:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    mime = mime.lower() or "text/plain"
    if mime.startswith("audio/"):
        mime = ";".join((mime, *parameters))
    return mime, data


def data_url(media: Media) -> str:
    """A data URL of `media.data`."""
    return f"data:{media.mime or 'application/octet-stream'};base64,{media.data}"


def audio_format(mime: str) -> str:
    """OpenAI's name of a sound: `audio/mpeg` is `mp3`."""
    name = mime.partition(";")[0].rpartition("/")[2].lower().removeprefix("x-")
    return _AUDIO_FORMATS.get(name, name)


def audio_mime(name: str) -> str:
    """The mime type of OpenAI's `input_audio.format`."""
    return _AUDIO_MIMES.get(name.lower(), f"audio/{name.lower()}")


def mime_of(name: str) -> str:
    """The mime type that a file's name or a URL's path ends in; "" where that tells nothing."""
    last = name.partition("?")[0].partition("#")[0].rpartition("/")[2]
    _, dot, extension = last.rpartition(".")
    return _BY_EXTENSION.get(extension.lower(), "") if dot else ""
