"""What Claude Code, the SDKs and others say to `/v1/messages`, read into the representation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.anthropic_messages.grammar import read_request
from vaultd.wire.ir import (
    Call,
    Choice,
    Citation,
    Hosted,
    Media,
    Opaque,
    Output,
    Reasoning,
    Request,
    Result,
    Search,
    Text,
    Thinking,
    Tool,
    Turn,
)
from vaultd.wire.refusal import Refusal
from vaultd.wire.signature import carry

GEMINI_SEAL = carry("CiQBsigOPAQUE", "gemini")
HI = [{"role": "user", "content": "Hi"}]


def read(**members: Any) -> Request:
    body = json.dumps({"model": "alias", "max_tokens": 100, "messages": HI} | members).encode()
    return read_request(body, model="m", stream=True)


def told(*content: Any, role: str = "user") -> list[Turn]:
    return read(messages=[{"role": role, "content": list(content)}]).turns


def test_the_model_is_the_one_given_and_the_limits_are_kept() -> None:
    request = read(temperature=1, top_p=0.5, top_k=40, stop_sequences=["END"], metadata={"user_id": "someone"})
    assert (request.model, request.stream, request.max_output) == ("m", True, 100)
    assert (request.temperature, request.top_p, request.top_k, request.stop) == (1.0, 0.5, 40, ["END"])
    assert request.user == "someone"
    assert request.rest == {}


def test_system_is_a_text_or_blocks_and_what_claude_code_tells_anthropic_of_itself_goes_no_further() -> None:
    assert read(system="Be brief.").system == [Text("Be brief.")]
    mark = {"type": "ephemeral"}
    blocks = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=1"},
        {"type": "text", "text": "Be brief.", "cache_control": mark},
        {"type": "text", "text": " \n"},
    ]
    assert read(system=blocks).system == [Text("Be brief.", mark)]


def test_a_system_message_stays_where_it_was_said() -> None:
    turns = read(
        messages=[
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "system", "content": [{"type": "text", "text": "French now."}]},
            {"role": "user", "content": "More"},
        ]
    ).turns
    assert [turn.role for turn in turns] == ["user", "assistant", "system", "user"]
    assert turns[2] == Turn("system", [Text("French now.")], anchored=True)


def test_one_that_comes_before_anything_else_is_a_system_text() -> None:
    request = read(system="One.", messages=[{"role": "system", "content": "Two."}, *HI])
    assert request.system == [Text("One."), Text("Two.")]
    assert request.turns == [Turn("user", [Text("Hi")])]


def test_blank_texts_vanish_and_turns_of_them_too() -> None:
    blank = {"type": "text", "text": " \n"}
    turns = read(messages=[*HI, {"role": "assistant", "content": [blank]}, {"role": "user", "content": ""}]).turns
    assert turns == [Turn("user", [Text("Hi")])]


def test_images_and_documents_of_every_source() -> None:
    assert told(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://host.example/a.jpg"}},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {
            "type": "document",
            "title": "a.pdf",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "a piece"}]}},
    ) == [
        Turn(
            "user",
            [
                Media(kind="image", mime="image/png", data="AA=="),
                Media(kind="image", mime="image/jpeg", url="https://host.example/a.jpg"),
                Media(kind="image", file_id="file_1"),
                Media(kind="file", mime="application/pdf", data="AA==", name="a.pdf"),
                Media(kind="file", mime="text/plain", text="plain"),
                Media(kind="file", mime="text/plain", text="a piece"),
            ],
        )
    ]


def test_what_of_a_document_no_part_holds_is_said() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "plain"}
    document = {"type": "document", "source": source, "context": "from the archive", "citations": {"enabled": True}}
    request = read(messages=[{"role": "user", "content": [document, {"type": "image", "source": {"type": "tape"}}]}])
    assert request.unread == ["document.context", "document.citations", "image.source.tape"]


def test_calls_and_results() -> None:
    turns = read(
        messages=[
            *HI,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "plan", "signature": "sealed"},
                    {"type": "redacted_thinking", "data": "hidden"},
                    {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "sky"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "wait", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "and then?"},
                    {"type": "tool_result", "tool_use_id": "toolu_2"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "clouds"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                            {"type": "tool_reference", "tool_name": "telescope"},
                            {"type": "search_result", "title": "Sky", "source": "s", "content": []},
                        ],
                    },
                ],
            },
        ]
    ).turns
    assert turns[1].parts == [
        Thinking("plan", carry("sealed", "anthropic-messages")),
        Thinking("", carry("hidden", "anthropic-messages"), redacted=True),
        Call("toolu_1", "look", '{"at":"sky"}'),
        Call("toolu_2", "wait", "{}"),
    ]
    first, second, text = turns[2].parts
    assert isinstance(first, Result)
    assert (first.call_id, first.name, first.is_error) == ("toolu_1", "look", True)
    assert [type(part) for part in first.parts] == [Text, Media, Text, Media]
    assert [part.text for part in first.parts if isinstance(part, Text)] == ["clouds", "telescope"]
    assert second == Result("toolu_2", "wait")
    assert text == Text("and then?")


def test_a_seal_that_came_as_empty_thinking_is_the_calls_own_again() -> None:
    sealed = {"type": "thinking", "thinking": "", "signature": GEMINI_SEAL}
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    turns = read(messages=[*HI, {"role": "assistant", "content": [sealed, call]}]).turns
    assert turns[1].parts == [Call("toolu_1", "look", "{}", signature=GEMINI_SEAL)]


def test_a_search_the_vendor_made_is_one_part_and_its_other_tools_are_its_own() -> None:
    page = {"type": "web_search_result", "url": "https://host.example", "title": "Oslo", "encrypted_content": "x"}
    run = {"type": "server_tool_use", "id": "srvtoolu_2", "name": "code_execution", "input": {"code": "1"}}
    turns = told(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "oslo"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [page]},
        run,
        {"type": "container_upload", "file_id": "file_1"},
        role="assistant",
    )
    search, own, upload = turns[0].parts
    assert isinstance(search, Search)
    assert (search.id, search.query) == ("srvtoolu_1", "oslo")
    assert search.found == [Citation(url="https://host.example", title="Oslo")]
    assert own == Opaque("anthropic-messages", "server_tool_use", run)
    assert isinstance(upload, Opaque)


def test_tools_of_the_client_and_of_the_vendor() -> None:
    search = {"type": "web_search_20250305", "name": "find", "max_uses": 3, "allowed_domains": ["host.example"]}
    bash = {"type": "bash_20250124", "name": "bash"}
    request = read(
        tools=[
            {"name": "look", "description": "Looks", "input_schema": {"type": "object"}, "defer_loading": True},
            {"name": "wait", "type": "custom", "input_schema": {"type": "object"}, "strict": True},
            search,
            bash,
        ],
        tool_choice={"type": "tool", "name": "find", "disable_parallel_tool_use": True},
    )
    own = "anthropic-messages"
    assert request.tools == [
        Tool(name="look", description="Looks", schema={"type": "object"}, extra={own: {"defer_loading": True}}),
        Tool(name="wait", schema={"type": "object"}, strict=True),
    ]
    assert request.hosted == [
        Hosted(kind="web_search", name="find", allowed_domains=["host.example"], max_uses=3, extra={own: search}),
        Hosted(kind="bash", name="bash", extra={own: bash}),
    ]
    assert request.choice == Choice(mode="required", names=("find",))
    assert request.parallel is False


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 8192}}, Reasoning(budget=8192, summary="auto")),
        ({"thinking": {"type": "enabled"}}, Reasoning(level="auto", summary="auto")),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Reasoning(level="none")),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning(level="xhigh", summary="none")),
        (
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            Reasoning(level="low", summary="auto"),
        ),
        ({"output_config": {"effort": "medium"}}, Reasoning(level="medium")),
    ],
)
def test_how_much_to_think(members: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert read(**members).reasoning == reasoning


def test_tiers_formats_and_what_nobody_else_knows() -> None:
    assert read(service_tier="standard_only").tier == "default"
    assert read(service_tier="auto", speed="fast").tier == "priority"
    schema = {"type": "object", "properties": {}}
    shaped = read(output_config={"format": {"type": "json_schema", "schema": schema}, "task_budget": {"total": 5}})
    assert shaped.output == Output(kind="schema", schema=schema)
    assert shaped.rest == {"output_config.task_budget": {"total": 5}}
    left = read(context_management={"edits": []}, mcp_servers=[], betas=["a"], container=None)
    assert left.rest == {"context_management": {"edits": []}, "mcp_servers": []}


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [*HI, {"role": "assistant", "content": 7}]}, "messages.1.content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages.0.content.0.source"),
        ({"system": [{"type": "image"}]}, "system.0.type"),
        ({"tools": [{"name": 7}]}, "tools.0.name"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"temperature": True}, "temperature"),
        ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens"),
        ({"metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_a_wrong_member_is_a_400_that_names_it(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(**members)
    assert refused.value.status == 400
    assert refused.value.message.startswith(f"{named}: ")


RICH: dict[str, Any] = {
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [{"type": "document", "source": {"type": "content", "content": [{"type": "text"}]}}],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "text", "text": "x", "citations": [{"url": "u"}]},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"url": "u", "title": "t"}]},
                {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}, "caller": {}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i", "content": [{"type": "text"}]}]},
    ],
    "tools": [{"name": "n", "input_schema": {}}, {"type": "web_search_20250305", "name": "w", "max_uses": 1}],
    "tool_choice": {"type": "tool", "name": "n"},
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
}
JUNK = st.sampled_from(
    [None, True, 0, -1, 2.5, 1e308, "", "text", [], [None], [[]], {}, {"type": "text"}, {"type": []}]
)


@given(st.data())
def test_any_type_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    body = json.loads(json.dumps(RICH))
    at: Any = body
    while True:
        key = data.draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 3)) == 0:
            at[key] = data.draw(JUNK)
            break
        at = at[key]
    try:
        read_request(json.dumps(body).encode(), model="m", stream=False)
    except Refusal as refusal:
        assert refusal.status == 400


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"\xff", b"{", b"[" * 100_000])
def test_what_is_no_object_is_a_400(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        read_request(body, model="m", stream=False)
    assert refused.value.status == 400
