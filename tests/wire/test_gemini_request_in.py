"""A Gemini client's request, read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vaultd.wire.gemini import grammar
from vaultd.wire.ir import (
    Call,
    Choice,
    Media,
    Output,
    Reasoning,
    Request,
    Result,
    Text,
    Thinking,
    Tool,
)
from vaultd.wire.refusal import Refusal
from vaultd.wire.signature import carry, redacted

PIXEL = "iVBORw0KGgo="


def read(body: Any, stream: bool = False) -> Request:
    return grammar.read_request(msgspec.json.encode(body), model="m", stream=stream)


def test_both_spellings_are_read_at_every_level_and_the_clients_own_names_are_left_alone() -> None:
    request = read(
        {
            "system_instruction": {"parts": [{"text": "Be terse."}]},
            "contents": [
                {"parts": [{"text": "Look."}, {"inline_data": {"mime_type": "image/png", "data": PIXEL}}]},
                {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"the_city": {"zip_code": 1}}}}]},
                {"role": "function", "parts": [{"function_response": {"name": "f", "response": {"a_b": 1}}}]},
            ],
            "tools": [
                {
                    "function_declarations": [
                        {"name": "f", "parameters_json_schema": {"type": "object", "properties": {"the_city": {}}}}
                    ]
                }
            ],
            "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
            "generation_config": {"max_output_tokens": "9", "thinking_config": {"include_thoughts": True}},
        }
    )
    assert request.system == [Text("Be terse.")]
    assert request.turns[0].parts == [Text("Look."), Media(kind="image", mime="image/png", data=PIXEL)]
    call = request.turns[1].parts[0]
    assert isinstance(call, Call)
    assert call.arguments == '{"the_city":{"zip_code":1}}'
    assert request.turns[2].parts == [Result(call.id, "f", [Text('{"a_b":1}')])]
    assert request.tools == [Tool(name="f", schema={"type": "object", "properties": {"the_city": {}}})]
    assert request.choice == Choice(mode="required", names=("f",))
    assert request.max_output == 9
    assert request.reasoning == Reasoning(summary="auto")


def test_calls_without_ids_are_paired_in_order_and_an_answer_without_a_name_gets_its_calls() -> None:
    request = read(
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Oslo, Rome?"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "w", "args": {"c": n}}} for n in (1, 2)]},
                {
                    "parts": [
                        {"functionResponse": {"name": "w", "response": {"result": "4 C"}}},
                        {"functionResponse": {"name": "", "response": {"output": "17 C"}}},
                    ]
                },
            ]
        }
    )
    first, second = request.turns[1].parts
    assert isinstance(first, Call)
    assert isinstance(second, Call)
    assert first.id != second.id
    assert request.turns[2].parts == [Result(first.id, "w", [Text("4 C")]), Result(second.id, "w", [Text("17 C")])]


@pytest.mark.parametrize(
    ("response", "told", "is_error"),
    [
        ({"result": "4 C"}, "4 C", False),
        ({"output": {"c": 4}}, '{"c":4}', False),
        ({"error": "no such city"}, "no such city", True),
        ({"result": "4 C", "unit": "C"}, '{"result":"4 C","unit":"C"}', False),
        ({"result": "no", "is_error": True}, "no", True),
        ("4 C", "4 C", False),
        ([4], "[4]", False),
    ],
)
def test_the_text_in_a_functions_answer(response: Any, told: str, is_error: bool) -> None:
    request = read(
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "w"}}]},
                {"role": "user", "parts": [{"functionResponse": {"id": "1", "name": "w", "response": response}}]},
            ]
        }
    )
    assert request.turns[1].parts == [Result("1", "w", [Text(told)], is_error)]


def test_an_answers_media_are_the_answers() -> None:
    parts = [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}, {"fileData": {"fileUri": "gs://b/a.pdf"}}]
    request = read(
        {
            "contents": [
                {"role": "model", "parts": [{"functionCall": {"name": "w"}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "w", "response": {}, "parts": parts}}]},
            ]
        }
    )
    result = request.turns[1].parts[0]
    assert isinstance(result, Result)
    assert result.parts == [
        Text("{}"),
        Media(kind="image", mime="image/png", data=PIXEL),
        Media(kind="file", mime="application/pdf", url="gs://b/a.pdf"),
    ]


def test_thoughts_are_no_text_and_pieces_of_a_stream_are_one_text_with_its_seal() -> None:
    model = [
        {"text": "Pl", "thought": True},
        {"text": "an", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": "CiQB"},
        {"text": "4"},
        {"text": " "},
        {"text": "C"},
        {"text": "", "thoughtSignature": "CiQC"},
        {"text": "!"},
        {"text": ""},
    ]
    request = read({"contents": [{"role": "model", "parts": model}]})
    assert request.turns[0].parts == [
        Thinking("Plan", carry("CiQB", "gemini")),
        Text("4 C", signature=carry("CiQC", "gemini")),
        Text("!"),
    ]


def test_a_seal_after_a_call_is_the_calls_and_a_redacted_thought_comes_back_so() -> None:
    hidden = redacted(carry("CAISAhoBAQ==", "anthropic-messages"))
    model = [
        {"text": "", "thought": True, "thoughtSignature": hidden},
        {"functionCall": {"id": "1", "name": "f"}},
        {"thoughtSignature": "CiQB"},
    ]
    request = read({"contents": [{"role": "model", "parts": model}]})
    assert request.turns[0].parts == [
        Thinking("", carry("CAISAhoBAQ==", "anthropic-messages"), redacted=True),
        Call("1", "f", "{}", signature=carry("CiQB", "gemini")),
    ]


def test_a_seal_that_another_vendor_minted_keeps_its_maker() -> None:
    theirs = carry("CAISAhoBAQ==", "anthropic-messages")
    call = {"functionCall": {"name": "f"}, "thoughtSignature": theirs}
    skipped = {"functionCall": {"name": "g"}, "thoughtSignature": "skip_thought_signature_validator"}
    request = read({"contents": [{"role": "model", "parts": [call, skipped]}]})
    assert [part.signature for part in request.turns[0].parts if isinstance(part, Call)] == [theirs, ""]


def test_tools_of_all_kinds() -> None:
    schema = {
        "type": "OBJECT",
        "properties": {
            "type": {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True},
            "n": {"type": "INTEGER", "nullable": False},
        },
    }
    request = read(
        {
            "contents": [],
            "tools": [
                {"functionDeclarations": [{"name": "f", "description": "d", "parameters": schema}]},
                {"googleSearch": {"excludeDomains": ["a.example"]}},
                {"code_execution": {}},
                {"urlContext": {}},
            ],
        }
    )
    properties = {"type": {"type": ["string", "null"], "enum": ["a", None]}, "n": {"type": "integer"}}
    assert request.tools == [Tool(name="f", description="d", schema={"type": "object", "properties": properties})]
    assert [(hosted.kind, hosted.blocked_domains) for hosted in request.hosted] == [
        ("web_search", ["a.example"]),
        ("code_execution", []),
        ("url_context", []),
    ]


def test_the_whole_configuration() -> None:
    request = read(
        {
            "contents": [],
            "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
            "cachedContent": "cachedContents/1",
            "serviceTier": "PRIORITY",
            "generationConfig": {
                "temperature": 0.5,
                "topP": 0.9,
                "topK": 40.0,
                "maxOutputTokens": 7,
                "stopSequences": ["END"],
                "candidateCount": 2,
                "seed": 3,
                "presencePenalty": 0.1,
                "frequencyPenalty": 0.2,
                "responseLogprobs": True,
                "logprobs": 4,
                "responseMimeType": "application/json",
                "responseSchema": {"type": "ARRAY", "items": {"type": "STRING", "nullable": True}},
                "responseModalities": ["TEXT", "IMAGE"],
                "imageConfig": {"aspectRatio": "1:1", "imageSize": "2K"},
                "thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": False},
                "speechConfig": {"voiceConfig": {}},
            },
        }
    )
    expected = Request(
        format="gemini",
        model="m",
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        max_output=7,
        stop=["END"],
        n=2,
        seed=3,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=4,
        output=Output(kind="schema", schema={"type": "array", "items": {"type": ["string", "null"]}}),
        modalities=["text", "image"],
        image={"aspect_ratio": "1:1", "image_size": "2K"},
        reasoning=Reasoning(level="high", summary="none"),
        tier="priority",
        rest={"cachedContent": "cachedContents/1", "generationConfig.speechConfig": {"voiceConfig": {}}},
    )
    assert request == expected


def test_what_nobody_else_knows_is_named() -> None:
    part = {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}, "videoMetadata": {"fps": 1}}
    request = read({"contents": [{"parts": [part, {"holo_gram": {}}]}], "imageConfig": 1})
    assert request.turns[0].parts == [Media(kind="video", mime="video/mp4", url="https://youtu.be/x")]
    assert request.unread == ["videoMetadata", "holoGram"]
    assert request.rest == {"imageConfig": 1}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"[]", "the body"),
        (b"null", "the body"),
        (b"{", "the body"),
        (b"\xff", "the body"),
        (b'{"contents":1}', "contents"),
        (b'{"contents":[1]}', "contents"),
        (b'{"contents":[{"role":"robot"}]}', "robot"),
        (b'{"contents":[{"parts":{}}]}', "parts"),
        (b'{"contents":[{"parts":["x"]}]}', "parts"),
        (b'{"tools":[{"functionDeclarations":[{}]}]}', "name"),
        (b'{"tools":5}', "tools"),
        (b'{"generationConfig":{"topP":"much"}}', "topP"),
        (b'{"generationConfig":{"topK":1.5}}', "topK"),
        (b'{"generationConfig":{"maxOutputTokens":true}}', "maxOutputTokens"),
        (b'{"generationConfig":{"temperature":"inf"}}', "temperature"),
        (b'{"generationConfig":{"stopSequences":"END"}}', "stopSequences"),
        (b'{"generationConfig":{"responseSchema":"x"}}', "responseSchema"),
        (b'{"systemInstruction":3}', "systemInstruction"),
    ],
)
def test_a_member_of_the_wrong_type_is_refused_by_name(body: bytes, named: str) -> None:
    with pytest.raises(Refusal, match=named) as refused:
        grammar.read_request(body, model="m", stream=False)
    assert refused.value.status == 400
