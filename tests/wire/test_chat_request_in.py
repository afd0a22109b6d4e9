"""Chat clients' requests, in the shapes that they really have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vaultd.wire.ir import Call, Choice, Hosted, Media, Output, Reasoning, Request, Result, Text, Thinking, Turn
from vaultd.wire.openai_chat.grammar import read_request
from vaultd.wire.refusal import Refusal
from vaultd.wire.signature import own

HI = [{"role": "user", "content": "Hi"}]


def read(stream: bool = False, **members: Any) -> Request:
    return read_request(json.dumps({"messages": HI, **members}).encode(), model="m", stream=stream)


def said(*messages: dict[str, Any]) -> list[Turn]:
    return read(messages=list(messages)).turns


def test_leading_system_texts_go_to_the_head_and_later_ones_stay_where_they_were_said() -> None:
    request = read(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]},
            {"role": "developer", "content": "Three."},
            *HI,
            {"role": "system", "content": "Four."},
        ]
    )
    assert [text.text for text in request.system] == ["One.", "Two.", "Three."]
    assert [(turn.role, turn.anchored) for turn in request.turns] == [("user", False), ("system", False)]


def test_an_assistant_that_thinks_speaks_and_calls_is_one_turn() -> None:
    turns = said(
        *HI,
        {
            "role": "assistant",
            "content": "Checking.",
            "reasoning_content": "need data",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "now", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "CANARYc2ln"}},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "noon"},
    )
    thinking, text, call = turns[1].parts
    assert (thinking, text) == (Thinking("need data"), Text("Checking."))
    assert isinstance(call, Call)
    assert own(call.signature, "gemini") == "CANARYc2ln"
    assert turns[2].parts == [Result("call_1", "now", [Text("noon")])]


def test_the_legacy_call_has_an_answer_by_name() -> None:
    turns = said(
        *HI,
        {"role": "assistant", "content": None, "function_call": {"name": "now", "arguments": "{}"}},
        {"role": "function", "name": "now", "content": "noon"},
    )
    call, result = turns[1].parts[0], turns[2].parts[0]
    assert isinstance(call, Call) and isinstance(result, Result)
    assert call.id == result.call_id != ""


def test_a_tools_message_may_name_its_tool_which_is_no_loss() -> None:
    calls = [{"id": "", "function": {"name": name, "arguments": "{}"}} for name in ("now", "then")]
    result = {"role": "tool", "name": "then", "content": "noon"}
    request = read(messages=[*HI, {"role": "assistant", "content": None, "tool_calls": calls}, result])
    assert request.unread == []
    assert [part.name for part in request.turns[-1].parts if isinstance(part, Result)] == ["then"]


def test_a_custom_call_keeps_its_free_text() -> None:
    call = {"id": "call_p", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin"}}
    assert said(*HI, {"role": "assistant", "tool_calls": [call]})[1].parts == [
        Call("call_p", "apply_patch", "*** Begin", "custom")
    ]


def test_media_comes_in_many_parts() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
        {"type": "image_url", "image_url": "https://host.example/a.png"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://host.example/a.mp4"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "AAAA"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]
    assert said({"role": "user", "content": content})[0].parts == [
        Media(kind="image", mime="image/png", data="AAAA", detail="low"),
        Media(kind="image", mime="image/png", url="https://host.example/a.png"),
        Media(kind="audio", mime="audio/mpeg", data="AAAA"),
        Media(kind="video", mime="video/mp4", url="https://host.example/a.mp4"),
        Media(kind="file", mime="application/pdf", data="AAAA", name="a.pdf"),
        Media(kind="file", mime="application/pdf", data="AAAA", name="a.pdf"),
        Media(kind="file", file_id="file-1"),
    ]


def test_cache_marks_are_kept_on_parts_and_on_messages() -> None:
    mark = {"type": "ephemeral"}
    request = read(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "Long", "cache_control": mark}]},
            {"role": "user", "content": "Hi", "cache_control": mark},
        ]
    )
    assert request.system == [Text("Long", cache=mark)]
    assert request.turns[0].parts == [Text("Hi", cache=mark)]


def test_tools_of_all_kinds() -> None:
    request = read(
        tools=[
            {"type": "function", "function": {"name": "now", "strict": True}},
            {"type": "function", "name": "flat", "parameters": {"type": "object"}},
            {
                "type": "custom",
                "custom": {
                    "name": "patch",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
                },
            },
            {"type": "web_search_preview", "filters": {"allowed_domains": ["host.example"]}},
            {"google_search": {}},
            {"url_context": {}},
        ]
    )
    assert [(tool.name, tool.kind) for tool in request.tools] == [
        ("now", "function"),
        ("flat", "function"),
        ("patch", "custom"),
    ]
    assert request.tools[0].schema is None and request.tools[0].strict is True
    assert request.tools[2].grammar == {"type": "grammar", "syntax": "lark", "definition": "x"}
    assert [(hosted.kind, hosted.allowed_domains) for hosted in request.hosted] == [
        ("web_search", ["host.example"]),
        ("web_search", []),
        ("url_context", []),
    ]
    assert [hosted.extra.get("gemini") for hosted in request.hosted] == [None, {"googleSearch": {}}, {"urlContext": {}}]


def test_web_search_options_are_a_hosted_search() -> None:
    place = {"type": "approximate", "approximate": {"city": "Oslo"}}
    request = read(web_search_options={"user_location": place})
    assert request.hosted == [Hosted(kind="web_search", location={"type": "approximate", "city": "Oslo"})]


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("auto", Choice(mode="auto")),
        ("none", Choice(mode="none")),
        ("required", Choice(mode="required")),
        ("any", Choice(mode="required")),
        ({"type": "function", "function": {"name": "now"}}, Choice(mode="required", names=("now",))),
        ({"type": "function", "name": "now"}, Choice(mode="required", names=("now",))),
        ({"type": "web_search_preview"}, Choice(mode="required", names=("web_search",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "now"}}]},
            },
            Choice(mode="auto", names=("now",)),
        ),
    ],
)
def test_tool_choices(value: Any, choice: Choice) -> None:
    assert read(tool_choice=value).choice == choice


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({"reasoning_effort": "high"}, Reasoning(level="high", summary="auto")),
        ({"reasoning_effort": "none"}, Reasoning(level="none")),
        (
            {"extra_body": {"google": {"thinking_config": {"thinking_budget": 60000, "include_thoughts": True}}}},
            Reasoning(budget=60000, summary="auto"),
        ),
        ({"google": {"thinkingConfig": {"thinkingBudget": 0}}}, Reasoning(budget=0)),
        ({"extra_body": {"google": {"thinking_config": {"include_thoughts": False}}}}, Reasoning(summary="none")),
        (
            {"google": {"thinking_config": {"thinking_budget": 1024}}, "reasoning_effort": "high"},
            Reasoning(budget=1024, summary="auto"),
        ),
        ({"thinking": {"type": "disabled"}}, Reasoning(level="none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget=2048, summary="auto")),
        ({"chat_template_kwargs": {"enable_thinking": False}}, Reasoning(level="none")),
        ({"enable_thinking": True}, Reasoning(level="auto", summary="auto")),
        ({"reasoning": {"effort": "low", "exclude": True}}, Reasoning(level="low", summary="none")),
        ({}, None),
    ],
)
def test_thinking_is_asked_for_in_many_words(members: dict[str, Any], reasoning: Reasoning | None) -> None:
    request = read(**members)
    assert request.reasoning == reasoning
    assert request.unread == [] and request.rest == {}


def test_what_stands_beside_the_thinking_is_not_lost_in_silence() -> None:
    request = read(extra_body={"google": {"cached_content": "c"}, "top_a": 1}, chat_template_kwargs={"tone": "dry"})
    assert request.unread == ["extra_body.top_a", "google.cached_content", "chat_template_kwargs.tone"]


def test_limits_and_sampling() -> None:
    request = read(max_tokens=10, max_completion_tokens=333, stop="END", n=2, top_k=40, temperature=1, stream=True)
    assert (request.max_output, request.stop, request.n, request.top_k, request.temperature) == (333, ["END"], 2, 40, 1)
    assert request.usage_asked is False
    assert read(stream=True, stream_options={"include_usage": True}).usage_asked
    assert read().usage_asked


def test_the_form_of_the_answer() -> None:
    schema = {"type": "object", "properties": {}}
    form = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": schema}}
    assert read(response_format=form).output == Output(kind="schema", name="city", strict=True, schema=schema)
    assert read(response_format={"type": "json_object"}).output == Output(kind="json")


def test_identity_and_the_members_nobody_else_knows() -> None:
    request = read(safety_identifier="u", prompt_cache_key="k", metadata={"run": "7"}, store=False, logit_bias={"1": 2})
    assert (request.user, request.cache_key, request.metadata) == ("u", "k", {"run": "7"})
    assert request.rest == {"logit_bias": {"1": 2}}
    assert read(store=True, temperature=None, logit_bias=None).rest == {"store": True}


def test_parts_nobody_knows_are_named() -> None:
    assert read(messages=[{"role": "user", "name": "Al", "content": [{"type": "hologram"}]}, *HI]).unread == [
        "hologram",
        "name",
    ]


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"messages": None}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": {}, "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": []}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 1}]}]}, "image_url"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "file_data"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": 1}}]}]}, "function.name"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"stop": {}}, "stop"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"extra_body": {"google": []}}, "extra_body.google"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_a_wrong_type_is_named(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(**members)
    assert refused.value.status == 400
    assert named in refused.value.message


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b'{"messages":"\xff"}', b"[" * 100_000])
def test_what_is_no_request(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_request(body, model="m", stream=False)
    assert refused.value.status == 400
