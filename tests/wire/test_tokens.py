"""The estimate for vendors that cannot be asked: it grows with what is said, and with nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.ir import Call, Media, Request, Result, Text, Tool, Turn
from vaultd.wire.tokens import estimate

PROSE = "The daemon signs in to its vendors and relays what clients ask of them, one format to another. " * 40


def asked(*turns: Turn, tools: list[Tool] | None = None) -> int:
    return estimate(Request(format="openai-chat", model="m", turns=list(turns), tools=tools or []))


def said(text: str) -> int:
    return asked(Turn("user", [Text(text)]))


def test_english_is_about_a_token_per_four_letters() -> None:
    assert len(PROSE) / 5 < said(PROSE) < len(PROSE) / 4


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [("привет мир", 4, 12), ("你好世界", 3, 12), ("🙂🙂🙂", 6, 14), ("", 0, 7)],
)
def test_other_alphabets_cost_more_per_letter(text: str, least: int, most: int) -> None:
    assert least <= said(text) <= most


def test_calls_results_tools_and_images_count() -> None:
    question = Turn("user", [Text("Oslo?")])
    bare = asked(question)
    call = Turn("assistant", [Call("call_1", "get_weather", '{"city":"Oslo"}')])
    result = Turn("user", [Result("call_1", parts=[Text("4 C")])])
    tool = Tool(name="get_weather", description="Current weather", schema={"type": "object", "properties": {}})
    assert bare < asked(question, call) < asked(question, call, result)
    assert asked(question, tools=[tool]) > bare + 16
    assert asked(Turn("user", [Text("Oslo?"), Media(kind="image", url="https://host.example/a.png")])) >= bare + 1000


def test_a_large_document_costs_more_than_a_small_one() -> None:
    small, large = ("A" * size for size in (1_000, 1_000_000))
    assert asked(Turn("user", [Media(kind="file", data=large)])) > 10 * asked(
        Turn("user", [Media(kind="file", data=small)])
    )


@given(st.text(max_size=200), st.text(max_size=200))
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert said(text) <= said(text + more)
