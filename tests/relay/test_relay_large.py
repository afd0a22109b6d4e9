"""Much of anything costs as much more time as it is more, not its square: what took minutes here hangs, and a hang is a
failure (`timeout` in pyproject.toml)."""

from __future__ import annotations

import json

import msgspec

from vaultd.wire.formats import CLIENTS, VENDORS
from vaultd.wire.ir import Call, Request, Result, Target, Text, Tool, Turn
from vaultd.wire.loss import Loss
from vaultd.wire.names import Names, plain
from vaultd.wire.sse import FRAME_LIMIT, Frames
from vaultd.wire.turns import settle


def test_a_frame_of_the_largest_size_comes_in_small_reads() -> None:
    frames, read = Frames(), b"x" * 4096
    for _ in range(FRAME_LIMIT // len(read)):
        assert frames.feed(read) == b""
    assert len(frames.feed(b"\n\n")) == FRAME_LIMIT + 2


def test_what_an_assistant_said_in_half_a_million_messages_is_one_turn() -> None:
    request = Request(format="openai-chat", model="m", turns=[Turn("assistant", [Text("a")]) for _ in range(500_000)])
    assert [len(turn.parts) for turn in settle(request).turns] == [500_000]


def test_a_hundred_thousand_calls_are_answered_in_the_wrong_order() -> None:
    calls = [Call(id=f"c{at}", name="f", arguments="{}") for at in range(100_000)]
    results = [Result(call_id=call.id) for call in reversed(calls)]
    request = Request(format="openai-chat", model="m", turns=[Turn("assistant", [*calls]), Turn("user", [*results])])
    told = settle(request).turns[1].parts
    assert [part.call_id for part in told if isinstance(part, Result)] == [call.id for call in calls]


def test_thirty_thousand_tools_have_one_name_in_a_vendors_alphabet() -> None:
    tools = [Tool(name=f"{chr(0x4E00 + at % 200)}{chr(0x4E00 + at // 200)}") for at in range(30_000)]
    names = Names.of(Request(format="openai-chat", model="m", tools=tools), plain, customs=True)
    sent = [names.send(tool.name) for tool in tools]
    assert sent[:3] == ["__", "___1", "___2"] and len(set(sent)) == 30_000
    assert [names.restore(name) for name in sent] == [tool.name for tool in tools]


def test_two_thousand_alternatives_at_a_schemas_root_stand_side_by_side() -> None:
    """One in the other they were nested deeper than JSON is written."""
    said = [{"type": "object", "properties": {"p": {"type": "string", "description": str(at)}}} for at in range(2000)]
    tool = {"type": "function", "function": {"name": "f", "parameters": {"anyOf": said}}}
    body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "tools": [tool]}).encode()
    request = CLIENTS["openai-chat"].read_request(body, model="m", stream=False)
    members, _ = VENDORS["anthropic-messages"].write_request(request, Target(model="m"), Loss())
    written = json.loads(msgspec.json.encode(members))["tools"][0]["input_schema"]
    assert written["properties"]["p"] == {"anyOf": [branch["properties"]["p"] for branch in said]}
