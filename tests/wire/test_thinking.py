"""What a client asks a model to think is brought into what that model can do; a word nobody can check stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.wire.ir import Reasoning, Request, Target
from vaultd.wire.thinking import budget_of, fit, level_of, old_gemini_suffix, suffix

LEVELS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
FLASH = Target(model="flash", most_budget=24576, zero_allowed=True, dynamic_allowed=True)
PRO = Target(model="pro", least_budget=128, most_budget=32768)
GPT = Target(model="gpt-5-codex", levels=("low", "medium", "high"))


def fitted(target: Target, *, level: str = "", budget: int | None = None, summary: str = "") -> Reasoning | None:
    asked = Reasoning(level=level, budget=budget, summary=summary)
    return fit(Request(format="openai-chat", model="m", reasoning=asked), target)


def test_a_level_is_a_budget_and_that_budget_the_level() -> None:
    assert [budget_of(level) for level in LEVELS] == [0, 512, 1024, 8192, 24576, 32768, 128000]
    assert [level_of(budget_of(level)) for level in LEVELS[:6]] == list(LEVELS[:6])
    assert level_of(-1) == "auto"
    assert budget_of("auto") == -1
    assert level_of(16000) == "high"
    assert level_of(10**9) == "xhigh"


@pytest.mark.parametrize("level", [*LEVELS, "auto", "ultra"])
def test_where_limits_are_unknown_the_word_stays(level: str) -> None:
    reasoning = fitted(Target(model="m"), level=level)
    assert reasoning == Reasoning(level=level, budget=budget_of(level))


def test_where_limits_are_unknown_a_budget_gets_its_level() -> None:
    assert fitted(Target(model="m"), budget=8000) == Reasoning(level="medium", budget=8000)


def test_what_nobody_asked_nobody_says() -> None:
    assert fit(Request(format="openai-chat", model="m"), PRO) is None
    assert fitted(Target(model="m", thinks=False), level="high") is None


def test_who_only_asked_to_see_it_is_given_no_amount() -> None:
    assert fitted(PRO, summary="auto") == Reasoning(summary="auto")


@pytest.mark.parametrize(
    ("target", "asked", "budget", "level"),
    [
        (PRO, 60000, 32768, "xhigh"),
        (PRO, 0, 128, "minimal"),
        (PRO, 50, 128, "minimal"),
        (PRO, -1, 16448, "high"),
        (PRO, -7, 16448, "high"),
        (FLASH, 0, 0, "none"),
        (FLASH, -1, -1, "auto"),
        (FLASH, 5000, 5000, "medium"),
    ],
)
def test_a_budget_is_brought_into_the_range(target: Target, asked: int, budget: int, level: str) -> None:
    assert fitted(target, budget=asked, summary="auto") == Reasoning(level=level, budget=budget, summary="auto")


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        ("none", "low"),
        ("minimal", "low"),
        ("low", "low"),
        ("high", "high"),
        ("max", "high"),
        ("auto", "medium"),
        ("ultra", "medium"),
    ],
)
def test_a_level_the_model_has_not_becomes_the_nearest(asked: str, level: str) -> None:
    reasoning = fitted(GPT, level=asked)
    assert reasoning == Reasoning(level=level, budget=budget_of(asked))


def test_of_two_near_levels_the_lower_is_taken() -> None:
    assert fitted(Target(model="m", levels=("low", "high")), level="medium") == Reasoning(level="low", budget=8192)


def test_none_needs_no_level_of_its_own_where_zero_is_allowed() -> None:
    target = Target(model="m", levels=("low", "high"), zero_allowed=True)
    assert fitted(target, level="none") == Reasoning(level="none", budget=0)


@given(st.integers(-5, 2 * 10**5), st.integers(0, 2000), st.integers(2001, 10**5), st.booleans(), st.booleans())
def test_a_fitted_budget_is_always_one_the_model_takes(
    asked: int, least: int, most: int, zero: bool, dynamic: bool
) -> None:
    target = Target(model="m", least_budget=least, most_budget=most, zero_allowed=zero, dynamic_allowed=dynamic)
    reasoning = fitted(target, budget=asked)
    assert reasoning is not None
    budget = reasoning.budget
    assert budget is not None
    assert (budget == 0 and zero) or (budget == -1 and dynamic) or least <= budget <= most
    assert reasoning.level == level_of(budget)
    assert fit(Request(format="gemini", model="m", reasoning=reasoning), target) == reasoning


@pytest.mark.parametrize(
    ("model", "name", "reasoning"),
    [
        ("gpt-5(high)", "gpt-5", Reasoning(level="high")),
        ("gpt-5(16384)", "gpt-5", Reasoning(budget=16384)),
        ("gpt-5(-1)", "gpt-5", Reasoning(level="auto")),
        ("gpt-5(None)", "gpt-5", Reasoning(level="none")),
        ("a(b)(0)", "a(b)", Reasoning(budget=0)),
        ("gpt-5", "gpt-5", None),
        ("gpt-5(best)", "gpt-5(best)", None),
        ("gpt-5(-2)", "gpt-5(-2)", None),
        ("gpt-5(٣)", "gpt-5(٣)", None),
        ("(high)", "(high)", None),
        ("gpt-5(high)x", "gpt-5(high)x", None),
    ],
)
def test_a_models_name_may_say_it(model: str, name: str, reasoning: Reasoning | None) -> None:
    assert suffix(model) == (name, reasoning)


@pytest.mark.parametrize(
    ("model", "name", "reasoning"),
    [
        ("gemini-2.5-pro-thinking-2000", "gemini-2.5-pro", Reasoning(budget=2000)),
        ("gemini-2.5-pro-nothinking", "gemini-2.5-pro", Reasoning(level="none", summary="none")),
        ("gemini-2.5-pro-reasoning", "gemini-2.5-pro", Reasoning(level="auto")),
        ("gemini-2.5-pro-thinking-x", "gemini-2.5-pro-thinking-x", None),
        ("gemini-2.5-pro", "gemini-2.5-pro", None),
    ],
)
def test_and_an_older_name_too(model: str, name: str, reasoning: Reasoning | None) -> None:
    assert old_gemini_suffix(model) == (name, reasoning)
