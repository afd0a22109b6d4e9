"""The loop renews ahead of expiry: paced, undisturbed by clocks, and stopped by nobody's failure."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from desk import Desk, login

from vaultd.catalog.load import load, shipped_folder
from vaultd.config.model import Config
from vaultd.work.tasks import Tasks

DAY = 86400.0
YEAR = 365 * DAY


@pytest.fixture
async def running(desk: Desk, tasks: Tasks) -> Desk:
    tasks.start("renew", desk.renewer.forever())
    return desk


async def pass_time(desk: Desk, seconds: float) -> None:
    """Let so much time pass, from one waking of the loop to the next."""
    until = desk.clock.boot() + seconds
    while desk.clock.boot() < until:
        await step(desk)


async def step(desk: Desk) -> None:
    await quiet(desk)
    await desk.clock.to_next()
    await quiet(desk)


async def quiet(desk: Desk) -> None:
    """Until nothing goes on but waiting."""
    await turns()
    await desk.renewer.drain()
    await turns()


async def turns() -> None:
    """Let whoever was woken go on until he waits again."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_login_is_renewed_ahead_of_its_expiry(running: Desk) -> None:
    credential = await running.sign_in()

    assert await to_outcome(running) == (credential.id, "renewed")

    ahead = 3600 - (running.sent[0][0] - 1000)
    assert 0.75 * 720 <= ahead <= 720  # a fifth of an hour, less the jitter
    assert running.get(credential.id).generation == credential.generation + 1


async def test_it_goes_on_for_ever(running: Desk) -> None:
    await running.sign_in()

    await pass_time(running, 10 * 3600)

    assert 10 <= running.renewals() <= 14


async def test_sec_50_a_hundred_logins_of_one_day_never_renew_in_one_second(desk: Desk, tasks: Tasks) -> None:
    desk.sandbox.set("claude", access_seconds=8 * 3600)
    for n in range(100):
        await desk.sign_in("claude", f"user{n}@example.org")
    tasks.start("renew", desk.renewer.forever())

    while len(desk.sent) < 100:
        await step(desk)

    assert len({int(boot) for boot, _, _ in desk.sent}) == 100
    await desk.renewer.drain()
    assert desk.renewals("claude") == 100


async def test_sec_50_a_hundred_overdue_logins_are_paced_too(desk: Desk, tasks: Tasks) -> None:
    for n in range(100):
        await desk.sign_in("claude", f"user{n}@example.org")
    desk.clock.advance(2 * 3600)  # the daemon was off
    tasks.start("renew", desk.renewer.forever())

    while len(desk.sent) < 100:
        await step(desk)

    assert len({int(boot) for boot, _, _ in desk.sent}) == 100


@pytest.mark.parametrize("jump", [1.0, -1.0, 60.0, -60.0, DAY, -DAY, YEAR, -YEAR, 10 * YEAR, -10 * YEAR])
async def test_sec_51_a_wall_clock_that_is_set_brings_no_storm(running: Desk, jump: float) -> None:
    first = [await running.sign_in("codex", f"user{n}@example.org") for n in range(5)]
    await pass_time(running, 300)

    for minute in range(10):
        running.clock.wall_error = jump if minute % 2 == 0 else 0.0
        await pass_time(running, 60)

    # At most once: by then its age is known from the boot clock, and what the wall clock does is nobody's concern.
    assert running.renewals() <= len(first)
    # And what was due all along is renewed in time, whatever the wall clock says now.
    running.clock.wall_error = jump
    await pass_time(running, 3000)
    for credential in first:
        assert running.get(credential.id).generation > credential.generation
        assert running.sandbox["codex"].live((await running.renewer.fresh(credential.id)).bearer.reveal())  # type: ignore[union-attr]


async def test_sec_51_a_boot_in_1970_brings_no_storm_and_once_the_clock_is_set_no_token_runs_out(
    desk: Desk, tasks: Tasks
) -> None:
    await desk.sign_in()
    desk.clock.advance(2000)
    desk.clock.wall_error = -desk.clock.true()
    booted = Desk(desk.sandbox, desk.clock, desk.owner, desk.catalog, desk.client)
    tasks.start("renew", booted.renewer.forever())
    await pass_time(booted, 120)
    assert booted.sent == []

    desk.clock.wall_error = 0.0
    await pass_time(booted, 1400)

    assert [int(boot) for boot, _, _ in booted.sent] == [pytest.approx(1000 + 3600 - 630, abs=90)]
    await booted.renewer.drain()


