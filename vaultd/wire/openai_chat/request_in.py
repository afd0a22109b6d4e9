"""A client's Chat Completions request."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vaultd.wire import expected, turns
from vaultd.wire.ir import Output, Request
from vaultd.wire.openai_chat.face import NAME
from vaultd.wire.openai_chat.messages_in import read_messages
from vaultd.wire.openai_chat.thinking_in import read_reasoning
from vaultd.wire.openai_chat.tools_in import read_choice, read_tools
from vaultd.wire.refusal import Refusal

#: Members that this file or its neighbours read; of the harmless, `store` is one where it is false.
_READ: Final = frozenset(
    {
        "model",
        "stream",
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "web_search_options",
        "parallel_tool_calls",
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "n",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
        "top_logprobs",
        "reasoning_effort",
        "reasoning",
        "thinking",
        "enable_thinking",
        "chat_template_kwargs",
        "extra_body",
        "google",
        "response_format",
        "verbosity",
        "modalities",
        "image_config",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "service_tier",
        "metadata",
        "stream_options",
    }
)


def read_request(body: bytes, *, model: str, stream: bool) -> Request:
    """Raises Refusal 400."""
    said = decoded(body)
    request = sampled(said, model=model, stream=stream)
    request.tools, request.hosted = read_tools(said)
    request.choice = read_choice(said)
    request.parallel = expected.flag(said.get("parallel_tool_calls"), "parallel_tool_calls")
    request.reasoning = read_reasoning(said, request)
    request.output = _output(said.get("response_format"))
    request.verbosity = expected.text(said.get("verbosity"), "verbosity")
    request.modalities = _lower(said.get("modalities"), "modalities")
    request.image = _image(said.get("image_config"))
    request.cache_key = expected.text(said.get("prompt_cache_key"), "prompt_cache_key")
    request.tier = expected.text(said.get("service_tier"), "service_tier")
    request.metadata = said.get("metadata") or None
    for name, value in said.items():
        if name not in _READ and value is not None and not (name == "store" and value is False):
            request.rest[name] = value
    read_messages(said.get("messages"), request)
    return turns.settle(request)


def decoded(body: bytes) -> dict[str, Any]:
    """Raises Refusal 400."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "bad-request", "the request body is not valid JSON") from None
    if not isinstance(said, dict):
        raise Refusal(400, "bad-request", "the request body is not a JSON object")
    return said


def sampled(said: dict[str, Any], *, model: str, stream: bool) -> Request:
    """What Completions says in the same words."""
    logprobs = said.get("logprobs")
    return Request(
        format=NAME,
        model=model,
        stream=stream,
        usage_asked=not stream or _usage_asked(said.get("stream_options")),
        max_output=_limit(said),
        temperature=expected.number(said.get("temperature"), "temperature"),
        top_p=expected.number(said.get("top_p"), "top_p"),
        top_k=expected.integer(said.get("top_k"), "top_k"),
        stop=_stop(said.get("stop")),
        n=expected.integer(said.get("n"), "n"),
        seed=expected.integer(said.get("seed"), "seed"),
        presence_penalty=expected.number(said.get("presence_penalty"), "presence_penalty"),
        frequency_penalty=expected.number(said.get("frequency_penalty"), "frequency_penalty"),
        # Completions counts them instead.
        logprobs=logprobs if isinstance(logprobs, bool) else None,
        top_logprobs=expected.integer(said.get("top_logprobs"), "top_logprobs"),
        user=expected.text(said.get("user"), "user")
        or expected.text(said.get("safety_identifier"), "safety_identifier"),
    )


def _limit(said: dict[str, Any]) -> int | None:
    """Both may be there: `max_completion_tokens` is the newer."""
    newer = expected.integer(said.get("max_completion_tokens"), "max_completion_tokens")
    return expected.integer(said.get("max_tokens"), "max_tokens") if newer is None else newer


def _usage_asked(options: Any) -> bool:
    return expected.mapping(options, "stream_options").get("include_usage") is True


def _stop(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [expected.text(item, "stop") for item in expected.array(value, "stop") if item is not None]


def _lower(value: Any, name: str) -> list[str]:
    return [expected.text(item, name).lower() for item in expected.array(value, name)]


def _image(value: Any) -> dict[str, str]:
    said = expected.mapping(value, "image_config")
    image = {name: expected.text(said.get(name), f"image_config.{name}") for name in ("aspect_ratio", "image_size")}
    return {name: word for name, word in image.items() if word}


def _output(value: Any) -> Output | None:
    said = expected.mapping(value, "response_format")
    kind = said.get("type")
    if not said or kind is None:
        return None
    if kind == "text":
        return Output(kind="text")
    if kind == "json_object":
        return Output(kind="json")
    if kind != "json_schema":
        raise Refusal(400, "bad-request", "'response_format.type' is none of text, json_object and json_schema")
    inner = expected.mapping(said.get("json_schema"), "response_format.json_schema")
    return Output(
        kind="schema",
        name=expected.text(inner.get("name"), "response_format.json_schema.name"),
        description=expected.text(inner.get("description"), "response_format.json_schema.description"),
        schema=inner.get("schema"),
        strict=expected.flag(inner.get("strict"), "response_format.json_schema.strict"),
    )
