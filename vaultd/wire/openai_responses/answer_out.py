"""An answer as output items and the object around them, for clients of this format.

`openai`'s types ask for more than the documentation does: both details of usage, `logprobs` of a text, the bounds of a
citation. What is there is never null where they have no null.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire import signature
from vaultd.wire.ir import (
    Answer,
    Call,
    Citation,
    Compaction,
    Media,
    Opaque,
    Part,
    Reason,
    Request,
    Search,
    Stamp,
    Text,
    Thinking,
)
from vaultd.wire.loss import Loss
from vaultd.wire.names import tool_named
from vaultd.wire.usage import Usage

Item = dict[str, Any]

#: What an answer says of its request where the client did not: the API's own defaults, but that nothing is stored here.
_DEFAULTS: Final[Item] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
_INCOMPLETE: Final[dict[Reason, str]] = {"length": "max_output_tokens", "filter": "content_filter", "other": "other"}
_TIERS: Final = frozenset({"auto", "default", "flex", "scale", "priority"})
_LONGEST_TOKEN: Final = 40

encode: Final = msgspec.json.Encoder().encode


def write_answer(answer: Answer, request: Request, stamp: Stamp, lost: Loss) -> bytes:
    envelope = Envelope(request, stamp, answer.id, answer.created)
    writer = Items(request, stamp, lost)
    output: list[bytes] = []
    if answer.others:
        lost.add("choices")
    cut = answer.reason in _INCOMPLETE
    for at, part in enumerate(answer.parts):
        last = at == len(answer.parts) - 1
        items = writer.of(part, len(output), "incomplete" if cut and last else "completed")
        output += [encode(item) for item in items]
    return envelope.ended(output, answer.reason, answer.usage, answer.tier)


class Envelope:
    """The response object, its constant members encoded once: a stream repeats it three times, tools and all."""

    def __init__(self, request: Request, stamp: Stamp, answer_id: str, created: int) -> None:
        answer_id = answer_id or stamp.token
        head = {
            "id": answer_id if answer_id.startswith("resp_") else f"resp_{answer_id}",
            "object": "response",
            "created_at": created or stamp.now,
            "error": None,
            "model": request.model,
        }
        said = {name: value for name, value in request.echo.items() if value is not None}
        self._tier = said.pop("service_tier", None)
        self._constant = encode({**head, **_DEFAULTS, **said})[:-1]

    def begun(self) -> bytes:
        tail = {"service_tier": self._tier, "status": "in_progress", "incomplete_details": None, "usage": None}
        return b"".join((self._constant, b",", encode(tail)[1:-1], b',"output":[]}'))

    def ended(self, output: list[bytes], reason: Reason, usage: Usage | None, tier: str) -> bytes:
        """`output`: the encoded items. `tier` is what the vendor says it was."""
        cut = _INCOMPLETE.get(reason)
        tail: Item = {
            "service_tier": tier if tier in _TIERS else self._tier,
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": cut} if cut else None,
            "usage": _usage(usage or Usage()),
        }
        return b"".join((self._constant, b",", encode(tail)[1:-1], b',"output":[', b",".join(output), b"]}"))


def _usage(usage: Usage) -> Item:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.written},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


class Items:
    """Parts as output items, each with an id of its kind that holds for the whole answer."""

    def __init__(self, request: Request, stamp: Stamp, lost: Loss) -> None:
        self._request = request
        self._token = stamp.token[:_LONGEST_TOKEN]
        self._lost = lost
        #: Where each search was told: an id that a vendor gives twice is told once.
        self._searches: dict[str, int] = {}

    def of(self, part: Part, at: int, status: str) -> list[Item]:
        """The items that tell `part`, the first at place `at`."""
        ahead = self.seal(part, at)
        item = self.item(part, at + len(ahead), status)
        return ahead if item is None else [*ahead, item]

    def seal(self, part: Part, at: int) -> list[Item]:
        """Google seals calls and texts, which have no place for it here: it goes ahead, as reasoning that shows
        nothing, and is put back by `items_in`."""
        if isinstance(part, Call | Text) and signature.own(part.signature, "gemini"):
            return [self._reasoning(Thinking("", part.signature), at)]
        return []

    def item(self, part: Part, at: int, status: str) -> Item | None:
        match part:
            case Text():
                return {
                    "id": f"msg_{self._token}_{at}",
                    "type": "message",
                    "status": status,
                    "role": "assistant",
                    "content": [self.content(part)],
                }
            case Thinking():
                return self._reasoning(part, at)
            case Call():
                return self._call(part, at, status)
            case Search():
                return self._search(part, at)
            case Compaction():
                return {
                    "id": f"cmp_{part.id or f'{self._token}_{at}'}",
                    "type": "compaction",
                    "encrypted_content": part.content,
                }
            case Media() if part.kind == "image" and part.data:
                return {
                    "id": f"ig_{self._token}_{at}",
                    "type": "image_generation_call",
                    "status": "completed",
                    "output_format": part.mime.rpartition("/")[2] or "png",
                    "result": part.data,
                }
            case Opaque() if part.format == "openai-responses" and isinstance(part.value, dict):
                return {**part.value, "id": part.value.get("id") or f"item_{self._token}_{at}"}
        self._lost.add(part.kind if isinstance(part, Media | Opaque) else type(part).__name__.lower())
        return None

    def content(self, text: Text) -> Item:
        """The content part of a message."""
        if text.refusal:
            return {"type": "refusal", "refusal": text.text}
        annotations = [note for cited in text.citations if (note := self._annotation(cited, text)) is not None]
        return {"type": "output_text", "text": text.text, "annotations": annotations, "logprobs": []}

    def _annotation(self, cited: Citation, text: Text) -> Item | None:
        if not cited.url:
            self._lost.add("citations")
            return None
        if cited.quote:
            self._lost.add("citations.quote")
        return {
            "type": "url_citation",
            "url": cited.url,
            "title": cited.title,
            "start_index": cited.start or 0,
            "end_index": len(text.text) if cited.end is None else cited.end,
        }

    def _reasoning(self, thinking: Thinking, at: int) -> Item:
        item: Item = {
            "id": f"rs_{self._token}_{at}",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": thinking.text}] if thinking.text else [],
        }
        if thinking.signature:
            item["encrypted_content"] = (
                signature.redacted(thinking.signature) if thinking.redacted else thinking.signature
            )
        return item

    def _call(self, call: Call, at: int, status: str) -> Item:
        tool = tool_named(self._request, call.name)
        namespace = tool.namespace if tool is not None else ""
        custom = call.kind == "custom"
        item: Item = {
            "id": f"{'ctc' if custom else 'fc'}_{self._token}_{at}",
            "type": "custom_tool_call" if custom else "function_call",
            "status": status,
            "call_id": call.id,
            "name": call.name[len(namespace) + 2 :] if namespace else call.name,
            "input" if custom else "arguments": call.arguments or ("" if custom else "{}"),
        }
        if namespace:
            item["namespace"] = namespace
        return item

    def _search(self, search: Search, at: int) -> Item:
        action = search.extra.get("openai-responses")
        if action is None:
            action = {"type": "search", "query": search.query}
            if search.found:
                action["sources"] = [{"type": "url", "url": found.url} for found in search.found]
        known = search.id and self._searches.setdefault(search.id, at) == at
        return {
            "id": f"ws_{search.id if known else f'{self._token}_{at}'}",
            "type": "web_search_call",
            "status": "completed",
            "action": action,
        }
