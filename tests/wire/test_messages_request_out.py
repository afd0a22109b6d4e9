"""What an Anthropic vendor is sent of any client's request: only what it takes, and what it cannot take is named."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.anthropic_messages.grammar import count_members, read_count, write_count, write_request
from vaultd.wire.ir import (
    Call,
    Choice,
    Citation,
    Compaction,
    Hosted,
    Media,
    Opaque,
    Output,
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

TARGET = Target(model="claude")
ADAPTIVE = Target(model="claude", levels=("low", "medium", "high", "max"))
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
LOOK = Tool(name="look", schema={"type": "object", "properties": {}})
HI = Turn("user", [Text("Hi")])
FERNET = carry("gAAAAA-of-codex", "openai-responses")


def asked(**members: Any) -> Request:
    return Request(**{"format": "openai-chat", "model": "alias", "turns": [HI]} | members)


def sent(target: Target = TARGET, **members: Any) -> tuple[dict[str, Any], list[str]]:
    lost = Loss()
    written, _ = write_request(asked(**members), target, lost)
    return json.loads(msgspec.json.encode(written)), list(lost)


def test_a_limit_is_always_told_and_never_above_the_models_own() -> None:
    assert sent()[0] == {
        "model": "claude",
        "max_tokens": 32000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    capped = Target(model="claude", max_output=8192)
    assert sent(capped)[0]["max_tokens"] == 8192
    assert sent(capped, max_output=100)[0]["max_tokens"] == 100


def test_system_texts_go_to_the_head_but_for_those_that_belong_where_they_are() -> None:
    turns = [HI, Turn("system", [Text("Later.")]), HI, Turn("system", [Text("Here.")], anchored=True), HI]
    members, lost = sent(system=[Text("First.", MARK)], turns=turns)
    assert [block["text"] for block in members["system"]] == ["First.", "Later."]
    assert members["system"][0]["cache_control"] == MARK
    assert [message["role"] for message in members["messages"]] == ["user", "system", "user"]
    assert lost == []


def test_system_texts_alone_leave_the_last_one_to_the_user() -> None:
    members, _ = sent(system=[Text("Be brief."), Text("Say hi.")], turns=[])
    assert members["system"] == [{"type": "text", "text": "Be brief."}]
    assert members["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}]


def test_nothing_said_is_a_400() -> None:
    with pytest.raises(Refusal, match="messages"):
        sent(turns=[])


def test_calls_and_results_have_ids_anthropic_takes() -> None:
    call = Call("functions.look:0", "look", "")
    broken = Call("c2", "look", "{not json")
    turns = [
        HI,
        Turn("assistant", [Text("Looking."), call, broken]),
        Turn("user", [Result("functions.look:0", "look", [Text("sky")]), Result("c2", "look", [], is_error=True)]),
    ]
    members, lost = sent(turns=turns, tools=[LOOK])
    said, used, bad = members["messages"][1]["content"]
    assert said == {"type": "text", "text": "Looking."}
    assert used == {"type": "tool_use", "id": "functions_look_0", "name": "look", "input": {}}
    assert bad["input"] == {}
    assert members["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "functions_look_0", "content": "sky"},
        {"type": "tool_result", "tool_use_id": "c2", "is_error": True},
    ]
    assert lost == ["tool_use.input"]


def test_pictures_and_documents() -> None:
    shown = [
        Media(kind="image", mime="image/png", data="AA=="),
        Media(kind="image", mime="image/jpg", data="AA=="),
        Media(kind="image", url="https://host.example/a.png"),
        Media(kind="file", mime="application/pdf", data="AA==", name="a.pdf"),
        Media(kind="file", mime="text/csv", data="YSxi"),
        Media(kind="file", file_id="file_1"),
    ]
    members, lost = sent(turns=[Turn("user", [Text("See"), *shown])])
    assert [block.get("source") for block in members["messages"][0]["content"]] == [
        None,
        {"type": "base64", "media_type": "image/png", "data": "AA=="},
        {"type": "base64", "media_type": "image/jpeg", "data": "AA=="},
        {"type": "url", "url": "https://host.example/a.png"},
        {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
        {"type": "text", "media_type": "text/plain", "data": "a,b"},
        {"type": "file", "file_id": "file_1"},
    ]
    assert members["messages"][0]["content"][4]["title"] == "a.pdf"
    assert lost == []


def test_a_sound_is_lost_beside_words_and_refused_alone() -> None:
    sound = Media(kind="audio", mime="audio/wav", data="AA==")
    members, lost = sent(turns=[Turn("user", [Text("Hear"), sound])])
    assert len(members["messages"][0]["content"]) == 1
    assert lost == ["audio"]
    with pytest.raises(Refusal, match="audio") as refused:
        sent(turns=[HI, Turn("assistant", [Text("Yes?")]), Turn("user", [sound])])
    assert refused.value.status == 400


def test_only_thinking_that_anthropic_sealed_goes_back_to_it() -> None:
    thoughts = [
        Thinking("mine", carry("sealed", "anthropic-messages")),
        Thinking("", carry("hidden", "anthropic-messages"), redacted=True),
        Thinking("codex", FERNET),
        Thinking("gemini", carry("CiQB", "gemini")),
        Thinking("bare"),
    ]
    members, lost = sent(turns=[HI, Turn("assistant", [*thoughts, Text("So.")]), HI])
    assert members["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "sealed"},
        {"type": "redacted_thinking", "data": "hidden"},
        {"type": "text", "text": "So."},
    ]
    assert lost == []


def test_what_other_vendors_made_of_themselves_is_named() -> None:
    parts = [
        Search("ws_1", "oslo", [Citation(url="https://host.example")]),
        Opaque("openai-responses", "image_generation_call", {}),
        Compaction("gAAAA"),
        Compaction("vaultd", summary="It was about Oslo."),
        Text("4 C", citations=[Citation(url="https://host.example")]),
    ]
    members, lost = sent(turns=[HI, Turn("assistant", parts), HI])
    assert [block["text"] for block in members["messages"][1]["content"]] == ["It was about Oslo.", "4 C"]
    assert lost == ["web_search", "image_generation_call", "compaction", "citations"]


def test_four_cache_marks_the_last_ones_and_no_hour_after_five_minutes() -> None:
    turns = [
        Turn("user", [Text("1", HOUR), Text("2", MARK)]),
        Turn("assistant", [Text("3", HOUR)]),
        Turn("user", [Text("4", HOUR)]),
    ]
    tool = Tool(name="look", schema={}, cache=MARK)
    members, _ = sent(system=[Text("s", HOUR)], turns=turns, tools=[tool])
    blocks = [
        *members["tools"],
        *members["system"],
        *[block for message in members["messages"] for block in message["content"]],
    ]
    ages = [block["cache_control"].get("ttl", "5m") if "cache_control" in block else None for block in blocks]
    assert ages == [None, None, "1h", "5m", "5m", "5m"]


def test_tools_have_an_object_for_a_schema_and_custom_ones_an_input() -> None:
    tools = [
        Tool(name="ns.look", description="Looks", schema={"$schema": "x", "type": "object"}, strict=True),
        Tool(name="patch", kind="custom", grammar={"type": "grammar"}),
    ]
    members, lost = sent(tools=tools)
    assert members["tools"][0] == {
        "name": "ns_look",
        "description": "Looks",
        "input_schema": {"type": "object", "properties": {}},
    }
    assert members["tools"][1]["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert lost == ["tools.strict", "tools.format"]


@pytest.mark.parametrize(
    ("choice", "parallel", "said"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (Choice(mode="auto"), False, {"type": "auto", "disable_parallel_tool_use": True}),
        (Choice(mode="auto"), True, {"type": "auto", "disable_parallel_tool_use": False}),
        (Choice(mode="required"), None, {"type": "any"}),
        (Choice(mode="none"), False, {"type": "none"}),
        (Choice(mode="required", names=("look",)), None, {"type": "tool", "name": "look"}),
        (Choice(mode="required", names=("web_search",)), None, {"type": "tool", "name": "web_search"}),
    ],
)
def test_the_choice_of_tools(choice: Choice | None, parallel: bool | None, said: dict[str, Any] | None) -> None:
    members, lost = sent(tools=[LOOK], hosted=[Hosted(kind="web_search")], choice=choice, parallel=parallel)
    assert members.get("tool_choice") == said
    assert lost == []


def test_a_choice_among_some_tools_shows_those_alone() -> None:
    tools = [LOOK, Tool(name="wait"), Tool(name="stop")]
    members, lost = sent(tools=tools, choice=Choice(mode="required", names=("look", "stop")))
    assert [tool["name"] for tool in members["tools"]] == ["look", "stop"]
    assert members["tool_choice"] == {"type": "any"}
    assert lost == []


def test_without_tools_there_is_no_choice() -> None:
    members, lost = sent(choice=Choice(mode="required"), hosted=[Hosted(kind="file_search")])
    assert not members.keys() & {"tools", "tool_choice"}
    assert lost == ["file_search", "tool_choice"]


def test_web_search_keeps_its_limits() -> None:
    hosted = Hosted(kind="web_search", max_uses=2, allowed_domains=["host.example"], location={"type": "approximate"})
    assert sent(hosted=[hosted])[0]["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "max_uses": 2,
            "allowed_domains": ["host.example"],
            "user_location": {"type": "approximate"},
        }
    ]


@pytest.mark.parametrize(
    ("target", "reasoning", "most", "thinking", "effort"),
    [
        (TARGET, Reasoning(level="none", budget=0), None, {"type": "disabled"}, None),
        (TARGET, Reasoning(level="high", budget=24576), None, {"type": "enabled", "budget_tokens": 24576}, None),
        (TARGET, Reasoning(level="high", budget=24576), 4096, {"type": "enabled", "budget_tokens": 4095}, None),
        (TARGET, Reasoning(level="high", budget=24576), 1024, None, None),
        (TARGET, Reasoning(level="auto", budget=-1), None, {"type": "enabled", "budget_tokens": 16000}, None),
        (
            TARGET,
            Reasoning(level="low", budget=1024, summary="auto"),
            None,
            {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
            None,
        ),
        (ADAPTIVE, Reasoning(level="none", budget=0), None, {"type": "disabled"}, None),
        (ADAPTIVE, Reasoning(level="minimal", budget=512), None, {"type": "adaptive"}, "low"),
        (ADAPTIVE, Reasoning(level="medium", budget=-1), None, {"type": "adaptive"}, "high"),
        (ADAPTIVE, Reasoning(level="high", budget=32768), None, {"type": "adaptive"}, "max"),
        (
            ADAPTIVE,
            Reasoning(level="high", budget=24576, summary="none"),
            None,
            {"type": "adaptive", "display": "omitted"},
            "high",
        ),
    ],
)
def test_thinking_fits_below_the_limit(
    target: Target, reasoning: Reasoning, most: int | None, thinking: dict[str, Any] | None, effort: str | None
) -> None:
    members, lost = sent(target, reasoning=reasoning, max_output=most)
    assert members.get("thinking") == thinking
    assert members.get("output_config", {}).get("effort") == effort
    assert lost == ([] if thinking else ["reasoning_effort"])


def test_thinking_gives_way_to_a_forced_tool_and_other_samplings_to_thinking() -> None:
    high = Reasoning(level="high", budget=24576)
    members, lost = sent(tools=[LOOK], choice=Choice(mode="required"), reasoning=high, temperature=0.5)
    assert "thinking" not in members
    assert members["temperature"] == 0.5
    assert lost == ["reasoning_effort"]
    members, lost = sent(reasoning=high, temperature=0.5, top_k=3, top_p=0.9)
    assert not members.keys() & {"temperature", "top_k", "top_p"}
    assert lost == ["temperature", "top_p", "top_k"]


SEALED = Thinking("hm", "EtsDCkYICxgCKkBDQU5BUlk=")
CALLED = [Turn("assistant", [Call("1", "look", "{}")]), Turn("user", [Result("1", "look", [Text("ok")])])]
THOUGHT = [Turn("assistant", [SEALED, Call("0", "look", "{}")]), Turn("user", [Result("0", "look", [Text("ok")])])]


@pytest.mark.parametrize(
    ("turns", "thinks"),
    [
        ([HI, *CALLED], False),
        ([HI, *THOUGHT, *CALLED], True),
        ([HI, *CALLED, *THOUGHT], True),
        ([HI, *THOUGHT, Turn("assistant", [Text("So")]), HI, *CALLED], False),
        ([HI, *CALLED, Turn("assistant", [Text("So")]), HI], True),
        ([HI, Turn("assistant", [Text("{")])], False),
    ],
)
def test_calls_that_began_without_thinking_end_without_it(turns: list[Turn], thinks: bool) -> None:
    """Chat clients keep no seals, and what another vendor thought is none of Anthropic's."""
    turns = [Turn(turn.role, list(turn.parts)) for turn in turns]
    members, lost = sent(turns=turns, tools=[LOOK], reasoning=Reasoning(level="high", budget=24576))
    assert ("thinking" in members) is thinks
    assert lost == ([] if thinks else ["reasoning_effort"])
    levels = Target(model="m", levels=("low", "high"))
    assert "thinking" in sent(levels, turns=turns, tools=[LOOK], reasoning=Reasoning(level="high"))[0]


