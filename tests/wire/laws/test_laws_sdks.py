"""What the writers make, held to the types of the vendors' own SDKs: answers, each event of a stream, and requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

import anthropic.types
import anthropic.types.beta
import msgspec
import openai.types
import openai.types.chat
import openai.types.responses
import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming
from exchanges import ANY, answers, requests, streams
from frames import Faults, frames_in
from google.genai import types as google
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming as ChatWhole,
)
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsStreaming as ChatStreamed,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming as ResponsesWhole,
)
from openai.types.responses.response_create_params import (
    ResponseCreateParamsStreaming as ResponsesStreamed,
)
from pydantic import TypeAdapter
from talk import FORMATS, MODEL, TARGET, asked, grammar, streamed, told

from vaultd.wire.ir import Answer, Request, Result, Text

WHOLE: Final[dict[str, Callable[[Any], object]]] = {
    "openai-chat": openai.types.chat.ChatCompletion.model_validate,
    "openai-responses": openai.types.responses.Response.model_validate,
    "anthropic-messages": anthropic.types.Message.model_validate,
    "gemini": google.GenerateContentResponse.model_validate,
}
_responses_event: Final = TypeAdapter[Any](openai.types.responses.ResponseStreamEvent)
_claude_event: Final = TypeAdapter[Any](anthropic.types.RawMessageStreamEvent)
EVENT: Final[dict[str, Callable[[Any], object]]] = {
    "openai-chat": openai.types.chat.ChatCompletionChunk.model_validate,
    "openai-responses": _responses_event.validate_python,
    "anthropic-messages": _claude_event.validate_python,
    "gemini": google.GenerateContentResponse.model_validate,
}
REQUEST: Final[dict[tuple[str, bool], TypeAdapter[Any]]] = {
    ("openai-chat", False): TypeAdapter(ChatWhole),
    ("openai-chat", True): TypeAdapter(ChatStreamed),
    ("openai-responses", False): TypeAdapter(ResponsesWhole),
    ("openai-responses", True): TypeAdapter(ResponsesStreamed),
    ("anthropic-messages", False): TypeAdapter(MessageCreateParamsNonStreaming),
    ("anthropic-messages", True): TypeAdapter(MessageCreateParamsStreaming),
}


def events_of(stream: bytes) -> list[Any]:
    bad = Faults()
    frames = frames_in(stream, bad)
    assert not bad
    return [frame.data for frame in frames if frame.data != "[DONE]"]


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_whole_answer_is_the_sdks(fmt: str) -> None:
    @given(answers(ANY))
    def law(answer: Answer) -> None:
        body, _ = told(fmt, answer, Request(format=fmt, model=MODEL))
        WHOLE[fmt](json.loads(body))

    law()


@pytest.mark.parametrize("fmt", FORMATS)
def test_each_event_of_a_stream_is_the_sdks(fmt: str) -> None:
    @given(st.data())
    def law(data: st.DataObject) -> None:
        events = data.draw(streams(data.draw(answers(ANY))))
        stream, _ = streamed(fmt, events, Request(format=fmt, model=MODEL, stream=True))
        for event in events_of(stream):
            EVENT[fmt](event)

    law()


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("client", FORMATS)
def test_a_request_is_one_the_sdk_could_have_sent(client: str, fmt: str) -> None:
    """Whatever a client of any format says."""

    @given(requests(client))
    def law(request: Request) -> None:
        if fmt == "openai-chat":
            without_extensions(request)
        members, _ = grammar(fmt).write_request(request, TARGET, asked(fmt, request)[2])
        sent = json.loads(msgspec.json.encode(members))
        if fmt == "gemini":
            google_takes(sent)
        else:
            exhaust(REQUEST[fmt, sent.get("stream") is True].validate_python(complete(sent)))

    law()


def without_extensions(request: Request) -> None:
    """Chat vendors take images in tools' answers, and make some: words that OpenAI's own SDK does not know."""
    request.modalities = []
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, Result):
                part.parts = [shown for shown in part.parts if isinstance(shown, Text)]


def complete(sent: dict[str, Any]) -> dict[str, Any]:
    """The API takes what the assistant said without the id and status of its first telling; the SDK's type does not."""
    for item in sent.get("input", ()):
        if item.get("type") == "reasoning":
            item |= {"id": item.get("id", "rs_1")}
        if item.get("type") == "message" and item["role"] == "assistant":
            item |= {"id": item.get("id", "msg_1"), "status": "completed"}
    return sent


def google_takes(sent: dict[str, Any]) -> None:
    """The SDK has no type of a whole body: `GenerateContentConfig` holds what is not `contents`."""
    for content in sent.pop("contents"):
        google.Content.model_validate(content)
    if "systemInstruction" in sent:
        google.Content.model_validate(sent.pop("systemInstruction"))
    for tool in sent.pop("tools", ()):
        google.Tool.model_validate(tool)
    if "toolConfig" in sent:
        google.ToolConfig.model_validate(sent.pop("toolConfig"))
    config = sent.pop("generationConfig", {})
    google.ImageConfig.model_validate(config.pop("imageConfig", {}))
    google.GenerationConfig.model_validate(config)
    for setting in sent.pop("safetySettings", ()):
        google.SafetySetting.model_validate(setting)
    assert set(sent) <= {"cachedContent", "labels"}


def exhaust(value: Any) -> None:
    """pydantic checks the items of an `Iterable` only when they are asked for."""
    if isinstance(value, dict):
        for member in value.values():
            exhaust(member)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            exhaust(item)
