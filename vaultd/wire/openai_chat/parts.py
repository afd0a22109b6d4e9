"""What messages and answers share, both ways: a message's members, images, citations, a call's signature."""

from __future__ import annotations

from typing import Any, NamedTuple

from vaultd.wire import signature
from vaultd.wire.ir import Call, Citation, Media, Part, Text, Thinking
from vaultd.wire.media import data_url, mime_of, split_data_url


class Spread(NamedTuple):
    """An assistant's parts by the member of a message that they stand in."""

    #: Texts, and all that has no member of its own.
    content: list[Part]
    reasoning: list[Thinking]
    refusal: list[Text]
    images: list[Media]
    tool_calls: list[Call]


def spread(parts: list[Part]) -> Spread:
    found = Spread([], [], [], [], [])
    for part in parts:
        if isinstance(part, Call):
            found.tool_calls.append(part)
        elif isinstance(part, Thinking):
            found.reasoning.append(part)
        elif isinstance(part, Text) and part.refusal:
            found.refusal.append(part)
        elif isinstance(part, Media) and part.kind == "image" and (part.data or part.url):
            found.images.append(part)
        else:
            found.content.append(part)
    return found


def located(media: Media, url: str) -> Media:
    """`media` with what the URL says: its content and type if it is a data URL."""
    split = split_data_url(url)
    if split is None:
        media.url, media.mime = url, media.mime or mime_of(url)
    else:
        media.mime, media.data = split
    return media


def url_of(media: Media) -> str:
    """Empty where there is neither content nor URL."""
    return data_url(media) if media.data else media.url


def image_of(item: Any) -> Media | None:
    """An entry of `images`, or an `image_url` part; None where it holds no URL."""
    said = item.get("image_url") if isinstance(item, dict) else None
    url, detail = (said.get("url"), said.get("detail")) if isinstance(said, dict) else (said, None)
    if not isinstance(url, str) or not url:
        return None
    return located(Media(kind="image", detail=detail if isinstance(detail, str) else ""), url)


def image_told(media: Media) -> dict[str, Any]:
    said = {"url": url_of(media)}
    if media.detail:
        said["detail"] = media.detail
    return {"type": "image_url", "image_url": said}


def citations_of(annotations: Any, start: int = 0) -> list[Citation]:
    """URL citations alone, their places counted from `start`."""
    found: list[Citation] = []
    for item in annotations if isinstance(annotations, list) else ():
        said = item.get("url_citation") if isinstance(item, dict) else None
        if isinstance(said, dict) and isinstance(said.get("url"), str):
            found.append(
                Citation(
                    url=said["url"],
                    title=_text(said.get("title")),
                    quote=_text(said.get("content")),
                    start=_place(said.get("start_index"), start),
                    end=_place(said.get("end_index"), start),
                )
            )
    return found


def citation_told(citation: Citation, start: int, end: int) -> dict[str, Any]:
    """`start` and `end`: where the cited text stands in the answer; all of it is meant where no place is known."""
    said: dict[str, Any] = {
        "url": citation.url,
        "title": citation.title,
        "start_index": start if citation.start is None else start + citation.start,
        "end_index": end if citation.end is None else start + citation.end,
    }
    if citation.quote:
        said["content"] = citation.quote
    return {"type": "url_citation", "url_citation": said}


def signature_of(call: dict[str, Any]) -> str:
    """Google's `extra_content.google.thought_signature`, in the words in which it travels."""
    content = call.get("extra_content")
    google = content.get("google") if isinstance(content, dict) else None
    sealed = google.get("thought_signature") if isinstance(google, dict) else None
    return signature.carry(sealed, "gemini") if isinstance(sealed, str) else ""


def signature_told(sealed: str) -> dict[str, Any]:
    return {"google": {"thought_signature": sealed}}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _place(value: Any, start: int) -> int | None:
    return max(value - start, 0) if type(value) is int else None
