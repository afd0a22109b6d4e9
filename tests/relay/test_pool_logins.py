"""Cooldowns and renewals of logins: neither undoes the other, and a burst of refusals is one renewal."""

from __future__ import annotations

import asyncio

import pytest
from pooled import WEEKS, Open, chat_keys

from vaultd.verbs import VERBS

LOGINS = [
    ("codex", "responses", "gpt-5"),
    ("claude", "messages", "claude-sonnet-4-5-20250929"),
    ("gemini", "gemini", "gemini-2.5-flash"),
]


@pytest.mark.parametrize(("vendor", "fmt", "model"), LOGINS)
async def test_sec_42_a_hundred_refused_at_once_renew_once_and_all_are_answered(
    pooled: Open, vendor: str, fmt: str, model: str
) -> None:
    house = await pooled(by_hand=False)
    await house.sign_in(vendor, "ann@example.com", projects=("sandbox-project",) if vendor == "gemini" else ())
    known = house.sandbox[vendor]
    known.expire()
    # Nobody is refused before all are there: the burst is a hundred wide.
    house.sandbox.fault(vendor, at="llm", do="hang", times=100)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(house.ask(fmt, model)) for _ in range(100)]
        await known.until(lambda: known.counts["faults"] == 100)
        known.release()
    assert [task.result().status for task in asked] == [200] * 100
    assert known.counts["refused:token_expired"] == 100
    assert (known.counts["renewals"], known.counts["presented:refresh"], known.counts["reuse_events"]) == (1, 1, 0)
    assert not house.resting()


async def test_a_vendor_that_refuses_what_it_has_just_given_is_renewed_once_a_minute_at_most(pooled: Open) -> None:
    house = await pooled(by_hand=False)
    await house.sign_in("codex", "ann@example.com")
    house.sandbox.set("codex", refuse_access=True)
    statuses = {(await house.ask("responses", "gpt-5")).status for _ in range(10)}
    assert statuses <= {401, 429, 503}
    assert house.sandbox["codex"].counts["renewals"] == 1


async def test_a_renewal_does_not_wipe_a_cooldown(pooled: Open) -> None:
    house = await pooled(by_hand=False)
    login = await house.sign_in("codex", "ann@example.com")
    house.sandbox.exhaust("codex", seconds=WEEKS)
    assert (await house.ask("responses", "gpt-5")).status == 429
    (before,) = house.resting()
    await VERBS["credentials.refresh"](house.house, {"id": login.id})
    assert house.sandbox["codex"].counts["renewals"] == 1
    (after,) = house.resting()
    assert after.until is not None and before.until is not None and abs(after.until - before.until) < 1
    assert (after.state, after.model, after.reason) == (before.state, before.model, before.reason)


async def test_a_login_that_cools_is_renewed_all_the_same(pooled: Open) -> None:
    """Else it would be dead when its allowance is back."""
    house = await pooled(by_hand=False)
    known = house.sandbox["codex"]
    house.sandbox.set("codex", access_seconds=2)
    login = await house.sign_in("codex", "ann@example.com")
    house.sandbox.set("codex", access_seconds=None)
    house.sandbox.exhaust("codex", seconds=WEEKS)
    assert (await house.ask("responses", "gpt-5")).status == 429
    await house.house.start()
    await known.until(lambda: known.counts["renewals"] == 1)
    async with house.house.owner.leased(login.id) as lease:
        assert lease.current is not None and lease.current.generation > login.generation
    assert [standing.state for standing in house.standings() if standing.credential == login.id].count("cooling") == 1


async def test_cooldowns_outlive_a_restart(pooled: Open) -> None:
    house = await pooled(
        lambda sandbox: chat_keys(sandbox, "one", "two"), {"routing": {"strategy": "fill-first"}}, by_hand=False
    )
    await house.ask("chat", "big")
    (first,) = house.asked("invented")
    house.sandbox.exhaust("invented", seconds=WEEKS, key=f"sk-CANARY-{first}")
    assert (await house.ask("chat", "big")).status == 200
    (before,) = house.resting()
    for _ in range(2):
        await house.restart()
        house.sandbox["invented"].uses.clear()
        assert [(await house.ask("chat", "big")).status for _ in range(3)] == [200] * 3
        assert first not in house.asked("invented")
        (after,) = house.resting()
        assert (after.credential, after.reason, after.model) == (before.credential, before.reason, before.model)
        assert after.until is not None and before.until is not None and abs(after.until - before.until) <= 1


async def test_and_so_does_a_key_that_is_bad(pooled: Open) -> None:
    house = await pooled(
        lambda sandbox: chat_keys(sandbox, "one", "two"), {"routing": {"strategy": "fill-first"}}, by_hand=False
    )
    await house.ask("chat", "big")
    (first,) = house.asked("invented")
    house.sandbox.set("invented", bad_keys=[f"sk-CANARY-{first}"])
    await house.ask("chat", "big")
    await house.restart()
    assert (await house.ask("chat", "big")).status == 200
    assert house.sandbox["invented"].counts["refused:key"] == 1
