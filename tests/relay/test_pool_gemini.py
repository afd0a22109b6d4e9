"""Google counts by project and by model: a 429 moves on within one login before it moves to the next."""

from __future__ import annotations

from typing import Any

import pytest
from pooled import Open, Pooled

MODEL = "gemini-2.5-pro"
PREVIEW = "gemini-2.5-pro-preview-06-05"


async def with_logins(pooled: Open, *emails: str, **config: Any) -> Pooled:
    house = await pooled({"routing": {"strategy": "fill-first"}}, config)
    house.sandbox.set("gemini", projects=["one", "two"])
    for email in emails:
        await house.sign_in("gemini", email, projects=("one", "two"))
    return house


def ways(house: Pooled) -> list[tuple[str, str, str]]:
    """Who asked, in which project, for which model; in order."""
    known = house.sandbox["gemini"]
    return [
        (
            known.live(str(hit.header("authorization")).removeprefix("Bearer ")).family.account.email.partition("@")[0],
            hit.json()["project"],
            hit.json()["model"],
        )
        for hit in known.hits
        if hit.at == "llm"
    ]


async def test_first_the_next_project_then_the_preview_then_the_next_login(pooled: Open) -> None:
    house = await with_logins(pooled, "ann@example.com", "ben@example.com")
    house.sandbox.exhaust("gemini", seconds=600, account="ann@example.com")
    assert (await house.ask("gemini", MODEL)).status == 200
    assert ways(house) == [
        ("ann", "one", MODEL),
        ("ann", "two", MODEL),
        ("ann", "one", PREVIEW),
        ("ann", "two", PREVIEW),
        ("ben", "one", MODEL),
    ]
    house.sandbox["gemini"].hits.clear()
    assert (await house.ask("gemini", MODEL)).status == 200
    assert ways(house) == [("ben", "one", MODEL)], "what rests is not asked again"


async def test_a_project_that_rests_is_passed_by(pooled: Open) -> None:
    house = await with_logins(pooled, "ann@example.com")
    house.sandbox.exhaust("gemini", seconds=600, project="one")
    assert [(await house.ask("gemini", MODEL)).status for _ in range(3)] == [200] * 3
    assert ways(house) == [("ann", "one", MODEL), *[("ann", "two", MODEL)] * 3]
    (rest,) = house.resting()
    assert rest.model == f"{MODEL} in one"


@pytest.mark.parametrize(
    ("switch", "expected"),
    [
        ({"switch-project": False}, [("ann", "one", MODEL), ("ann", "one", PREVIEW), ("ben", "one", MODEL)]),
        ({"switch-preview-model": False}, [("ann", "one", MODEL), ("ann", "two", MODEL), ("ben", "one", MODEL)]),
        ({"switch-project": False, "switch-preview-model": False}, [("ann", "one", MODEL), ("ben", "one", MODEL)]),
    ],
)
async def test_each_can_be_switched_off(pooled: Open, switch: dict[str, bool], expected: list[Any]) -> None:
    house = await with_logins(pooled, "ann@example.com", "ben@example.com", **{"quota-exceeded": switch})
    house.sandbox.exhaust("gemini", seconds=600, account="ann@example.com")
    assert (await house.ask("gemini", MODEL)).status == 200
    assert ways(house) == expected


async def test_a_wish_for_the_answer_itself_is_no_reason_to_switch(pooled: Open) -> None:
    house = await with_logins(pooled, "ann@example.com", "ben@example.com")
    house.sandbox.deny("gemini", why="policy")
    assert (await house.ask("gemini", MODEL)).status == 400
    assert ways(house) == [("ann", "one", MODEL)]
