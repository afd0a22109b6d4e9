"""What Codex and OpenAI's SDKs ask, read; what a Responses vendor is asked, written."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from vaultd.wire.ir import (
    Call,
    Choice,
    Compaction,
    Hosted,
    Media,
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
from vaultd.wire.openai_responses import grammar
from vaultd.wire.refusal import Refusal

#: A Fernet token's shape: what the ChatGPT backend seals reasoning with.
SEALED = "gAAAAABo53gAAAEC" + "CANARY00" * 15 + "CANA"
PNG = "data:image/png;base64,Q0FOQVJZ"


def read(**members: Any) -> Request:
    return grammar.read_request(msgspec.json.encode({"model": "m", **members}), model="m", stream=False)


def written(request: Request, target: Target = Target(model="up")) -> tuple[dict[str, Any], list[str]]:  # noqa: B008
    lost = Loss()
    members, _ = grammar.write_request(request, target, lost)
    return msgspec.json.decode(msgspec.json.encode(members)), list(lost)


def asked(**members: Any) -> Request:
    return Request(format="openai-chat", model="m", **members)


# What clients send.


def test_a_text_is_a_users_turn() -> None:
    assert read(input="CANARY").turns == [Turn("user", [Text("CANARY")])]


def test_items_without_a_type_are_messages_and_the_first_instructions_the_head() -> None:
    request = read(
        instructions="Be CANARY.",
        input=[
            {"role": "developer", "content": "Terse."},
            {"role": "user", "content": "Hi"},
            {"role": "developer", "content": [{"type": "input_text", "text": "Now French."}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        ],
    )
    assert [text.text for text in request.system] == ["Be CANARY.", "Terse."]
    assert request.turns == [
        Turn("user", [Text("Hi")]),
        Turn("system", [Text("Now French.")]),
        Turn("assistant", [Text("No.", refusal=True)]),
    ]


def test_a_tool_turn_of_codex_is_one_turn_each_side() -> None:
    request = read(
        input=[
            {"role": "user", "content": "CANARY"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Plan."}], "content": None,
             "encrypted_content": SEALED},
            {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
            {"type": "function_call_output", "call_id": "c1",
             "output": [{"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": PNG}]},
        ]
    )  # fmt: skip
    assert request.turns[1].parts[0] == Thinking("Plan.", SEALED)
    assert [part for part in request.turns[1].parts if isinstance(part, Call)] == [
        Call("c1", "shell", "{}"),
        Call("c2", "apply_patch", "*** Begin", "custom"),
    ]
    shown = Media(kind="image", mime="image/png", data="Q0FOQVJZ")
    assert request.turns[2].parts == [
        Result("c1", "shell", [Text("seen"), shown]),
        Result("c2", "apply_patch", [Text("done")], kind="custom"),
    ]


def test_googles_seal_of_a_call_comes_back_to_the_call() -> None:
    request = read(
        input=[
            {"role": "user", "content": "CANARY"},
            {"type": "reasoning", "summary": [], "encrypted_content": "vaultdG0CANARY=="},
            {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{}"},
            {"type": "function_call", "call_id": "c2", "name": "shell", "arguments": "{}"},
        ]
    )
    assert request.turns[1].parts == [
        Call("c1", "shell", "{}", signature="vaultdG0CANARY=="),
        Call("c2", "shell", "{}"),
    ]


def test_tools_of_a_lite_model_stand_in_an_item_and_a_namespace() -> None:
    tools = [
        {
            "type": "namespace",
            "name": "codex",
            "tools": [{"type": "custom", "name": "exec", "format": {"type": "text"}}],
        }
    ]
    request = read(
        input=[
            {"type": "additional_tools", "role": "developer", "tools": tools},
            {"role": "user", "content": "CANARY"},
            {"type": "custom_tool_call", "call_id": "c", "namespace": "codex", "name": "exec", "input": "1+1"},
        ],
        tool_choice={"type": "custom", "name": "exec", "namespace": "codex"},
    )
    assert request.tools == [Tool(name="codex__exec", kind="custom", namespace="codex", grammar={"type": "text"})]
    assert request.turns[1].parts == [Call("c", "codex__exec", "1+1", "custom")]
    assert request.choice == Choice(mode="required", names=("codex__exec",))


@pytest.mark.parametrize("alias", ["web_search", "web_search_preview", "web_search_preview_2025_03_11"])
def test_every_name_of_the_web_search_is_one(alias: str) -> None:
    tool = {"type": alias, "filters": {"allowed_domains": ["canary.example"]}, "search_context_size": "low"}
    request = read(input="CANARY", tools=[tool], tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [tool]})
    assert [(hosted.kind, hosted.allowed_domains) for hosted in request.hosted] == [("web_search", ["canary.example"])]
    members, _ = written(request)
    assert members["tools"] == [{**tool, "type": "web_search"}]
    assert members["tool_choice"] == {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]}


def test_what_only_the_responses_api_keeps_is_named() -> None:
    assert grammar.cannot_translate(read(input="CANARY", previous_response_id="resp_1")) == "previous_response_id"
    assert grammar.cannot_translate(read(input=[{"type": "item_reference", "id": "msg_1"}])) == "item_reference"
    assert grammar.cannot_translate(read(input="CANARY", previous_response_id=None, background=False)) == ""


def test_compaction_is_asked_for_and_comes_back_as_its_summary_where_that_is_known() -> None:
    request = read(
        input=[
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "ours"},
            {"type": "compaction", "encrypted_content": SEALED},
            {"type": "compaction_trigger"},
        ]
    )
    assert request.rest == {"compaction_trigger": True}
    own = Compaction("ours", id="cmp_1")
    assert request.turns == [Turn("user", [own, Compaction(SEALED)])]
    own.summary = "CANARY so far ✓"
    request.turns[0].parts[0] = own
    assert written(request)[0]["input"] == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "CANARY so far ✓"}]},
        {"type": "compaction", "encrypted_content": SEALED},
    ]


def test_what_nobody_knows_is_told_and_what_changes_nothing_is_not() -> None:
    request = read(
        input=[
            {"type": "mcp_list_tools"},
            {"role": "user", "content": [{"type": "input_hologram"}, {"type": "input_text", "text": "CANARY"}]},
        ],
        include=["reasoning.encrypted_content"],
        store=False,
        client_metadata={"a": "b"},
        max_tool_calls=3,
    )
    assert request.unread == ["mcp_list_tools", "input_hologram"]
    assert request.rest == {"max_tool_calls": 3}


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"input": 3}, "input"),
        ({"input": ["x"]}, "input[0]"),
        (
            {"input": [{"role": "user", "content": "CANARY"}, {"type": "function_call", "call_id": 4}]},
            "input[1].call_id",
        ),
        ({"input": [{"role": "critic", "content": "CANARY"}]}, "input[0].role"),
        ({"input": [{"type": "message", "role": "user", "content": [{"type": "input_image"}]}]}, "input[0]"),
        ({"input": [{"type": ["x"]}]}, "input[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"temperature": "hot"}, "temperature"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ],
)
def test_a_wrong_type_is_refused_by_its_name(members: dict[str, Any], named: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(**members)
    assert refused.value.status == 400
    assert f"'{named}'" in refused.value.message


@pytest.mark.parametrize("body", [b"[]", b"{", b'"CANARY"', b"\xff", b"[" * 5000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        grammar.read_request(body, model="m", stream=False)
    assert refused.value.status == 400


# What a vendor is sent.


def test_calls_and_results_share_a_shortened_id() -> None:
    long = "toolu_" + "k" * 90
    request = asked(
        turns=[
            Turn("assistant", [Call(long, "f", '{"a":1}')]),
            Turn("user", [Result(long, "f", [Text("CANARY")], is_error=True)]),
        ]
    )
    members, lost = written(request)
    call, result = members["input"]
    assert len(call["call_id"]) == 64
    assert call["call_id"] == result["call_id"]
    assert lost == ["tool_result.is_error"]


def test_reasoning_goes_back_to_who_sealed_it_alone() -> None:
    parts = [
        Thinking("CANARY", SEALED),
        Thinking("CANARY", "vaultdA0CANARY"),
        Thinking("CANARY"),
        Text("So."),
        Call("c", "f", ""),
    ]
    members, lost = written(asked(turns=[Turn("assistant", list(parts))]))
    assert members["input"] == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "CANARY"}], "encrypted_content": SEALED},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "So.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]
    assert lost == []


def test_media_are_said_in_its_words_or_told_as_lost() -> None:
    parts = [
        Media(kind="image", mime="image/png", data="Q0FOQVJZ", detail="low"),
        Media(kind="image", url="https://canary.example/a.png"),
        Media(kind="file", mime="application/pdf", data="Q0FOQVJZ", name="a.pdf"),
        Media(kind="file", text="CANARY"),
        Media(kind="audio", mime="audio/wav", data="Q0FOQVJZ"),
        Media(kind="video", url="https://canary.example/v"),
    ]
    members, lost = written(asked(turns=[Turn("user", list(parts)), Turn("assistant", [Search("s", "CANARY")])]))
    assert members["input"][0]["content"] == [
        {"type": "input_image", "image_url": PNG, "detail": "low"},
        {"type": "input_image", "image_url": "https://canary.example/a.png", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,Q0FOQVJZ"},
        {"type": "input_text", "text": "CANARY"},
    ]
    assert lost == ["audio", "video", "web_search_call"]


def test_system_text_is_a_developers_and_instructions_stay_where_they_were_said() -> None:
    members, _ = written(
        asked(system=[Text("CANARY")], turns=[Turn("user", [Text("Hi")]), Turn("system", [Text("Now.")])])
    )
    assert "instructions" not in members
    assert [item["role"] for item in members["input"]] == ["developer", "user", "developer"]
    assert written(read(instructions="CANARY", input="Hi"))[0]["instructions"] == "CANARY"


def test_how_much_to_think() -> None:
    thinker = Target(model="up", thinks=True)
    assert written(asked(), thinker)[0]["reasoning"] == {"effort": "medium", "summary": "auto"}
    asks = asked(reasoning=Reasoning(level="high", budget=24576, summary="none"))
    assert written(asks)[0]["reasoning"] == {"effort": "high"}
    assert written(asked(reasoning=Reasoning(level="none", budget=0)))[0]["reasoning"] == {"effort": "none"}
    plain = written(asked(), Target(model="up", thinks=False))[0]
    assert "reasoning" not in plain and "include" not in plain
    assert "reasoning" not in written(asked())[0]


def test_tools_are_flat_and_what_belongs_to_them_goes_with_them() -> None:
    tools = [
        Tool(name="f", schema={"type": "object", "$schema": "CANARY"}, cache={"type": "ephemeral"}),
        Tool(name="p", kind="custom", grammar={"type": "text"}),
    ]
    hosted = [
        Hosted(kind="web_search", name="s", allowed_domains=["a.example"], blocked_domains=["b.example"], max_uses=2),
        Hosted(kind="code_execution"),
    ]
    request = asked(tools=tools, hosted=hosted, choice=Choice(mode="required", names=("s",)), parallel=False)
    members, lost = written(request)
    assert members["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": False},
        {"type": "custom", "name": "p", "format": {"type": "text"}},
        {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}},
    ]
    assert (members["tool_choice"], members["parallel_tool_calls"]) == ({"type": "web_search"}, False)
    assert lost == ["web_search.blocked_domains", "web_search.max_uses", "code_execution"]
    bare = written(asked(choice=Choice(mode="auto"), parallel=True))[0]
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & bare.keys()


def test_what_it_has_no_word_for_is_lost_aloud() -> None:
    request = asked(stop=["CANARY"], n=2, seed=0, top_k=5, metadata={"a": 1}, tier="standard_only", unread=["x"])
    request.rest = {"logit_bias": {}}
    request.output = Output(kind="schema", name="a b", schema={"type": "object"}, strict=True)
    members, lost = written(request)
    assert members["text"]["format"]["name"] == "a_b"
    assert sorted(lost) == ["logit_bias", "metadata", "n", "seed", "service_tier", "stop", "top_k", "x"]


def test_a_users_name_that_is_too_long_for_the_api_is_lost() -> None:
    assert written(asked(user="CANARY" * 10))[0]["user"] == "CANARY" * 10
    members, lost = written(asked(user="CANARY" * 11))
    assert "user" not in members and lost == ["user"]


def test_what_anthropic_calls_strict_is_not_what_the_api_does() -> None:
    tools = [Tool(name="f", schema={"type": "object"}, strict=True)]
    assert written(asked(tools=tools))[0]["tools"][0]["strict"] is True
    members, lost = written(Request(format="anthropic-messages", model="m", tools=tools))
    assert members["tools"][0]["strict"] is False and lost == ["tools.strict"]
