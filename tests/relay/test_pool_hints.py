"""A vendor that says when to come back: believed, told to the client as it is, and not believed for weeks."""

from __future__ import annotations

from typing import Any

import pytest
from pooled import WEEKS, Open, Pooled, chat_keys, in_seconds, keys_of

#: Who asks whom: the client's format, the model, the vendor, and the part of the configuration.
BY_KEY: dict[str, tuple[str, str, str, Any]] = {
    "anthropic": ("messages", "m", "claude", lambda sandbox: keys_of(sandbox, "claude-api-key", ["m"], "one")),
    "google": ("gemini", "m", "gemini", lambda sandbox: keys_of(sandbox, "gemini-api-key", ["m"], "one")),
    "openai": ("chat", "big", "invented", lambda sandbox: chat_keys(sandbox, "one")),
}
BY_LOGIN = {
    "anthropic-login": ("messages", "claude-sonnet-4-5-20250929", "claude"),
    "codex-login": ("responses", "gpt-5", "codex"),
    "google-login": ("gemini", "gemini-2.5-flash", "gemini"),
}


async def only_one(pooled: Open, who: str, **config: Any) -> tuple[Pooled, str, str, str]:
    """A model's only credential."""
    if who in BY_KEY:
        fmt, model, vendor, keys = BY_KEY[who]
        return await pooled(keys, config), fmt, model, vendor
    fmt, model, vendor = BY_LOGIN[who]
    house = await pooled(config)
    await house.sign_in(vendor, "ann@example.com", projects=("sandbox-project",) if vendor == "gemini" else ())
    return house, fmt, model, vendor


@pytest.mark.parametrize("who", [*BY_KEY, *BY_LOGIN])
async def test_a_hint_of_weeks_that_is_wrong_keeps_the_only_credential_out_for_minutes(pooled: Open, who: str) -> None:
    """While requests keep coming, each of them a client's: nothing is asked only to find out."""
    house, fmt, model, vendor = await only_one(pooled, who)
    assert house.clock is not None
    house.sandbox.exhaust(vendor, seconds=60, says_seconds=WEEKS)
    began, prompts, statuses = house.clock.boot(), [], []
    while not statuses or (statuses[-1] != 200 and house.clock.boot() - began < 600):
        prompts.append(f"say number-{len(prompts)}-")
        told = await house.ask(fmt, model, prompts[-1])
        statuses.append(told.status)
        house.clock.advance(10)
    assert set(statuses[:-1]) == {429} and statuses[-1] == 200
    assert house.clock.boot() - began <= 300
    reached = [str(request) for request in house.requests(vendor)]
    assert all(any(prompt in request for prompt in prompts) for request in reached)
    assert len(reached) < len(prompts), "most were answered here"
    house.clock.advance(1)
    assert {(await house.ask(fmt, model)).status for _ in range(3)} == {200}, "and it is back for everybody"
    assert not house.resting()


@pytest.mark.parametrize("who", [*BY_KEY, *BY_LOGIN])
async def test_the_client_hears_which_credential_why_and_until_when(pooled: Open, who: str) -> None:
    house, fmt, model, vendor = await only_one(pooled, who)
    house.sandbox.exhaust(vendor, seconds=1800)
    assert (await house.ask(fmt, model)).status == 429, "the vendor's own word"
    (rest,) = house.resting()
    assert rest.until is not None and abs(rest.until - house.sandbox[vendor].now() - 1800) <= 1
    await house.ask(fmt, model, "a request that finds out whether the hint was wrong")
    asked = len(house.requests(vendor))
    told = await house.ask(fmt, model)
    assert (told.status, len(house.requests(vendor))) == (429, asked)
    (credential,) = house.house.pool.roster(house.house)
    for word in (credential, "cooling", "429", in_seconds(1800)[:17]):
        assert word in told.words
    assert "CANARY" not in told.text
    assert 1 <= int(told.headers["retry-after"]) <= 60, "the next request that may find out, not the hint's end"


async def test_a_hint_is_capped_as_configured(pooled: Open) -> None:
    house, fmt, model, vendor = await only_one(pooled, "openai", cooldown={"max-seconds": 120})
    house.sandbox.exhaust(vendor, seconds=WEEKS)
    await house.ask(fmt, model)
    (rest,) = house.resting()
    assert rest.until == house.sandbox[vendor].now() + 120


@pytest.mark.parametrize("hint", ["retry-after", "none"])
@pytest.mark.parametrize("who", ["anthropic", "codex-login", "google", "openai"])
async def test_retry_after_alone_is_believed_and_without_any_hint_the_rest_is_short(
    pooled: Open, who: str, hint: str
) -> None:
    house, fmt, model, vendor = await only_one(pooled, who)
    house.sandbox.exhaust(vendor, seconds=900, hint=hint)
    await house.ask(fmt, model)
    (rest,) = house.resting()
    assert rest.until == house.sandbox[vendor].now() + (900 if hint == "retry-after" else 1)


async def test_the_others_serve_meanwhile_and_nobody_asks_the_one_that_rests(pooled: Open) -> None:
    house = await pooled(lambda sandbox: chat_keys(sandbox, "one", "two"))
    house.sandbox.exhaust("invented", seconds=600, key="sk-CANARY-one")
    assert [(await house.ask("chat", "big")).status for _ in range(20)] == [200] * 20
    assert house.asked("invented") == {"one": 1, "two": 20}
    assert house.clock is not None
    house.clock.advance(601)
    for _ in range(4):
        await house.ask("chat", "big")
    assert house.asked("invented") == {"one": 3, "two": 22}
