"""Requests as vendors of chat's format are sent them."""

from __future__ import annotations

from typing import Any

import pytest

from vaultd.wire import signature
from vaultd.wire.ir import (
    Call,
    Choice,
    Citation,
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
from vaultd.wire.openai_chat.grammar import write_request
from vaultd.wire.refusal import Refusal


def write(*turns: Turn, **members: Any) -> tuple[dict[str, Any], list[str]]:
    said = [*turns] or [Turn("user", [Text("Hi")])]
    lost = Loss()
    request = Request(**{"format": "anthropic-messages", "model": "alias", "turns": said, **members})
    return write_request(request, Target(model="target-model"), lost)[0], list(lost)


def messages(*turns: Turn) -> list[dict[str, Any]]:
    return write(*turns)[0]["messages"]  # type: ignore[no-any-return]


def test_one_text_is_a_plain_string() -> None:
    assert write()[0] == {"model": "target-model", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_cache_mark_needs_a_part() -> None:
    mark = {"type": "ephemeral"}
    assert messages(Turn("user", [Text("Hi", cache=mark)])) == [
        {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": mark}]}
    ]


def test_system_turns_stay_where_they_were_said() -> None:
    found, _ = write(
        Turn("user", [Text("Hi")]),
        Turn("system", [Text("French now.")], anchored=True),
        system=[Text("Be brief."), Text("Use metric units.")],
    )
    texts = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Use metric units."}]
    assert found["messages"] == [
        {"role": "system", "content": texts},
        {"role": "user", "content": "Hi"},
        {"role": "system", "content": "French now."},
    ]


def test_an_assistant_is_one_message_and_each_result_one_of_its_own() -> None:
    image = Media(kind="image", mime="image/png", data="AAAA")
    found = messages(
        Turn(
            "assistant", [Thinking("plan", "gAAAACANARY"), Text("Looking."), Call("a", "now"), Call("b", "see", "{}")]
        ),
        Turn("user", [Result("a", parts=[]), Result("b", parts=[Text("done"), image]), Text("And?")]),
    )
    assert found == [
        {
            "role": "assistant",
            "content": "Looking.",
            "reasoning_content": "plan",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "now", "arguments": "{}"}},
                {"id": "b", "type": "function", "function": {"name": "see", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {
            "role": "tool",
            "tool_call_id": "b",
            "content": [
                {"type": "text", "text": "done"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ],
        },
        {"role": "user", "content": "And?"},
    ]


def test_calls_alone_have_null_for_content() -> None:
    assert messages(Turn("assistant", [Call("a", "now", "{}")]))[0]["content"] is None


def test_reasoning_alone_keeps_its_turn() -> None:
    assert messages(Turn("assistant", [Thinking("plan")])) == [
        {"role": "assistant", "content": "", "reasoning_content": "plan"}
    ]


def test_chats_own_members_go_back_to_chat() -> None:
    found, lost = write(format="openai-chat", rest={"logit_bias": {"1": 2}}, metadata={"run": "7"}, logprobs=True)
    assert (found["logit_bias"], found["metadata"], found["logprobs"]) == ({"1": 2}, {"run": "7"}, True)
    assert lost == []


def test_white_space_is_no_message() -> None:
    assert messages(Turn("user", [Text(" \n")]), Turn("assistant", [Text("Yes.")])) == [
        {"role": "assistant", "content": "Yes."}
    ]
    assert messages(Turn("user", [Result("a", parts=[Text(" ")])]))[0]["content"] == " "


def test_a_call_signed_by_google_goes_back_as_it_was_signed() -> None:
    call = Call("a", "now", "{}", signature=signature.carry("CANARYc2ln", "gemini"))
    assert messages(Turn("assistant", [call]))[0]["tool_calls"][0]["extra_content"] == {
        "google": {"thought_signature": "CANARYc2ln"}
    }


def test_custom_tools_travel_as_functions() -> None:
    tool = Tool(name="apply_patch", kind="custom", grammar={"type": "grammar"})
    call = Call("p", "apply_patch", "*** Begin", "custom")
    found, lost = write(Turn("assistant", [call]), tools=[tool])
    assert found["messages"][0]["tool_calls"][0]["function"] == {
        "name": "apply_patch",
        "arguments": '{"input":"*** Begin"}',
    }
    assert found["tools"][0]["function"]["parameters"]["required"] == ["input"]
    assert lost == ["tools.format"]


def test_tools_and_their_choice() -> None:
    tools = [
        Tool(name="now", description="time", schema={"type": "object"}, strict=True),
        Tool(name="a b", schema=None),
    ]
    found, lost = write(tools=tools, parallel=False, choice=Choice(mode="required", names=("a b",)))
    assert found["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "now",
                "description": "time",
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            },
        },
        {"type": "function", "function": {"name": "a_b"}},
    ]
    assert found["tool_choice"] == {"type": "function", "function": {"name": "a_b"}}
    assert found["parallel_tool_calls"] is False
    assert lost == []


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (Choice(mode="none"), "none"),
        (Choice(mode="auto"), "auto"),
        (Choice(mode="required"), "required"),
        (
            Choice(mode="auto", names=("now",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "now"}}]},
            },
        ),
    ],
)
def test_choices(choice: Choice, written: Any) -> None:
    assert write(tools=[Tool(name="now")], choice=choice)[0]["tool_choice"] == written


