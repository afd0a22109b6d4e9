"""A client's request, read: Codex, OpenAI's SDKs, and what others send to `/v1/responses`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire import expected, turns
from vaultd.wire.ir import Output, Reasoning, Request, Text, Turn
from vaultd.wire.openai_responses.items_in import Items
from vaultd.wire.openai_responses.tools_in import Tools, choice
from vaultd.wire.refusal import Refusal

#: What an answer repeats, in the client's words and shapes.
ECHOED: Final = (
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "metadata",
)
#: Members that are read, and those whose absence changes no answer: what is kept, shown beside it or counted.
_KNOWN: Final = frozenset(
    {
        "model",
        "stream",
        "instructions",
        "input",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_output_tokens",
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "reasoning",
        "text",
        "top_logprobs",
        "service_tier",
        "metadata",
        "user",
        "prompt_cache_key",
        "include",
        "store",
        "stream_options",
        "truncation",
        "client_metadata",
        "safety_identifier",
        "prompt_cache_retention",
        "prompt_cache_options",
    }
)
#: Members that point to what another vendor keeps, or asks it to keep the answer.
_ELSEWHERE: Final = ("previous_response_id", "conversation", "background", "prompt", "item_reference")

_object: Final = msgspec.json.Decoder(dict[str, Any])


def read_request(body: bytes, *, model: str, stream: bool) -> Request:
    """Raises Refusal 400."""
    try:
        said = _object.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "bad-request", "the body is not a JSON object") from None
    request = Request(format="openai-responses", model=model, stream=stream)
    _parameters(said, request)
    request.rest = {
        name: value for name, value in said.items() if name not in _KNOWN and value is not None and value is not False
    }
    request.echo = {name: said[name] for name in ECHOED if name in said}
    tools = Tools(request)
    tools.declare(expected.array(said.get("tools"), "tools"), "tools")
    _conversation(said, request, tools)
    request.choice = choice(said.get("tool_choice"))
    return turns.settle(request)


def cannot_translate(request: Request) -> str:
    """The member or item that no other format can do without what only the Responses API keeps; "" where none is."""
    return next((name for name in _ELSEWHERE if name in request.rest), "")


def _conversation(said: dict[str, Any], request: Request, tools: Tools) -> None:
    instructions = said.get("instructions")
    if isinstance(instructions, str):
        if instructions:
            # Marked, so that a Responses vendor gets it where the client said it.
            request.system.append(Text(instructions, extra={"openai-responses": {"instructions": True}}))
    elif instructions is not None:
        request.rest["instructions"] = instructions
    given = said.get("input")
    if isinstance(given, str):
        request.turns = [Turn("user", [Text(given)])] if given else []
    else:
        Items(request, tools).read(expected.array(given, "input"))


def _parameters(said: dict[str, Any], request: Request) -> None:
    get = said.get
    request.parallel = expected.flag(get("parallel_tool_calls"), "parallel_tool_calls")
    request.max_output = expected.integer(get("max_output_tokens"), "max_output_tokens")
    request.temperature = expected.number(get("temperature"), "temperature")
    request.top_p = expected.number(get("top_p"), "top_p")
    request.presence_penalty = expected.number(get("presence_penalty"), "presence_penalty")
    request.frequency_penalty = expected.number(get("frequency_penalty"), "frequency_penalty")
    request.top_logprobs = expected.integer(get("top_logprobs"), "top_logprobs")
    if "message.output_text.logprobs" in expected.array(get("include"), "include"):
        request.logprobs = True
    request.reasoning = _reasoning(expected.mapping(get("reasoning"), "reasoning"))
    text = expected.mapping(get("text"), "text")
    request.output = _output(expected.mapping(text.get("format"), "text.format"))
    request.verbosity = expected.text(text.get("verbosity"), "text.verbosity")
    request.tier = expected.text(get("service_tier"), "service_tier")
    request.metadata = get("metadata") or None
    request.user = expected.text(get("user"), "user")
    request.cache_key = expected.text(get("prompt_cache_key"), "prompt_cache_key")


def _reasoning(said: dict[str, Any]) -> Reasoning | None:
    level = expected.text(said.get("effort"), "reasoning.effort")
    summary = expected.text(said.get("summary") or said.get("generate_summary"), "reasoning.summary")
    return Reasoning(level=level, summary=summary) if level or summary else None


def _output(said: dict[str, Any]) -> Output | None:
    kind = said.get("type", "text")
    if kind == "text":
        return Output(kind="text") if said else None
    if kind == "json_object":
        return Output(kind="json")
    if kind != "json_schema":
        raise expected.wrong("text.format.type", "text, json_object or json_schema")
    return Output(
        kind="schema",
        name=expected.text(said.get("name"), "text.format.name"),
        description=expected.text(said.get("description"), "text.format.description"),
        schema=expected.mapping(said.get("schema"), "text.format.schema"),
        strict=expected.flag(said.get("strict"), "text.format.strict"),
    )