async def test_sec_51_after_a_night_of_suspend_a_login_is_renewed_once(running: Desk) -> None:
    credential = await running.sign_in()
    await running.clock.to_next()

    running.clock.advance(8 * 3600)

    assert await running.outcomes.get() == (credential.id, "renewed")
    await pass_time(running, 600)
    assert running.renewals() == 1


async def test_one_failing_vendor_stops_nobody_else(running: Desk) -> None:
    running.sandbox.fault("codex", at="token", do="status", status=500, times=0)
    down = await running.sign_in("codex")
    up = await running.sign_in("claude")

    await pass_time(running, 4000)

    assert running.get(down.id).generation == down.generation
    assert running.get(down.id).dead is None
    assert running.get(up.id).generation > up.generation


async def test_sec_49_failures_are_spaced_out_to_five_minutes(running: Desk) -> None:
    running.sandbox.fault("codex", at="token", do="status", status=500, times=0)
    await running.sign_in("codex")

    await pass_time(running, 6 * 3600)

    gaps = [later[0] - sooner[0] for sooner, later in zip(running.sent, running.sent[1:], strict=False)]
    assert gaps[0] <= 1
    assert max(gaps) == pytest.approx(150)  # half of five minutes, for the die always shows a half
    assert len(running.sent) < 200


async def test_a_login_whose_renewals_fail_is_overdue_however_long_they_pause(running: Desk) -> None:
    """What an alert goes by: a pause, or a try under way, is no progress."""
    credential = await running.sign_in()
    assert running.renewer.due()[credential.id] > 0
    running.sandbox.fault("codex", at="token", do="status", status=503, times=0)
    await pass_time(running, 3600)
    assert running.renewer.due()[credential.id] < -60
    running.sandbox["codex"].faults.clear()
    await pass_time(running, 400)
    assert running.renewer.due()[credential.id] > 0


async def test_a_dead_login_is_asked_about_once(running: Desk) -> None:
    credential = await running.sign_in()
    running.sandbox["codex"].sign_out()

    await pass_time(running, 6 * 3600)

    assert len(running.sent) == 1
    assert running.get(credential.id).dead is not None


async def test_a_new_sign_in_wakes_the_loop(running: Desk) -> None:
    """It sleeps towards a due time of days ahead; a short-lived login comes in by another process."""
    running.sandbox.set("claude", access_seconds=10 * DAY)
    await running.sign_in("claude")
    soon = await running.sign_in("codex")

    assert await to_outcome(running) == (soon.id, "renewed")
    assert running.clock.boot() < 1000 + 3600


async def test_disabled_and_stranded_credentials_are_left_alone(running: Desk) -> None:
    credential = await running.sign_in()
    async with running.owner.leased(credential.id) as lease:
        await lease.put(replace(credential, settings=replace(credential.settings, disabled=True)))
    stranger = login(running.sandbox, "codex", "stranger@example.org", running.clock.now())
    await running.owner.settle(replace(stranger, provider="gone"))  # its manifest was dropped in, and taken out

    await pass_time(running, 2 * 3600)

    assert running.sent == []


async def test_a_lead_that_is_set_anew_counts_at_once(running: Desk) -> None:
    """And nobody need sign in again, or start anything again, for it."""
    await running.sign_in()
    await pass_time(running, 60)
    overlay = running.sandbox.overlay()
    overlay["codex"]["oauth"] = {**overlay["codex"].get("oauth", {}), "refresh-ahead": "1m"}

    running.catalog = load(shipped_folder(), None, Config(providers=overlay), "a test")
    running.renewer.wake()
    await to_outcome(running)

    assert running.sent[0][0] - 1000 == pytest.approx(3600 - 60, abs=20)


async def to_outcome(desk: Desk) -> tuple[str, str]:
    while desk.outcomes.empty():
        await step(desk)
    return desk.outcomes.get_nowait()