def test_hosted_tools_are_lost_by_name_and_no_choice_is_left_of_them() -> None:
    hosted = [Hosted(kind="web_search"), Hosted(kind="code_execution", name="python")]
    found, lost = write(hosted=hosted, choice=Choice(mode="required", names=("web_search",)), parallel=True)
    assert found.keys() == {"model", "messages"}
    assert lost == ["web_search", "python"]
    found, lost = write(tools=[Tool(name="now")], choice=Choice(mode="required", names=("web_search",)))
    assert "tool_choice" not in found
    assert lost == ["tool_choice"]


def test_sampling_reasoning_and_the_form_of_the_answer() -> None:
    schema = {"type": "object", "properties": {}}
    found, lost = write(
        max_output=300,
        stop=["END"],
        top_k=40,
        n=2,
        reasoning=Reasoning(level="low", budget=1024, summary="auto"),
        output=Output(kind="schema", schema=schema),
        stream=True,
        tier="priority",
        user="u",
        cache_key="k",
    )
    assert found == {
        "model": "target-model",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 300,
        "top_k": 40,
        "stop": ["END"],
        "n": 2,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": schema}},
        "user": "u",
        "prompt_cache_key": "k",
        "service_tier": "priority",
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert lost == []


def test_a_users_name_that_is_too_long_for_openai_is_lost() -> None:
    assert write(user="CANARY" * 10)[0]["user"] == "CANARY" * 10
    found, lost = write(user="CANARY" * 11)
    assert "user" not in found and lost == ["user"]


def test_what_has_no_place_is_said() -> None:
    parts: list[Part] = [
        Text("x", citations=[Citation(url="https://host.example")]),
        Search("s"),
        Opaque("anthropic-messages", "mcp_tool_use"),
        Compaction("sealed"),
    ]
    result = Turn("user", [Result("a", parts=[Text("no")], is_error=True)])
    _, lost = write(
        Turn("assistant", [*parts, Call("a", "now")]),
        result,
        rest={"context_management": {}},
        unread=["hologram"],
        metadata={"run": "7"},
        logprobs=True,
    )
    assert set(lost) == {
        "citations",
        "web_search",
        "mcp_tool_use",
        "compaction",
        "tool_result.is_error",
        "context_management",
        "hologram",
        "metadata",
        "logprobs",
    }


def test_a_summary_of_our_own_is_told_and_chats_own_parts_go_back() -> None:
    own = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    found = messages(
        Turn("user", [Compaction("sealed", summary="We spoke of Oslo.")]),
        Turn("assistant", [Opaque("openai-chat", "thinking", own), Text("Yes.")]),
    )
    assert found[0]["content"] == "We spoke of Oslo."
    assert found[1]["content"] == [own, {"type": "text", "text": "Yes."}]


def test_documents_and_sound() -> None:
    found = messages(
        Turn(
            "user",
            [
                Media(kind="file", mime="application/pdf", data="AAAA", name="a.pdf"),
                Media(kind="file", mime="text/plain", data="aGk="),
                Media(kind="file", text="plain"),
                Media(kind="audio", mime="audio/mpeg", data="AAAA"),
                Media(kind="video", url="https://host.example/a.mp4"),
            ],
        )
    )
    assert found[0]["content"] == [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
        {"type": "text", "text": "hi"},
        {"type": "text", "text": "plain"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "video_url", "video_url": {"url": "https://host.example/a.mp4"}},
    ]


@pytest.mark.parametrize(
    ("media", "named"),
    [
        (Media(kind="file", url="https://host.example/a.pdf"), "document"),
        (Media(kind="audio", url="https://host.example/a.mp3"), "audio"),
        (Media(kind="image", file_id="file_1"), "image"),
    ],
)
def test_media_that_cannot_be_shown_is_refused(media: Media, named: str) -> None:
    with pytest.raises(Refusal) as refused:
        write(Turn("user", [media]))
    assert refused.value.status == 400
    assert named in refused.value.message