def test_what_is_out_of_range_or_has_no_word_is_named() -> None:
    members, lost = sent(
        temperature=1.7,
        stop=["\n", "END"],
        n=2,
        seed=0,
        tier="flex",
        output=Output(kind="json"),
        verbosity="low",
        cache_key="k",
        modalities=["text", "audio"],
        rest={"logit_bias": {}},
        unread=["input_tape"],
    )
    assert members["temperature"] == 1.0
    assert members["stop_sequences"] == ["END"]
    assert set(lost) == {
        "temperature",
        "stop",
        "n",
        "seed",
        "service_tier",
        "response_format",
        "verbosity",
        "prompt_cache_key",
        "modalities",
        "logit_bias",
        "input_tape",
    }


def test_who_asks_how_fast_and_in_what_form() -> None:
    schema = {"type": "object", "properties": {}}
    members, lost = sent(user="someone", tier="default", output=Output(kind="schema", schema=schema), stream=True)
    assert members["metadata"] == {"user_id": "someone"}
    assert members["service_tier"] == "standard_only"
    assert members["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert members["stream"] is True
    assert lost == []


def test_counting_takes_the_prompt_alone_and_answers_a_number() -> None:
    members, _ = sent(system=[Text("s")], temperature=0.5, stop=["END"], user="someone")
    assert count_members(members).keys() == {"model", "messages", "system"}
    assert read_count(write_count(17)) == 17
    for body in (b"{}", b"[]", b"\xff", b'{"input_tokens":"many"}'):
        with pytest.raises(Refusal) as refused:
            read_count(body)
        assert refused.value.status == 502


@given(st.integers(-2, 200_000), st.integers(1, 70_000), st.integers(0, 70_000))
def test_a_budget_is_always_one_anthropic_takes(budget: int, most: int, cap: int) -> None:
    members, _ = sent(Target(model="claude", max_output=cap), reasoning=Reasoning(budget=budget), max_output=most)
    thinking = members.get("thinking", {})
    if thinking.get("type") == "enabled":
        assert 1024 <= thinking["budget_tokens"] < members["max_tokens"]
