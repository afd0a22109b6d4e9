"""Refusals: one about the request ends the search and harms nobody, one about the credential finds the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pooled import Open, Pooled, chat_keys, keys_of

from vaultd.sandbox import Sandbox

#: The client's format, its vendor, and the keys of a vendor by their names.
ASKING: dict[str, tuple[str, str, Callable[..., dict[str, Any]]]] = {
    "anthropic": ("messages", "claude", lambda sandbox, *names: keys_of(sandbox, "claude-api-key", MODELS, *names)),
    "google": ("gemini", "gemini", lambda sandbox, *names: keys_of(sandbox, "gemini-api-key", MODELS, *names)),
    "openai": ("chat", "invented", chat_keys),
    "responses": ("responses", "codex", lambda sandbox, *names: keys_of(sandbox, "codex-api-key", MODELS, *names)),
}
MODELS = ["big", "small"]
FIFTY = [f"k{number}" for number in range(50)]


async def with_keys(pooled: Open, who: str, *names: str, **config: Any) -> tuple[Pooled, str, str]:
    fmt, vendor, keys = ASKING[who]

    def listed(sandbox: Sandbox) -> dict[str, Any]:
        return keys(sandbox, *names)

    # One after the other, so that a test can say who is asked first.
    return await pooled(listed, {"routing": {"strategy": "fill-first"}}, config), fmt, vendor


async def first_of(house: Pooled, fmt: str, vendor: str) -> str:
    """Whom the strategy asks first."""
    assert (await house.ask(fmt, "big")).status == 200
    (name,) = house.asked(vendor)
    house.sandbox[vendor].uses.clear()
    return name


def harmed(house: Pooled) -> list[str]:
    return [standing.sentence for standing in house.standings() if standing.state != "available"]


# --- about the request ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ASKING)
@pytest.mark.parametrize(("why", "status"), [("too-long", 400), ("too-large", 413), ("policy", 400)])
async def test_a_request_nobody_will_answer_reaches_the_vendor_once_whatever_the_number_of_credentials(
    pooled: Open, who: str, why: str, status: int
) -> None:
    house, fmt, vendor = await with_keys(pooled, who, *FIFTY, **{"request-retry": 3})
    house.sandbox.deny(vendor, why=why)
    assert (await house.ask(fmt, "big")).status == status
    assert len(house.requests(vendor)) == 1
    assert not harmed(house)


@pytest.mark.parametrize("who", ["anthropic", "openai"])
async def test_a_malformed_request_reaches_the_vendor_once(pooled: Open, who: str) -> None:
    house, fmt, vendor = await with_keys(pooled, who, *FIFTY)
    path = {"messages": "/v1/messages", "chat": "/v1/chat/completions"}[fmt]
    told = await house.post(path, {"model": "big", "max_tokens": 9, "messages": []})
    assert told.status == 400
    assert len(house.requests(vendor)) == 1
    assert not harmed(house)


# --- about the credential ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ASKING)
async def test_a_bad_key_is_followed_by_the_next_and_left_alone(pooled: Open, who: str) -> None:
    """Google says 400, the others 401."""
    house, fmt, vendor = await with_keys(pooled, who, "one", "two")
    bad = await first_of(house, fmt, vendor)
    house.sandbox.set(vendor, bad_keys=[f"sk-CANARY-{bad}"])
    assert [(await house.ask(fmt, model)).status for model in ("big", "small", "big")] == [200] * 3
    assert house.sandbox[vendor].counts["refused:key"] == 1
    (rest,) = house.resting()
    assert not rest.model, "it is refused for every model"
    assert rest.action != "wait", "time does not help"


@pytest.mark.parametrize(
    ("who", "status"), [("anthropic", 0), ("anthropic", 402), ("google", 0), ("openai", 0), ("openai", 402)]
)
async def test_an_empty_account_is_followed_by_the_next(pooled: Open, who: str, status: int) -> None:
    """400 at Anthropic, 403 at Google, 429 at OpenAI, 402 at others."""
    house, fmt, vendor = await with_keys(pooled, who, "one", "two")
    empty = await first_of(house, fmt, vendor)
    house.sandbox.deny(vendor, why="empty", status=status, key=f"sk-CANARY-{empty}")
    assert [(await house.ask(fmt, "big")).status for _ in range(3)] == [200] * 3
    assert house.sandbox[vendor].counts["denied:empty"] == 1
    (rest,) = house.resting()
    assert "credit" in rest.reason or status == 0


@pytest.mark.parametrize("who", ASKING)
async def test_a_model_that_this_account_may_not_use_is_asked_of_the_next_and_another_model_still_of_it(
    pooled: Open, who: str
) -> None:
    house, fmt, vendor = await with_keys(pooled, who, "one", "two")
    first = await first_of(house, fmt, vendor)
    house.sandbox.deny(vendor, why="model", model="big", key=f"sk-CANARY-{first}")
    assert [(await house.ask(fmt, "big")).status for _ in range(3)] == [200] * 3
    assert house.sandbox[vendor].counts["denied:model"] == 1, "it is not asked for it again"
    (other,) = set(house.asked(vendor)) - {first}
    assert house.asked(vendor)[other] == 3
    house.sandbox[vendor].uses.clear()
    assert [(await house.ask(fmt, "small")).status for _ in range(3)] == [200] * 3
    assert house.asked(vendor) == {first: 3}
    (rest,) = house.resting()
    assert "big" in rest.model and "may not use" in rest.reason


@pytest.mark.parametrize("who", ASKING)
async def test_when_nobody_may_use_the_model_the_client_hears_that_it_is_not_there(pooled: Open, who: str) -> None:
    house, fmt, vendor = await with_keys(pooled, who, "one", "two")
    house.sandbox.deny(vendor, why="model", model="big")
    for _ in range(4):
        told = await house.ask(fmt, "big")
        assert told.status == 404 and "big" in told.words, told.text
    assert (await house.ask(fmt, "small")).status == 200


async def test_a_model_closed_to_a_codex_login_is_asked_of_the_next_login(pooled: Open) -> None:
    """The backend says 400 and a sentence."""
    house = await pooled({"routing": {"strategy": "fill-first"}})
    for email in ("ann@example.com", "ben@example.com"):
        await house.sign_in("codex", email)
    assert (await house.ask("responses", "gpt-5")).status == 200
    (first,) = house.asked("codex")
    house.sandbox.deny("codex", why="model", model="gpt-5", account=first)
    assert [(await house.ask("responses", "gpt-5")).status for _ in range(3)] == [200] * 3
    assert house.sandbox["codex"].counts["denied:model"] == 1
    house.sandbox["codex"].uses.clear()
    assert (await house.ask("responses", "gpt-5-codex")).status == 200
    assert house.asked("codex") == {first: 1}


async def test_a_limit_that_passes_is_told_before_a_refusal_that_does_not(pooled: Open) -> None:
    """Told "no such model", a client would give up what a minute brings back."""
    house, fmt, vendor = await with_keys(pooled, "anthropic", "one", "two")
    house.sandbox.deny(vendor, why="model", model="big", key="sk-CANARY-one")
    house.sandbox.exhaust(vendor, seconds=60, key="sk-CANARY-two")
    assert (await house.ask(fmt, "big")).status == 429
