"""What each client's stream may look like, by the vendors' own protocol pages: a second opinion on what the writers do.

`faults(format, stream)` is what is wrong with a whole stream, in words; nothing where it obeys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from frames import Faults, Frame, frames_in

#: `other`: the vendor gave a reason that no documentation knows.
CHAT_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call", "other"}
CLAUDE_REASONS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
    "other",
}
#: What a Gemini part is; `toolCall` and `toolResponse` are of tools that Google runs itself.
PARTS = {"text", "functionCall", "inlineData", "fileData", "executableCode", "codeExecutionResult", "toolCall"}
PARTS |= {"toolResponse"}
#: Which deltas a content block may get.
CLAUDE_DELTAS = {
    "text": {"text_delta", "citations_delta"},
    "thinking": {"thinking_delta", "signature_delta"},
    "tool_use": {"input_json_delta"},
    "server_tool_use": {"input_json_delta"},
}
CLAUDE_WORDS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
TERMINAL = {"response.completed", "response.incomplete", "response.failed", "error"}
#: A Responses item's deltas, the event that repeats them whole, and the member of it that does.
WHOLE = {
    "response.output_text.delta": ("response.output_text.done", "text"),
    "response.refusal.delta": ("response.refusal.done", "refusal"),
    "response.reasoning_summary_text.delta": ("response.reasoning_summary_text.done", "text"),
    "response.reasoning_text.delta": ("response.reasoning_text.done", "text"),
    "response.function_call_arguments.delta": ("response.function_call_arguments.done", "arguments"),
    "response.custom_tool_call_input.delta": ("response.custom_tool_call_input.done", "input"),
}
IDS = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "web_search_call": "ws_",
    "image_generation_call": "ig_",
}


def faults(fmt: str, stream: bytes) -> list[str]:
    bad = Faults()
    frames = frames_in(stream, bad)
    if not bad:
        _RULES[fmt](frames, bad)
    return bad


# OpenAI chat: A.1.


def _chat(frames: list[Frame], bad: Faults, noun: str = "chat.completion.chunk") -> None:
    chunks = [frame.data for frame in frames]
    bad.where(any(frame.event for frame in frames), "a chunk has an event name")
    failed = bool(chunks) and isinstance(chunks[-1], dict) and "error" in chunks[-1]
    if failed:
        _openai_error(chunks.pop()["error"], bad)
    elif not chunks or chunks.pop() != "[DONE]":
        bad.append("[DONE] is not last")
    if not all(isinstance(chunk, dict) for chunk in chunks):
        bad.append("a chunk is no object, or [DONE] comes twice")
        return
    bad.where(any("error" in chunk for chunk in chunks), "an error that is not last")
    for member in ("id", "created", "model", "object"):
        bad.where(len({chunk.get(member) for chunk in chunks}) > 1, f"{member} changes")
    bad.where(chunks and (chunks[0].get("object") != noun or not chunks[0].get("id")), f"not a {noun} with an id")
    choices = _Choices(bad, legacy=noun == "text_completion")
    for chunk in chunks:
        choices.take(chunk)
    if not failed:
        choices.end()


class _Choices:
    """What every choice has said so far."""

    def __init__(self, bad: Faults, *, legacy: bool) -> None:
        self.bad = bad
        self.legacy = legacy
        self.finished: dict[int, str] = {}
        self.calls: dict[int, list[str]] = {}
        self.begun: set[int] = set()
        self.usage = 0

    def take(self, chunk: dict[str, Any]) -> None:
        for choice in chunk["choices"]:
            self._choice(choice)
        if isinstance(chunk.get("usage"), dict):
            self.usage += 1
            if self.begun - set(self.finished):
                self.bad.append("usage before every choice has finished")
        elif not chunk["choices"]:
            self.bad.append("a chunk that says nothing")
        self.bad.where(self.usage > 1, "usage twice")

    def _choice(self, choice: dict[str, Any]) -> None:
        at = choice["index"]
        delta = {"content": choice["text"]} if self.legacy else choice["delta"]
        self.bad.where(at in self.finished and any(delta.values()), f"choice {at} goes on after it finished")
        self.bad.where(
            not self.legacy and at not in self.begun and delta.get("role") != "assistant",
            f"choice {at} does not begin with its role",
        )
        self.bad.where(at in self.begun and "role" in delta, "role twice")
        self.begun.add(at)
        self.bad.where(any(value is None for value in delta.values()), f"null in a delta: {delta}")
        for word in ("content", "reasoning_content", "refusal"):  # Mistral's `content` is parts at times
            self.bad.where(not isinstance(delta.get(word, ""), str | list), f"{word} is no text")
        for call in delta.get("tool_calls", ()):
            self._call(self.calls.setdefault(at, []), call)
        if (reason := choice.get("finish_reason")) is not None:
            self.bad.where(at in self.finished, "finish_reason twice")
            self.bad.where(reason not in CHAT_REASONS, f"finish_reason {reason!r}")
            self.bad.where(reason == "tool_calls" and not self.calls.get(at), "tool_calls without a call")
            self.finished[at] = reason

    def _call(self, seen: list[str], call: dict[str, Any]) -> None:
        at, kind = call["index"], call.get("type")
        said = call.get("function") or call.get("custom") or {}
        if at == len(seen):
            self.bad.where(
                not call.get("id") or not said.get("name") or kind not in {"function", None},
                f"a call without id, type or name: {call}",
            )
            self.bad.where(call.get("id") in seen, "one id for two calls")
            seen.append(call.get("id", ""))
        elif not 0 <= at < len(seen):
            self.bad.append(f"call index {at} after {len(seen)} calls")
        elif "id" in call or "name" in said:
            self.bad.append("id or name of a call twice")
        self.bad.where(not isinstance(said.get("arguments", said.get("input", "")), str), "arguments are no text")

    def end(self) -> None:
        self.bad.where(not self.begun or self.begun - set(self.finished), "a choice without finish_reason")


def _completions(frames: list[Frame], bad: Faults) -> None:
    _chat(frames, bad, "text_completion")


def _openai_error(error: Any, bad: Faults) -> None:
    bad.where(
        not isinstance(error, dict) or not error.get("message") or not error.get("type"), f"no OpenAI error: {error}"
    )


# OpenAI Responses: A.3.


def _responses(frames: list[Frame], bad: Faults) -> None:
    events = [frame.data for frame in frames]
    if not all(isinstance(event, dict) for event in events):
        bad.append("an event is no object")
        return
    bad.where(any(frame.event != frame.data.get("type") for frame in frames), "event name and type differ")
    bad.where(
        [event.get("sequence_number") for event in events] != list(range(len(events))),
        "sequence_number does not count from 0 by one",
    )
    types = [event["type"] for event in events]
    if [kind for kind in types if kind in TERMINAL] != types[-1:]:
        bad.append(f"not exactly one terminal event, last: {types[-3:]}")
        return
    last = events.pop()
    if last["type"] == "error":
        if not {"code", "message", "param"} <= set(last) or not last["message"]:
            bad.append(f"no error event: {last}")
    elif types[0] != "response.created":
        bad.append("does not begin with response.created")
    items = _Items(bad)
    for event in events:
        items.take(event)
    if last["type"] != "error":
        items.end(last)


class _Items:
    def __init__(self, bad: Faults) -> None:
        self.bad = bad
        self.created: dict[str, Any] = {}
        self.open: dict[int, dict[str, Any]] = {}
        self.done: dict[int, dict[str, Any]] = {}
        self.pieces: dict[tuple[Any, ...], list[str]] = {}
        self.parts: set[tuple[Any, ...]] = set()
        self.wholes: set[tuple[Any, ...]] = set()

    def take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "response.created":
            self.created = event["response"]
            self._snapshot(event["response"])
        elif kind == "response.in_progress":
            self._snapshot(event["response"])
        elif kind == "response.output_item.added":
            self._added(event["output_index"], event["item"])
        elif kind == "response.output_item.done":
            self._done(event["output_index"], event["item"])
        else:
            self._inside(kind, event)

    def _snapshot(self, response: dict[str, Any]) -> None:
        self.bad.where(
            response["status"] != "in_progress" or response["output"] or not response["id"],
            f"a response that begins with {response['status']}, {response['output']}",
        )
        self.bad.where(response["id"] != self.created.get("id"), "the response's id changes")

    def _added(self, at: int, item: dict[str, Any]) -> None:
        self.bad.where(
            at != len(self.open) + len(self.done), f"output_index {at} after {len(self.open) + len(self.done)} items"
        )
        self.bad.where(
            not item["id"].startswith(IDS.get(item["type"], "")) or item["id"] in self._ids(),
            f"{item['type']} has the id {item['id']!r}",
        )
        self.open[at] = item

    def _ids(self) -> set[str]:
        return {item["id"] for item in (*self.open.values(), *self.done.values())}

    def _done(self, at: int, item: dict[str, Any]) -> None:
        begun = self.open.pop(at, None)
        if begun is None:
            self.bad.append(f"item {at} is done without being open")
            return
        for member in ("id", "type", "call_id", "name"):
            self.bad.where(
                begun.get(member) != item.get(member),
                f"{member} of item {at} changes: {begun.get(member)!r}, {item.get(member)!r}",
            )
        self.done[at] = item
        self.bad.where(
            not {key for key in self.pieces if key[1] == at} <= self.wholes, f"item {at} is done before its text is"
        )
        self.bad.where({part for part in self.parts if part[1] == at}, f"item {at} is done before its part is")
        spoken = {"function_call": "arguments", "custom_tool_call": "input"}.get(item["type"])
        if spoken:
            said = "".join("".join(text) for key, text in self.pieces.items() if key[1] == at)
            self.bad.where(item[spoken] != said, f"item {at} says other {spoken} than its deltas")

    def _inside(self, kind: str, event: dict[str, Any]) -> None:
        at = event["output_index"]
        if at not in self.open or event.get("item_id") != self.open[at]["id"]:
            self.bad.append(f"{kind} for no open item: {at}, {event.get('item_id')}")
            return
        inner = event.get("content_index", event.get("summary_index"))
        if kind.endswith("_part.added"):
            self.parts.add((kind.split(".")[1], at, inner))
        elif kind.endswith("_part.done"):
            self.bad.where((kind.split(".")[1], at, inner) not in self.parts, f"{kind} of a part that is not open")
            self.parts.discard((kind.split(".")[1], at, inner))
        elif kind in WHOLE:
            done, _ = WHOLE[kind]
            self.bad.where(not event["delta"], "an empty delta")
            if "_text" in kind or "refusal" in kind:
                self._in_part(kind, at, inner)
            self.pieces.setdefault((done, at, inner), []).append(event["delta"])
        else:
            self._whole(kind, at, inner, event)

    def _in_part(self, kind: str, at: int, inner: Any) -> None:
        holder = "reasoning_summary_part" if "summary" in kind else "content_part"
        self.bad.where((holder, at, inner) not in self.parts, f"{kind} outside of a part")

    def _whole(self, kind: str, at: int, inner: Any, event: dict[str, Any]) -> None:
        for done, member in WHOLE.values():
            if kind == done:
                self.bad.where(
                    event[member] != "".join(self.pieces.get((done, at, inner), [])), f"{kind} differs from its deltas"
                )
                self.bad.where((done, at, inner) in self.wholes, f"{kind} twice")
                self.wholes.add((done, at, inner))

    def end(self, last: dict[str, Any]) -> None:
        response = last["response"]
        self.bad.where(
            last["type"] != f"response.{response['status']}", f"{last['type']} with status {response['status']}"
        )
        self.bad.where(response["id"] != self.created.get("id"), "the response's id changes")
        if last["type"] == "response.failed":
            if not (response.get("error") or {}).get("message"):
                self.bad.append("failed without an error")
            return
        self.bad.where(self.open, f"items never done: {sorted(self.open)}")
        self.bad.where(
            response["output"] != [self.done[at] for at in sorted(self.done)], "the output is not what the items were"
        )
        self.bad.where(
            last["type"] == "response.incomplete" and not (response["incomplete_details"] or {}).get("reason"),
            "incomplete without a reason",
        )
        usage = response.get("usage")
        self.bad.where(
            usage is not None and not {"input_tokens_details", "output_tokens_details"} <= set(usage),
            "usage without its details",
        )


# Anthropic Messages: A.4.


def _claude(frames: list[Frame], bad: Faults) -> None:
    if any(not isinstance(frame.data, dict) or frame.event != frame.data.get("type") for frame in frames):
        bad.append("event name and type differ")
        return
    events = [frame.data for frame in frames if frame.data["type"] != "ping"]
    types = [event["type"] for event in events]
    if types[-1:] == ["error"]:
        error = events.pop().get("error")
        if not isinstance(error, dict) or not error.get("type") or not error.get("message"):
            bad.append(f"no error: {error}")
    elif types[-2:] != ["message_delta", "message_stop"]:
        bad.append(f"does not end with message_delta and message_stop: {types[-2:]}")
    for single in ("message_start", "message_delta", "message_stop", "error"):
        bad.where(types.count(single) > 1, f"{single} twice")
    bad.where(events and types[0] != "message_start", f"begins with {types[0]}")
    blocks = _Blocks(bad)
    for event in events:
        blocks.take(event)


class _Blocks:
    def __init__(self, bad: Faults) -> None:
        self.bad = bad
        self.kinds: list[str] = []
        self.now: int | None = None
        self.signed = False
        self.pieces: list[str] = []

    def take(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "message_start":
                message = event["message"]
                self.bad.where(
                    not message["id"] or message["content"] or message["role"] != "assistant" or not message["usage"],
                    f"message_start: {message}",
                )
            case "content_block_start":
                self._start(event["index"], event["content_block"])
            case "content_block_delta":
                self._delta(event["index"], event["delta"])
            case "content_block_stop":
                self._stop(event["index"])
            case "message_delta":
                self.bad.where(self.now is not None, "message_delta within a block")
                reason = event["delta"]["stop_reason"]
                self.bad.where(
                    reason not in CLAUDE_REASONS or not isinstance(event["usage"]["output_tokens"], int),
                    f"message_delta: {event}",
                )
                self.bad.where(reason == "tool_use" and "tool_use" not in self.kinds, "tool_use without a call")
            case "message_stop":
                pass
            case other:
                self.bad.append(f"an event {other}")

    def _start(self, at: int, block: dict[str, Any]) -> None:
        self.bad.where(
            self.now is not None or at != len(self.kinds), f"block {at} starts in {self.now}, after {len(self.kinds)}"
        )
        kind = block["type"]
        self.bad.where(
            kind in {"tool_use", "server_tool_use"} and (block["input"] != {} or not block["id"] or not block["name"]),
            f"a call begins with {block}",
        )
        self.bad.where(kind in {"text", "thinking"} and block[kind], f"{kind} begins with text")
        self.kinds.append(kind)
        self.now, self.signed, self.pieces = at, False, []

    def _delta(self, at: int, delta: dict[str, Any]) -> None:
        kind = delta["type"]
        if at != self.now:
            self.bad.append(f"a delta of block {at} in {self.now}")
        elif kind not in CLAUDE_DELTAS.get(self.kinds[at], ()):
            self.bad.append(f"{kind} in a block of {self.kinds[at]}")
        self.bad.where(self.signed, "a delta after the signature")
        self.signed = kind == "signature_delta"
        self.bad.where(self.signed and not delta["signature"], "an empty signature")
        self.bad.where(kind in CLAUDE_WORDS and not delta[CLAUDE_WORDS[kind]], f"an empty {kind}")
        if kind == "input_json_delta":
            self.pieces.append(delta["partial_json"])

    def _stop(self, at: int) -> None:
        self.bad.where(at != self.now, f"block {at} stops in {self.now}")
        self.now = None


# Gemini: A.5.


def _gemini(frames: list[Frame], bad: Faults) -> None:
    chunks = [frame.data for frame in frames]
    if not all(isinstance(chunk, dict) for chunk in chunks):
        bad.append("a chunk is no object")
        return
    failed = bool(chunks) and "error" in chunks[-1]
    if failed:
        error = chunks.pop()["error"]
        bad.where(
            not isinstance(error, dict) or not {"code", "message", "status"} <= set(error), f"no Google error: {error}"
        )
    bad.where(any("error" in chunk for chunk in chunks), "an error that is not last")
    finished: set[int] = set()
    begun: set[int] = set()
    for chunk in chunks:
        for candidate in chunk.get("candidates", ()):
            begun.add(candidate["index"])
            _candidate(candidate, finished, bad)
        bad.where(
            not {"candidates", "usageMetadata", "promptFeedback"} & set(chunk), f"a chunk that says nothing: {chunk}"
        )
    blocked = any("promptFeedback" in chunk for chunk in chunks)
    bad.where(not failed and not blocked and (not begun or begun - finished), "a candidate without finishReason")
    for member in ("responseId", "modelVersion"):
        bad.where(len({chunk.get(member) for chunk in chunks}) > 1, f"{member} changes")


def _candidate(candidate: dict[str, Any], finished: set[int], bad: Faults) -> None:
    at = candidate["index"]
    content = candidate.get("content") or {}
    bad.where(at in finished, f"candidate {at} goes on after it finished")
    bad.where(content and content.get("role") != "model", f"role {content.get('role')!r}")
    for part in content.get("parts", ()):
        known = PARTS & set(part)
        bad.where(len(known) != 1, f"a part of {sorted(part)}")
        call = part.get("functionCall")
        bad.where(
            call is not None and (not call.get("name") or not isinstance(call.get("args", {}), dict)),
            f"functionCall {call}",
        )
        bad.where(not isinstance(part.get("text", ""), str), "text is no text")
    if "finishReason" in candidate:
        bad.where(
            not isinstance(candidate["finishReason"], str) or not candidate["finishReason"].isupper(),
            f"finishReason {candidate['finishReason']!r}",
        )
        finished.add(at)


_RULES: dict[str, Callable[[list[Frame], Faults], None]] = {
    "openai-chat": _chat,
    "openai-completions": _completions,
    "openai-responses": _responses,
    "anthropic-messages": _claude,
    "gemini": _gemini,
}
