"""Any request, written for a Gemini vendor."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vaultd.wire.gemini import grammar
from vaultd.wire.ir import (
    Call,
    Choice,
    Compaction,
    Hosted,
    Media,
    Opaque,
    Output,
    Part,
    Reasoning,
    Request,
    Result,
    Search,
    Target,
    Text,
    Thinking,
    Tool,
    Turn,
)
from vaultd.wire.loss import Loss
from vaultd.wire.refusal import Refusal
from vaultd.wire.signature import carry

TARGET = Target(model="gemini-2.5-pro")
PIXEL = "iVBORw0KGgo="


def read(body: Any, stream: bool = False) -> Request:
    return grammar.read_request(msgspec.json.encode(body), model="m", stream=stream)


def write(request: Request, target: Target = TARGET) -> tuple[dict[str, Any], list[str]]:
    """The body as the vendor gets it, and what was lost."""
    lost = Loss()
    members, _ = grammar.write_request(request, target, lost)
    return msgspec.json.decode(msgspec.json.encode(members)), list(lost)


def asked(*parts: Part, **members: Any) -> Request:
    return Request(format="openai-chat", model="m", turns=[Turn("user", list(parts) or [Text("Hi")])], **members)


def test_several_systems_are_one_instruction_and_one_alone_is_what_is_asked() -> None:
    request = asked(system=[Text("One."), Text("Two.")])
    request.turns += [Turn("system", [Text("Three.")]), Turn("system", [Text("Now.")], anchored=True)]
    body, _ = write(request)
    assert body["systemInstruction"] == {"parts": [{"text": "One."}, {"text": "Two."}, {"text": "Three."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": said}]} for said in ("Hi", "Now.")]
    body, _ = write(Request(format="openai-chat", model="m", system=[Text("Say hi.")]))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Say hi."}]}]}


def test_parallel_calls_and_their_answers_with_pictures_after_them() -> None:
    request = asked(Text("Oslo, Rome?"))
    picture = Media(kind="image", mime="image/png", data=PIXEL)
    request.turns += [
        Turn("assistant", [Text("Both."), Call("1", "a b", '{"c":1}'), Call("2", "a b", "{c: 2")]),
        Turn("user", [Result("1", "a b", [Text("4"), picture]), Result("2", "a b", is_error=True), Text("Well?")]),
    ]
    request.tools = [Tool(name="a b"), Tool(name="a/b")]
    body, lost = write(request)
    assert lost == []
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"text": "Both."},
                {
                    "functionCall": {"name": "a_b", "args": {"c": 1}, "id": "1"},
                    "thoughtSignature": "skip_thought_signature_validator",
                },
                {"functionCall": {"name": "a_b", "args": {"input": "{c: 2"}, "id": "2"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "a_b", "response": {"result": "4"}, "id": "1"}},
                {"functionResponse": {"name": "a_b", "response": {"result": "", "is_error": True}, "id": "2"}},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                {"text": "Well?"},
            ],
        },
    ]
    declared = [tool["name"] for tool in body["tools"][0]["functionDeclarations"]]
    assert declared[0] == "a_b"
    assert declared[1].startswith("a_b_")


def test_only_googles_own_seals_go_to_google() -> None:
    ours, theirs = carry("CiQB", "gemini"), carry("CAISAhoBAQ==", "anthropic-messages")
    request = asked()
    request.turns += [
        Turn("assistant", [Thinking("Mine", ours), Thinking("Theirs", theirs), Thinking("Nobody's"), Text("A")]),
        Turn("user", [Text("B")]),
        Turn("assistant", [Text("C", signature=ours), Call("1", "f", "{}", signature=ours), Call("2", "g")]),
        Turn("user", [Text("D")]),
        Turn("assistant", [Call("3", "f", signature=theirs)]),
    ]
    body, lost = write(request)
    assert lost == []
    told = [[(*part, part.get("thoughtSignature")) for part in turn["parts"]] for turn in body["contents"]]
    assert told == [
        [("text", None)],
        [("text", "thought", "thoughtSignature", "CiQB"), ("text", None)],
        [("text", None)],
        [("text", "thoughtSignature", "CiQB"), ("functionCall", "thoughtSignature", "CiQB"), ("functionCall", None)],
        [("text", None)],
        [("functionCall", "thoughtSignature", "skip_thought_signature_validator")],
    ]


def test_a_custom_tool_travels_as_a_function() -> None:
    request = asked(tools=[Tool(name="patch", kind="custom", grammar={"type": "text"})])
    request.turns += [Turn("assistant", [Call("1", "patch", "*** Begin", kind="custom")])]
    lost = Loss()
    body, names = grammar.write_request(request, TARGET, lost)
    assert names.wrapped == {"patch"}
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {"input": "*** Begin"}
    assert body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["required"] == ["input"]
    assert list(lost) == []
    grammar_ = {"type": "grammar", "syntax": "lark", "definition": "start: CANARY"}
    assert write(asked(tools=[Tool(name="patch", kind="custom", grammar=grammar_)]))[1] == ["tools.format"]


def test_each_kind_of_tool_has_an_element_of_its_own_and_foreign_ones_are_named() -> None:
    hosted = [
        Hosted(kind="web_search", max_uses=3),
        Hosted(kind="code_execution", extra={"openai-chat": {"code_execution": {}}}),
        Hosted(kind="url_context", extra={"gemini": {"urlContext": {}}}),
        Hosted(kind="code_execution", extra={"anthropic-messages": {"type": "code_execution_20250825"}}),
        Hosted(kind="file_search", extra={"openai-responses": {}}),
    ]
    body, lost = write(asked(tools=[Tool(name="f", description="d", strict=True)], hosted=hosted))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "properties": {}}}
            ]
        },
        {"googleSearch": {}},
        {"codeExecution": {}},
        {"urlContext": {}},
    ]
    assert lost == ["tools.strict", "web_search.max_uses", "code_execution", "file_search"]


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (Choice(mode="auto"), {"mode": "AUTO"}),
        (Choice(mode="none"), {"mode": "NONE"}),
        (Choice(mode="required"), {"mode": "ANY"}),
        (Choice(mode="required", names=("a b",)), {"mode": "ANY", "allowedFunctionNames": ["a_b"]}),
        (Choice(mode="auto", names=("a b", "web_search")), {"mode": "VALIDATED", "allowedFunctionNames": ["a_b"]}),
    ],
)
def test_which_functions_are_called(choice: Choice, calling: dict[str, Any]) -> None:
    body, lost = write(asked(tools=[Tool(name="a b"), Tool(name="g")], choice=choice))
    assert body["toolConfig"] == {"functionCallingConfig": calling}
    assert lost == []


def test_a_choice_that_cannot_be_made_is_named() -> None:
    body, lost = write(asked(tools=[Tool(name="f")], choice=Choice(mode="required", names=("web_search",))))
    assert "toolConfig" not in body
    assert lost == ["tool_choice"]
    body, lost = write(asked(choice=Choice(mode="auto"), parallel=False))
    assert (body.keys(), lost) == ({"contents"}, [])


@pytest.mark.parametrize(
    ("reasoning", "levels", "config"),
    [
        (Reasoning(level="low", budget=1024), (), {"thinkingBudget": 1024, "includeThoughts": True}),
        (Reasoning(level="none", budget=0), (), {"thinkingBudget": 0}),
        (Reasoning(level="auto", budget=-1, summary="none"), (), {"thinkingBudget": -1, "includeThoughts": False}),
        (Reasoning(level="high", budget=24576), ("low", "high"), {"thinkingLevel": "high", "includeThoughts": True}),
        (Reasoning(level="auto", budget=-1), ("low", "high"), {"includeThoughts": True}),
        (Reasoning(summary="detailed"), (), {"includeThoughts": True}),
    ],
)
def test_how_much_to_think(reasoning: Reasoning, levels: tuple[str, ...], config: dict[str, Any]) -> None:
    body, _ = write(asked(reasoning=reasoning), Target(model="m", levels=levels))
    assert body["generationConfig"] == {"thinkingConfig": config}


def test_limits_of_the_model_and_of_google() -> None:
    body, lost = write(asked(max_output=99, stop=list("abcdef"), n=2), Target(model="m", max_output=50))
    config = {"maxOutputTokens": 50, "stopSequences": list("abcde"), "candidateCount": 2}
    assert body["generationConfig"] == config
    assert lost == ["stop"]


def test_forms_of_an_answer() -> None:
    schema = {"type": "array", "items": {"type": "string", "title": "T"}}
    output = Output(kind="schema", name="n", schema=schema, strict=True)
    body, _ = write(asked(output=output, modalities=["text"], image={"aspect_ratio": "1:1"}))
    assert body["generationConfig"] == {
        "responseModalities": ["TEXT"],
        "imageConfig": {"aspectRatio": "1:1"},
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "array", "items": {"type": "string"}},
    }
    body, _ = write(asked(output=Output(kind="json")))
    assert body["generationConfig"] == {"responseMimeType": "application/json"}


def test_media_as_google_takes_them() -> None:
    body, lost = write(
        asked(
            Media(kind="file", name="a.pdf", data=PIXEL),
            Media(kind="image", url="https://a.example/p.png"),
            Media(kind="image", url="https://a.example/p"),
            Media(kind="file", text="Long ago."),
            Media(kind="image", file_id="file-1"),
        )
    )
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "application/pdf", "data": PIXEL}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/p.png"}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.example/p"}},
        {"text": "Long ago."},
    ]
    assert lost == ["image.file_id"]


def test_what_gemini_has_no_word_for_is_named() -> None:
    request = asked(
        tools=[Tool(name="f")],
        parallel=False,
        verbosity="low",
        user="u",
        cache_key="k",
        tier="priority",
        metadata={"a": "b"},
        logprobs=True,
        rest={"logit_bias": {}},
        unread=["hologram"],
    )
    request.turns.append(Turn("assistant", [Search("1", "q"), Compaction("sealed"), Opaque("openai-responses", "mcp")]))
    body, lost = write(request)
    assert len(body["contents"]) == 1
    assert sorted(lost) == sorted(
        [
            "parallel_tool_calls",
            "verbosity",
            "user",
            "prompt_cache_key",
            "service_tier",
            "metadata",
            "logprobs",
            "logit_bias",
            "hologram",
            "web_search",
            "compaction",
            "mcp",
        ]
    )


def test_a_count_is_of_the_conversation_alone() -> None:
    request = asked(system=[Text("Be terse.")], tools=[Tool(name="f")], max_output=3)
    members, _ = grammar.write_request(request, TARGET, Loss())
    assert grammar.count_members(members) == {
        "contents": [
            {"role": "user", "parts": [{"text": "Be terse."}]},
            {"role": "user", "parts": [{"text": "Hi"}]},
        ]
    }
    assert grammar.read_count(grammar.write_count(31)) == 31
    assert read({"generateContentRequest": {"contents": [{"parts": [{"text": "Hi"}]}]}}).turns == request.turns


@pytest.mark.parametrize("body", [b"{}", b"[]", b"x", b'{"totalTokens":null}', b"\xff"])
def test_an_answer_without_a_count_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        grammar.read_count(body)
    assert refused.value.status == 502
