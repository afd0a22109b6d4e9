"""A vendor's whole answer, and its output items as parts: what a stream comes to as well.

Nothing here raises for a member of an unexpected type; it is absent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire import signature
from vaultd.wire.failing import refused
from vaultd.wire.ir import Answer, Call, Citation, Compaction, Media, Opaque, Part, Reason, Search, Text, Thinking
from vaultd.wire.names import Names
from vaultd.wire.openai_responses.tools_in import full_name
from vaultd.wire.refusal import Refusal
from vaultd.wire.usage import Usage

Said = dict[str, Any]

#: Items that are calls of the client's tools, and the member that holds what is said to the tool.
CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input"}
#: A status at which an answer has come to its end; `complete` was recorded of a vendor.
ENDED: Final = frozenset({"completed", "complete", "incomplete"})
BROKEN: Final = frozenset({"failed", "cancelled"})
_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_answer(body: bytes, names: Names) -> Answer:
    """Raises Refusal: the vendor's own where it failed, else 502."""
    try:
        said = msgspec.json.decode(body)
    except _NOT_JSON:
        raise Refusal(502, "upstream", "the vendor's answer is not JSON") from None
    if not isinstance(said, dict):
        raise Refusal(502, "upstream", "the vendor's answer is not as documented")
    status = text(said, "status") or "completed"
    if status in BROKEN or said.get("error"):
        raise refused(body)
    if status not in ENDED or not isinstance(said.get("output"), list):
        raise Refusal(502, "upstream", "the vendor's answer is not as documented")
    answer = Answer(id=text(said, "id"), model=text(said, "model"), created=number(said, "created_at"))
    for at, item in enumerate(said["output"]):
        if isinstance(item, dict):
            answer.parts += parts_of(item, names, answer.id, at)
    answer.reason = reason_of(said, status, called=any(type(part) is Call for part in answer.parts))
    answer.usage = usage_of(said)
    answer.tier = text(said, "service_tier")
    return answer


#: Without a reason it is the length, which is by far the most frequent one.
_CUT: Final[dict[str, Reason]] = {"": "length", "max_output_tokens": "length", "content_filter": "filter"}


def reason_of(response: Said, status: str, *, called: bool) -> Reason:
    if status == "incomplete":
        return _CUT.get(text(mapping(response, "incomplete_details"), "reason"), "other")
    return "tool" if called else "stop"


def usage_of(response: Said) -> Usage | None:
    said = mapping(response, "usage")
    if not said:
        return None
    given, made = mapping(said, "input_tokens_details"), mapping(said, "output_tokens_details")
    return Usage(
        number(said, "input_tokens"),
        number(said, "output_tokens"),
        number(given, "cached_tokens"),
        number(made, "reasoning_tokens"),
        number(given, "cache_write_tokens"),
    )


def parts_of(item: Said, names: Names, answer_id: str, at: int) -> list[Part]:
    """The parts of the whole item at place `at`; none where it holds nothing."""
    kind = text(item, "type")
    if kind == "message":
        return [part for part in map(text_of, mappings(item, "content")) if part is not None]
    if kind == "reasoning":
        thinking = thinking_of(item)
        return [thinking] if thinking.text or thinking.signature else []
    if kind in CALLS:
        call = call_of(item, names, answer_id, at)
        if not call.name and not call.arguments:
            return []
        call.name = call.name or placeholder(at)
        return [call]
    part = other_of(item, kind)
    return [part] if part is not None else []


def text_of(part: Said) -> Text | None:
    """A content part of a message."""
    if text(part, "type") == "refusal":
        said = text(part, "refusal")
        return Text(said, refusal=True) if said else None
    said = text(part, "text")
    return Text(said, citations=citations_of(part)) if said else None


def thinking_of(item: Said) -> Thinking:
    """All of what a reasoning item shows: the parts of its summary, then raw thoughts, a blank line between them."""
    said = [text(part, "text") for part in (*mappings(item, "summary"), *mappings(item, "content"))]
    sealed, redacted = signature.unredacted(text(item, "encrypted_content"))
    sealed = signature.carry(sealed, "openai-responses")
    return Thinking("\n\n".join([part for part in said if part]), sealed, redacted)


def placeholder(at: int) -> str:
    """The name of a call that nobody named."""
    return f"tool_{at}"


def call_of(item: Said, names: Names, answer_id: str, at: int) -> Call:
    """`name` is empty where the item has none yet."""
    kind = text(item, "type")
    name = full_name(text(item, "name"), text(item, "namespace")) if text(item, "name") else ""
    return Call(
        text(item, "call_id") or text(item, "id") or f"call_{answer_id}_{at}",
        names.restore(name),
        text(item, CALLS.get(kind, "arguments")),
        "custom" if kind == "custom_tool_call" else "function",
    )


def other_of(item: Said, kind: str) -> Part | None:
    """What comes whole: it is of no use before its item is done."""
    if kind == "web_search_call":
        return _search(item)
    if kind == "image_generation_call":
        data = text(item, "result")
        return Media(kind="image", mime=f"image/{text(item, 'output_format') or 'png'}", data=data) if data else None
    if kind == "compaction":
        content = text(item, "encrypted_content")
        return Compaction(content, id=text(item, "id").removeprefix("cmp_")) if content else None
    return Opaque("openai-responses", kind, item) if kind else None


def _search(item: Said) -> Search:
    action = mapping(item, "action")
    query = text(action, "query") or next((q for q in array(action, "queries") if isinstance(q, str)), "")
    if not query:  # xAI tells it as a call's arguments
        try:
            arguments = msgspec.json.decode(text(item, "arguments") or "{}")
        except _NOT_JSON:
            arguments = None
        query = text(arguments, "query") if isinstance(arguments, dict) else ""
    found = [Citation(url=text(source, "url")) for source in mappings(action, "sources") if text(source, "url")]
    kept = {"openai-responses": action} if text(action, "type") not in ("", "search") else {}
    return Search(text(item, "id").removeprefix("ws_"), query, found, kept)


def citations_of(part: Said) -> list[Citation]:
    return [citation for said in mappings(part, "annotations") if (citation := citation_of(said)) is not None]


def citation_of(said: Said) -> Citation | None:
    """A file that is cited has no address, but a name."""
    url, title = text(said, "url"), text(said, "title") or text(said, "filename")
    if not url and not title:
        return None
    start, end = said.get("start_index"), said.get("end_index")
    return Citation(
        url=url,
        title=title,
        start=start if type(start) is int else None,
        end=end if type(end) is int else None,
    )


def text(said: Said, name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def number(said: Said, name: str) -> int:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if 0 <= value < 2**63 else 0


def mapping(said: Said, name: str) -> Said:
    value = said.get(name)
    return value if isinstance(value, dict) else {}


def array(said: Said, name: str) -> list[Any]:
    value = said.get(name)
    return value if isinstance(value, list) else []


def mappings(said: Said, name: str) -> list[Said]:
    return [value for value in array(said, name) if isinstance(value, dict)]
