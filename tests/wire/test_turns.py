"""A conversation brought into its normal form: whose result a result is."""

from __future__ import annotations

from vaultd.wire.ir import Call, Request, Result, Text, Turn
from vaultd.wire.turns import settle


def settled(*turns: Turn) -> list[Turn]:
    return settle(Request(format="openai-chat", model="m", turns=list(turns))).turns


def answers(turns: list[Turn]) -> list[tuple[str, str]]:
    results = [part for turn in turns for part in turn.parts if isinstance(part, Result)]
    return [(result.call_id, "".join([part.text for part in result.parts if part.text])) for result in results]


def call(ident: str, name: str = "f") -> Call:
    return Call(ident, name, "{}")


def said(ident: str, text: str, name: str = "") -> Turn:
    return Turn("user", [Result(ident, name, [Text(text)])])


def test_a_vendor_that_counts_its_ids_anew_in_each_answer_is_understood() -> None:
    turns = settled(
        Turn("assistant", [call("call_0")]),
        said("call_0", "first"),
        Turn("assistant", [call("call_0")]),
        said("call_0", "second"),
    )
    assert answers(turns) == [("call_0", "first"), ("call_0_2", "second")]
    assert [turn.role for turn in turns] == ["assistant", "user", "assistant", "user"]


def test_a_call_that_nobody_answered_takes_no_later_ones_result() -> None:
    turns = settled(
        Turn("assistant", [call("x")]), Turn("user", [Text("no")]), Turn("assistant", [call("x")]), said("x", "a")
    )
    assert answers(turns) == [("x_2", "a")]


def test_of_calls_with_one_id_in_one_answer_each_has_a_result_in_turn() -> None:
    turns = settled(Turn("assistant", [call("x"), call("x")]), said("x", "first"), said("x", "second"))
    assert answers(turns) == [("x", "first"), ("x_2", "second")]


def test_of_two_results_of_one_call_the_last_counts() -> None:
    turns = settled(Turn("assistant", [call("x"), call("y")]), said("x", "old"), said("y", "y"), said("x", "new"))
    assert answers(turns) == [("x", "new"), ("y", "y")]


def test_a_result_without_an_id_is_that_of_the_call_of_its_name() -> None:
    turns = settled(Turn("assistant", [call("", "f"), call("", "g")]), said("", "G", "g"), said("", "F", "f"))
    assert [text for _, text in answers(turns)] == ["F", "G"]


def test_a_result_may_stand_before_its_call() -> None:
    assert answers(settled(said("x", "early"), Turn("assistant", [call("x")]))) == [("x", "early")]
