"""What Google found on the web for an answer, and which words of it rest on that.

Google counts in bytes of UTF-8 over all of an answer's text, the representation in characters of one block.
"""

from __future__ import annotations

from typing import Any

from vaultd.wire.ir import Citation, Search

Raw = dict[str, Any]


def search_of(grounding: Raw, number: int) -> Search | None:
    """None where no search was made."""
    queries = [query for query in _listed(grounding.get("webSearchQueries")) if isinstance(query, str)]
    found = [Citation(url=url, title=title) for url, title in _chunks(grounding) if url]
    if not queries:
        return None
    return Search(f"search_{number}", "\n".join(queries), found)


def citations_of(grounding: Raw, text: str, before: int) -> list[Citation]:
    """Those in `text`, which has `before` bytes of the answer in front of it."""
    chunks = _chunks(grounding)
    data = text.encode()
    cited: list[Citation] = []
    for support in _listed(grounding.get("groundingSupports")):
        segment = support.get("segment") if isinstance(support, dict) else None
        if not isinstance(segment, dict):
            continue
        place = _place(segment, data, before)
        for index in _listed(support.get("groundingChunkIndices")):
            if isinstance(index, int) and 0 <= index < len(chunks):
                url, title = chunks[index]
                cited.append(Citation(url=url, title=title, start=place[0], end=place[1]))
    return cited


def sources_of(metadata: Raw, text: str, before: int) -> list[Citation]:
    """`citationMetadata`: what the model recited, which is also under `citationSources`."""
    cited: list[Citation] = []
    for one in _listed(metadata.get("citations") or metadata.get("citationSources")):
        if isinstance(one, dict) and isinstance(url := one.get("uri"), str):
            title = one.get("title")
            start, end = _place(one, text.encode(), before)
            cited.append(Citation(url=url, title=title if isinstance(title, str) else "", start=start, end=end))
    return cited


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _chunks(grounding: Raw) -> list[tuple[str, str]]:
    """URL and title; of what is not from the web perhaps neither. Every chunk keeps its place."""
    chunks: list[tuple[str, str]] = []
    for chunk in _listed(grounding.get("groundingChunks")):
        source = next((one for one in chunk.values() if isinstance(one, dict)), {}) if isinstance(chunk, dict) else {}
        url, title = source.get("uri"), source.get("title")
        chunks.append((url if isinstance(url, str) else "", title if isinstance(title, str) else ""))
    return chunks


def _place(segment: Raw, data: bytes, before: int) -> tuple[int | None, int | None]:
    """Google leaves out a start of 0."""
    start, end = segment.get("startIndex", 0), segment.get("endIndex")
    if not isinstance(start, int) or not isinstance(end, int):
        return None, None
    start, end = start - before, end - before
    if not 0 <= start <= end <= len(data):
        return None, None
    return len(data[:start].decode(errors="ignore")), len(data[:end].decode(errors="ignore"))


def grounding_of(searches: list[Search], cited: list[tuple[int, str, list[Citation]]]) -> Raw:
    """`groundingMetadata`. `cited`: of each text the bytes before it, itself and its citations."""
    chunks: dict[tuple[str, str], int] = {}
    for search in searches:
        for found in search.found:
            chunks.setdefault((found.url, found.title), len(chunks))
    supports: list[Raw] = []
    for before, text, citations in cited:
        for citation in citations:
            index = chunks.setdefault((citation.url, citation.title), len(chunks))
            segment: Raw = {}
            if citation.start is not None and citation.end is not None:
                segment["startIndex"] = before + len(text[: citation.start].encode())
                segment["endIndex"] = before + len(text[: citation.end].encode())
                segment["text"] = text[citation.start : citation.end]
            elif citation.quote:
                segment["text"] = citation.quote
            supports.append({"segment": segment, "groundingChunkIndices": [index]})
    grounding: Raw = {}
    queries = [query for search in searches for query in search.query.split("\n") if query]
    if queries:
        grounding["webSearchQueries"] = queries
    if chunks:
        grounding["groundingChunks"] = [{"web": {"uri": url, "title": title}} for url, title in chunks]
    if supports:
        grounding["groundingSupports"] = supports
    return grounding
